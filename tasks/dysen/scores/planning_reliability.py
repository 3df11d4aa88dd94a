"""Action planning reliability: how well predicted events and their times agree with the gold ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.dysen.graphs.dynamic_scene_graph import Event, triplet_key
from tasks.dysen.scores.term_matching import MatchCounts, TermMatcher, exact_match, item_matches


def count_events(predicted: Sequence[Event], gold: Sequence[Event], matcher: TermMatcher = exact_match) -> MatchCounts:
    """Predicted events paired with gold ones, each event at most once, for the largest sum of closeness.

    The closeness of two events with matching agent, predicate and target is 1 / (1 + sqrt(ds^2 + de^2)), where ds and
    de are the ticks between their starts and between their ends; that of other events is 0. `matched` is the sum.
    """
    from scipy.optimize import linear_sum_assignment

    triplets, gold_triplets = ([triplet_key(event.triplet) for event in events] for events in (predicted, gold))
    same_PG = item_matches(triplets, gold_triplets, ("object", "predicate", "object"), matcher)
    apart_PG = np.hypot(
        *(time[:, None] - gold_time[None] for time, gold_time in zip(_times(predicted), _times(gold), strict=True))
    )
    closeness_PG = same_PG / (1 + apart_PG)
    pairs = linear_sum_assignment(closeness_PG, maximize=True)
    return MatchCounts(math.fsum(closeness_PG[pairs]), len(predicted), len(gold))


def planning_reliability(predicted: Sequence[Event], gold: Sequence[Event], matcher: TermMatcher = exact_match) -> float:
    """Mean closeness of the gold events (`count_events`), from 0 to 1; 0 without gold events.

    Superfluous predicted events cost nothing here; the precision of `count_events` tells of them.
    """
    return count_events(predicted, gold, matcher).recall


def planning_reliability_original(predicted: Sequence[Event], gold: Sequence[Event]) -> float:
    """The reliability as Dysen-VDM's code has it: a sum over the predicted events, which grows with their number.

    Each adds 1 / sqrt(2 d^2), where d is the difference of its start and that of the first gold event with the same
    terms, or of 0 without one: the original reads the start for the end too. Where d is 0, it divides by zero; here
    the event adds 1 if it has a gold event, otherwise 0.
    """
    starts: dict[tuple[str, str, str], int] = {}
    for event in gold:
        starts.setdefault(triplet_key(event.triplet), event.start)
    total = 0.0
    for event in predicted:
        triplet = triplet_key(event.triplet)
        apart = abs(event.start - starts.get(triplet, 0))
        total += 1 / math.hypot(apart, apart) if apart else float(triplet in starts)
    return total


def _times(events: Sequence[Event]) -> NDArray[np.float64]:
    """Starts and ends [2, N] in ticks."""
    return np.array([(event.start, event.end) for event in events], np.float64).reshape(-1, 2).T
