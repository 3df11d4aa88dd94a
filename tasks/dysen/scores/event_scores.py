"""How well a planner's events agree with gold: terms and times, their order, and how many captions are exactly right."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from tasks.dysen.graphs.dynamic_scene_graph import Event, SceneGraph, triplet_key
from tasks.dysen.scores.planning_reliability import count_events, planning_reliability_original
from tasks.dysen.scores.term_matching import MatchCounts

_Terms = tuple[str, str, str]


@dataclass
class EventScores:
    """Sums over captions; no sum depends on the order of the captions."""

    captions: int = 0
    exactly_right: int = 0
    events: int = 0
    gold_events: int = 0
    closeness: list[float] = field(default_factory=list)
    originals: list[float] = field(default_factory=list)
    orders: list[float] = field(default_factory=list)

    def add(self, predicted: Sequence[Event], gold: Sequence[Event]) -> None:
        """Adds a caption's events; none are predicted for a caption that was set aside."""
        counts, order = count_events(predicted, gold), order_agreement(predicted, gold)
        self.captions += 1
        self.exactly_right += _all_of(predicted) == _all_of(gold)
        self.events += counts.predicted
        self.gold_events += counts.gold
        self.closeness.append(counts.matched)
        self.originals.append(planning_reliability_original(predicted, gold))
        self.orders += [] if order is None else [order]

    def metrics(self) -> dict[str, Any]:
        """Reliability over all gold events with the precision and F1 of the same sum, and shares and means of captions.

        `planning_reliability_original` is a mean of sums, which can be above 1. `event_order` is None where it is not
        defined for a single caption; `event_order_undefined` says for how many it is not.
        """
        counts = MatchCounts(math.fsum(self.closeness), self.events, self.gold_events)
        return {
            "planning_reliability": counts.recall,
            "planning_precision": counts.precision,
            "planning_f1": counts.f1,
            "planning_reliability_original": mean(self.originals) or 0.0,
            "event_order": mean(self.orders),
            "event_order_undefined": self.captions - len(self.orders),
            "exactly_right": self.exactly_right / self.captions if self.captions else 0.0,
        }


def order_agreement(predicted: Sequence[Event], gold: Sequence[Event]) -> float | None:
    """Kendall's tau over the starts of matched events, from -1 (all reversed) to 1 (the same order).

    Events with the same terms are matched, the first to start with the first. Two events that start together in gold have
    no order and do not count; two that are put together though gold has an order add 0. None if there is nothing to count.
    """
    starts = _starts_by_terms(predicted), _starts_by_terms(gold)
    matched = [pair for terms in starts[0] for pair in zip(starts[0][terms], starts[1].get(terms, ()), strict=False)]
    agreements = [
        _sign(one - other) * _sign(true - other_true)
        for (one, true), (other, other_true) in combinations(matched, 2)
        if true != other_true
    ]
    return sum(agreements) / len(agreements) if agreements else None


def planned_part(events: Sequence[Event], ticks: Sequence[SceneGraph]) -> tuple[SceneGraph, ...]:
    """The same ticks without the triplets that no event has: what a plan can tell, such as no places of things."""
    told = {_terms(event) for event in events}
    found = []
    for tick in ticks:
        kept = tuple(triplet for triplet in tick.triplets if triplet_key(triplet) in told)
        found.append(tick if len(kept) == len(tick.triplets) else tick.model_copy(update={"triplets": kept}))
    return tuple(found)


def mean(values: Sequence[float]) -> float | None:
    """The same whatever the order; None without values."""
    return math.fsum(values) / len(values) if values else None


def _terms(event: Event) -> _Terms:
    return event.agent, event.predicate, event.target


def _all_of(events: Sequence[Event]) -> list[tuple[_Terms, int, int]]:
    return sorted((_terms(event), event.start, event.end) for event in events)


def _starts_by_terms(events: Sequence[Event]) -> dict[_Terms, list[int]]:
    starts = defaultdict(list)
    for event in sorted(events, key=lambda event: event.start):
        starts[_terms(event)].append(event.start)
    return dict(starts)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
