"""Captions to events, scene graphs and scores by the stages themselves: how fast on one core, and in how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import torch

from benchmarks.corpora import ROOT
from benchmarks.peak_memory import peak_bytes
from benchmarks.result import Result
from tasks.common.parameters import Compute
from tasks.dysen import dsg, dsg_eval
from tasks.dysen.clauses.clause_events import ClauseEventParser
from tasks.dysen.gold_sources.gold_sprites import sprite_golds
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, write_graphs

_FIRST, _FEW, _MANY, _AT_ONCE = 50, 1_000, 10_000, 500
_LAST_TICK, _MOST_ACTORS = 7, 2
_PROJECT = SimpleNamespace(
    compute=Compute(device="cpu", dtype="float32", workers=1, engine="processes", num_gpus=0),
    llm=SimpleNamespace(model="none"),
    dsg=dsg.Parameters(max_bad_fraction=0.0),
    dsg_eval=dsg_eval.Parameters(encoder="models/sprite/text", revision=None, least_cosine=0.975),
)


def write_gold(folder: Path, count: int) -> None:
    """Distinct captions of sprite clips, one a line, and their gold graphs; the enriched ones are none."""
    graphs = [gold.graph for gold in sprite_golds({"heldout": count}, 0, _LAST_TICK, _MOST_ACTORS)["heldout"]]
    write_graphs(folder / "gold" / "heldout.jsonl", graphs)
    (folder / "captions.txt").write_text("".join(f"{graph.prompt}\n" for graph in graphs), encoding="utf-8")
    (folder / "enriched").mkdir()


def run_chain(folder: Path) -> None:
    """Parses the captions, and runs the stages `dsg` and `dsg_eval` on what was found."""
    write_graphs(folder / "events" / "parser" / "heldout.jsonl", _parsed(folder / "captions.txt"))
    graphs = {name: folder / f"dsg-{name}" for name in ("quarantine", "provenance", "metrics")}
    dsg.make_graphs(_PROJECT, dsg.Paths(events=folder / "events", out=folder / "graphs", **graphs))
    places = {name: folder / name for name in ("gold", "graphs", "enriched")}
    made = {name: folder / f"{name}.json" for name in ("provenance", "table", "enriched_table", "metrics")}
    scores = dsg_eval.make_scores(_PROJECT, dsg_eval.Paths(**places, **made))["planners"]["parser"]
    if scores["captions"] != scores["answered"]:
        raise AssertionError("not every caption has been parsed and scored")


def _parsed(file: Path) -> Iterator[DynamicSceneGraph]:
    parser = ClauseEventParser()
    with file.open(encoding="utf-8") as lines:
        while captions := [line.rstrip("\n") for line in islice(lines, _AT_ONCE)]:
            found = parser.events_of_all(captions, _LAST_TICK)
            for caption, events in zip(captions, found, strict=True):
                yield DynamicSceneGraph(prompt=caption, events=events, source="parser")


def _measured(folder: Path, count: int) -> tuple[float, int]:
    """Seconds of one core's time once models are loaded, and the most bytes of memory, of a process of its own."""
    places = {folder / "first": _FIRST, folder / "all": count}
    for place, captions in places.items():
        place.mkdir(parents=True)
        write_gold(place, captions)
    command = [sys.executable, "-m", "benchmarks.dsg_chain", *map(str, places)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    spent, peak = json.loads(done.stdout)
    return spent, peak


def measure_dsg_chain(folder: Path) -> list[Result]:
    """Many captions, and the memory that they need over that of few."""
    (_, small), (spent, large) = (_measured(folder / str(count), count) for count in (_FEW, _MANY))
    memory = f"peaks of {large / 1e6:.0f} MB and {small / 1e6:.0f} MB in processes of their own"
    time_of_each = f"{spent / _MANY * 1e3:.2f} ms of one core each, after {_FIRST} other captions"
    return [
        Result(f"{_MANY} captions to scored graphs, one core", _MANY / spent, 500, True, "captions/s", time_of_each),
        Result(f"the same, memory over that of {_FEW} captions", large / small, 1.2, False, "x", memory),
    ]


def main(arguments: Sequence[str]) -> None:
    """Runs the chain in each folder; writes the processor's seconds for the last one, and the most bytes of memory held."""
    torch.set_num_threads(1)
    start = 0.0
    for folder in arguments:
        start = time.process_time()
        run_chain(Path(folder))
    sys.stdout.write(json.dumps([time.process_time() - start, peak_bytes()]))


if __name__ == "__main__":
    main(sys.argv[1:])
