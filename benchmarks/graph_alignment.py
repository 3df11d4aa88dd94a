"""The alignment of ticks against the arithmetic of its dynamic programme."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np

from benchmarks.result import Result, seconds
from tasks.dysen.graphs.dynamic_scene_graph import LAST_TICK
from tasks.dysen.scores.graph_alignment import Scores, align

_TABLES, _PAIRS, _MOST_MATCHES = 200, 9, 4
_CLIP = 8  # ticks of a sprite clip


def best_sum(scores_PG: Scores) -> int:
    """The largest sum of scores alone: a sum, a maximum and a running maximum over gold ticks for each predicted tick."""
    best_G = np.zeros(scores_PG.shape[1] + 1, scores_PG.dtype)
    for row_G in scores_PG:
        best_G[1:] = np.maximum.accumulate(np.maximum(best_G[1:], best_G[:-1] + row_G))
    return int(best_G[-1])


def measure_graph_alignment(_folder: Path) -> list[Result]:
    """Graphs as short as a clip and as long as they may be; medians of interleaved pairs of passes over many tables."""
    return [_measured(ticks) for ticks in (_CLIP, LAST_TICK + 1)]


def _measured(ticks: int) -> Result:
    tables = np.random.default_rng(0).integers(0, _MOST_MATCHES, (_TABLES, ticks, ticks))
    for table in tables:
        if best_sum(table) != sum(int(table[pair]) for pair in align(table)):
            raise AssertionError("the two ways disagree")
    pairs = [
        (seconds(lambda: [best_sum(table) for table in tables]), seconds(lambda: [align(table) for table in tables]))
        for _ in range(_PAIRS)
    ]
    ratio = statistics.median(aligned / bare for bare, aligned in pairs)
    bare, aligned = (statistics.median(column) / _TABLES * 1e6 for column in zip(*pairs, strict=True))
    detail = f"{aligned:.0f} against {bare:.0f} microseconds"
    return Result(f"alignment of {ticks} ticks, time over the bare arithmetic", ratio, 2, False, "x", detail)
