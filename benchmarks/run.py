"""Runs all benchmarks, prints a table, and fails if a requirement is missed: `make bench`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"})

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.captions_join import measure_caption_join
from benchmarks.corpora import ROOT
from benchmarks.dag_runs import measure_prefect, measure_toy_dag, measure_wide_dag
from benchmarks.dsg_chain import measure_dsg_chain
from benchmarks.graph_alignment import measure_graph_alignment
from benchmarks.guidance_energy import measure_guidance_energy
from benchmarks.guidance_steps import measure_guidance_steps
from benchmarks.igligen import measure_adapter_training
from benchmarks.llm_calls import measure_llm_calls
from benchmarks.result import Result
from benchmarks.stages import measure_boxes, measure_ingest, measure_latents
from benchmarks.style_step import measure_style_step
from benchmarks.whole_run import measure_whole_run


def show(results: list[Result]) -> None:
    """The table on standard output."""
    table = Table("requirement", "measured", "limit", "", "detail")
    for result in results:
        limit = f"{'at least' if result.at_least else 'at most'} {result.limit:g} {result.unit}"
        mark = "met" if result.met else "MISSED"
        table.add_row(result.name, f"{result.measured:.2f} {result.unit}", limit, mark, result.detail)
    Console(width=140).print(table)


def main() -> int:
    """Exit code 1 if a requirement is missed."""
    torch.set_num_threads(1)
    os.chdir(ROOT)
    results = []
    for measure in (
        measure_caption_join,
        measure_guidance_energy,
        measure_ingest,
        measure_boxes,
        measure_latents,
    ):
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(Path(folder)))
    for measure_all in (
        measure_graph_alignment,
        measure_dsg_chain,
        measure_adapter_training,
        measure_guidance_steps,
        measure_style_step,
        measure_llm_calls,
        measure_whole_run,
        measure_toy_dag,
        measure_wide_dag,
        measure_prefect,
    ):
        with tempfile.TemporaryDirectory() as folder:
            results += measure_all(Path(folder))
    show(results)
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
