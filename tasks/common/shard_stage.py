"""What stages that work shard by shard share: one job per input file, counts, quarantine, provenance, linked outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.common.corpus_shards import SHARD_NAME
from tasks.common.files import complete, link_or_copy, write_json
from tasks.common.parameters import Compute
from tasks.common.provenance import digest, file_sha256
from tasks.common.quarantine import join_quarantines
from tasks.common.shard_engine import Job, Part, Work, run_jobs

QUARANTINE_FILE = "quarantine.jsonl"
"""Each part holds one; its statistics hold `counts` and `quarantined` (by reason)."""


@dataclass(frozen=True)
class MappedFiles:
    """Finished parts in the order of their inputs, and what made them."""

    parts: list[Part]
    provenance: dict[str, Any]

    def sum_of(self, statistic: str) -> Counter[str]:
        """A statistic of all parts, added up by name: "counts" or "quarantined"."""
        total = Counter[str]()
        for part in self.parts:
            total.update(part.statistics[statistic])
        return total

    def write_records(self, quarantine: Path, provenance: Path) -> None:
        """The quarantine list of all parts, and the provenance."""
        join_quarantines([part.folder / QUARANTINE_FILE for part in self.parts], quarantine)
        write_json(provenance, self.provenance)

    def link(self, name: str, out: Path) -> None:
        """The file `name` of every part, as a folder of files numbered like the corpus shards."""
        with complete(out, folder=True) as folder:
            for number, part in enumerate(self.parts):
                link_or_copy(part.folder / name, folder / f"{SHARD_NAME.format(number)}{Path(name).suffix}")


def map_files(
    files: Sequence[Path],
    work: Work,
    payload: Callable[[Path], Any],
    made: dict[str, Any],
    store: Path,
    compute: Compute,
    what: str,
) -> MappedFiles:
    """Runs `work` on every file, or takes its part from the store.

    Args:
        files: inputs with distinct names.
        work: see `shard_engine.Work`.
        payload: what a worker needs for one file.
        made: all that decides the result besides the file, see `provenance.made_by`.
        store: the part store.
        compute: see `shard_engine.run_jobs`.
        what: noun for the progress line.
    """
    inputs = {file.name: file_sha256(file) for file in files}
    jobs = [Job(file.name, digest([made, file.name, inputs[file.name]]), payload(file)) for file in files]
    return MappedFiles(run_jobs(jobs, work, store, compute, what), {**made, "inputs": inputs})
