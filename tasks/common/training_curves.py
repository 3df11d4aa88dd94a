"""Curves of a training: one tab-separated file each, with a column `step`, as `dvc plots` draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.common.files import complete, remove

BUCKETS = 4
"""Quarters of the timesteps, from little noise to much."""


@dataclass
class Curves:
    """Points by curve, and the sums of the point that is being made; `to_json` and `from_json` carry both over a restart."""

    points: dict[str, list[dict[str, float | None]]] = field(default_factory=dict)
    sums: list[float] = field(default_factory=lambda: [0.0] * BUCKETS)
    counts: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def add(self, curve: str, step: int, **values: float | None) -> None:
        """A point; a value that is not known is left out of the file."""
        self.points.setdefault(curve, []).append({"step": step, **values})

    def add_losses(self, losses: Sequence[float], timesteps: Sequence[int], most_timesteps: int) -> None:
        """Losses of single images at their timesteps, out of `most_timesteps`."""
        for loss, timestep in zip(losses, timesteps, strict=True):
            bucket = timestep * BUCKETS // most_timesteps
            self.sums[bucket] += loss
            self.counts[bucket] += 1

    def close_losses(self, step: int, most_timesteps: int) -> None:
        """Makes a point of the mean losses since the last one; nothing if there were none."""
        if not any(self.counts):
            return
        edges = [most_timesteps * bucket // BUCKETS for bucket in range(BUCKETS + 1)]
        means = [total / count if count else None for total, count in zip(self.sums, self.counts, strict=True)]
        self.add("loss", step, loss=sum(self.sums) / sum(self.counts))
        by_bucket = {f"{a}-{b - 1}": mean for a, b, mean in zip(edges, edges[1:], means, strict=False)}
        self.add("loss_by_timestep", step, **by_bucket)
        self.sums, self.counts = [0.0] * BUCKETS, [0] * BUCKETS

    def last(self, curve: str, value: str) -> float | None:
        """The newest value, if there is any."""
        points = self.points.get(curve)
        return points[-1][value] if points else None

    def to_json(self) -> dict[str, Any]:
        """A JSON value that keeps every bit."""
        return {"points": self.points, "sums": self.sums, "counts": self.counts}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Curves:
        """What `to_json` gave."""
        return Curves(value["points"], value["sums"], value["counts"])

    def write(self, folder: Path) -> None:
        """One file per curve, six digits per number; clears what a killed writer left beside the folder."""
        for leftover in folder.parent.glob(f".{folder.name}.*.unfinished"):
            remove(leftover)
        with complete(folder, folder=True) as unfinished:
            for curve, points in sorted(self.points.items()):
                columns = list(points[0])
                rows = [[_text(point[column]) for column in columns] for point in points]
                lines = "".join("\t".join(row) + "\n" for row in [columns, *rows])
                (unfinished / f"{curve}.tsv").write_text(lines, encoding="utf-8", newline="\n")


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
