"""Which gold tick a predicted tick stands for: both sequences run forward in time, at paces of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.number[Any]]


def align(scores_PG: Scores) -> tuple[tuple[int, int], ...]:
    """The pairs of a predicted and a gold tick, both rising, with the largest sum of scores.

    A tick is in at most one pair, so one graph with everything in it cannot stand for all gold ticks. Ticks that win
    nothing stay without a partner. Among equal sums the earlier ticks are paired.

    Args:
        scores_PG: what the pair of each predicted and gold tick is worth, at least 0.
    """
    predicted, gold = scores_PG.shape
    best = np.zeros((predicted + 1, gold + 1), scores_PG.dtype)
    for tick, row in enumerate(scores_PG):
        np.maximum.accumulate(np.maximum(best[tick, 1:], best[tick, :-1] + row), out=best[tick + 1, 1:])
    return _pairs(best.tolist())


def _pairs(best: list[list[float]]) -> tuple[tuple[int, int], ...]:
    """The way back through the table of the best sums of the first ticks of both sides."""
    pairs = []
    predicted, gold = len(best) - 1, len(best[0]) - 1
    while predicted and gold:
        here = best[predicted][gold]
        if here == best[predicted - 1][gold]:
            predicted -= 1
        elif here == best[predicted][gold - 1]:
            gold -= 1
        else:
            predicted, gold = predicted - 1, gold - 1
            pairs.append((predicted, gold))
    return tuple(reversed(pairs))


def follow_greedily(scores_PG: Scores) -> tuple[int, ...]:
    """The gold tick of each predicted tick as Dysen-VDM's code finds it.

    From the gold tick of the tick before on, the first one with the largest score: ticks may share a gold tick, and
    one late match hides all gold ticks before it. Without gold ticks the result is empty.
    """
    follows: list[int] = []
    first = 0
    for row in scores_PG.tolist() if scores_PG.shape[1] else ():
        first = row.index(max(row[first:]), first)
        follows.append(first)
    return tuple(follows)
