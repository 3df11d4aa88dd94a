"""What code proposes to change in an enriched sequence, for models too small to propose changes themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from tasks.dysen.checks.predicate_conflicts import conflicts
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, SceneGraph, Triplet, scene_graph
from tasks.dysen.graphs.graph_edits import Item
from tasks.dysen.imagining.detail_grammar import ends_of, items_of
from tasks.dysen.imagining.edit_grammar import Span, format_operation
from tasks.dysen.imagining.lasting_details import lasting, without_conflicts

KEEP = "keep"
MOST_PROPOSALS = 12


class Proposal(NamedTuple):
    """Operations of which one is to be chosen, written as `tasks.dysen.imagining.edit_grammar` reads them."""

    options: tuple[str, ...]


def polish_proposals(planned: DynamicSceneGraph, graph: DynamicSceneGraph) -> list[Proposal]:
    """What may be incoherent, at most `MOST_PROPOSALS`; each may be kept as it is.

    One of two details that exclude each other may go, one that both neighbours of a tick have may come, and one may go that
    is there at a single tick, though it lasts as a rule.

    Args:
        planned: the sequence before its enrichment.
        graph: after it.
    """
    found = _contradictions(planned, graph)
    known = {option for proposal in found for option in proposal.options}
    single = [
        *(format_operation("add", (tick, tick), item) for tick, item in _gaps(graph)),
        *(format_operation("remove", (tick, tick), item) for tick, item in _lonely(planned, graph)),
    ]
    found += [Proposal((option,)) for option in single if option not in known]
    return [Proposal((*proposal.options, KEEP)) for proposal in found[:MOST_PROPOSALS]]


def repair_proposals(planned: DynamicSceneGraph, graph: DynamicSceneGraph, most_new_triplets: int) -> list[Proposal]:
    """What mends contradictions, details that end though nothing changes them, and ticks with too many new triplets.

    Args:
        planned: the sequence before its enrichment.
        graph: after it.
        most_new_triplets: of a tick.
    """
    found = [*_contradictions(planned, graph), *_broken_off(planned, graph), *_surplus(planned, graph, most_new_triplets)]
    return found[:MOST_PROPOSALS]


def broken_off(planned: DynamicSceneGraph, graph: DynamicSceneGraph) -> Iterator[tuple[int, Item]]:
    """Details that are not there at a tick, though they last from the one before and contradict nothing there."""
    for tick in range(1, len(graph.ticks)):
        now = graph.ticks[tick]
        present = frozenset(items_of(now))
        for item in without_conflicts(lasting(planned, tick, graph.ticks[tick - 1]), now.triplets):
            if item not in present:
                yield tick, item


def _contradictions(planned: DynamicSceneGraph, graph: DynamicSceneGraph) -> list[Proposal]:
    options: dict[tuple[Item, ...], list[int]] = {}
    for tick, now in enumerate(graph.ticks):
        for one, other in _excluding_pairs(now):
            removable = tuple(item for item in (one, other) if item not in planned.ticks[tick].triplets)
            if removable:
                options.setdefault(removable, []).append(tick)
    return [
        Proposal(tuple(format_operation("remove", span, item) for item in items))
        for items, ticks in options.items()
        for span in _spans(ticks)
    ]


def _excluding_pairs(graph: SceneGraph) -> Iterator[tuple[Triplet, Triplet]]:
    return ((one, other) for one, other in combinations(graph.triplets, 2) if conflicts(one, other))


def _spans(ticks: Sequence[int]) -> list[Span]:
    """Ticks in rising order as ranges."""
    spans: list[Span] = []
    for tick in ticks:
        if spans and spans[-1][1] == tick - 1:
            spans[-1] = (spans[-1][0], tick)
        else:
            spans.append((tick, tick))
    return spans


def _gaps(graph: DynamicSceneGraph) -> Iterator[tuple[int, Item]]:
    for tick, (before, now, after) in enumerate(zip(graph.ticks, graph.ticks[1:], graph.ticks[2:], strict=False), start=1):
        later, present = frozenset(items_of(after)), frozenset(items_of(now))
        both = [item for item in items_of(before) if item in later and item not in present]
        for item in without_conflicts(both, now.triplets):
            if set(ends_of(item)) <= set(now.objects) and not _is_planned_anywhere(graph, item):
                yield tick, item


def _lonely(planned: DynamicSceneGraph, graph: DynamicSceneGraph) -> Iterator[tuple[int, Item]]:
    for tick, now in enumerate(graph.ticks):
        for item in items_of(now):
            elsewhere = any(item in items_of(other) for place, other in enumerate(graph.ticks) if place != tick)
            if not elsewhere and item not in items_of(planned.ticks[tick]) and _could_last(planned, tick, item):
                yield tick, item


def _could_last(planned: DynamicSceneGraph, tick: int, item: Item) -> bool:
    """Whether it would be expected at the tick before or after."""
    after = tick + 1 < len(planned.ticks) and bool(lasting(planned, tick + 1, _alone(item)))
    return after or (tick > 0 and bool(lasting(planned, tick, _alone(item))))


def _alone(item: Item) -> SceneGraph:
    return scene_graph([item]) if isinstance(item, Triplet) else scene_graph([], [item])


def _is_planned_anywhere(graph: DynamicSceneGraph, item: Item) -> bool:
    return any(event.triplet == item for event in graph.events)


def _broken_off(planned: DynamicSceneGraph, graph: DynamicSceneGraph) -> list[Proposal]:
    """To go on for as long as it lasts, or not to have been there."""
    found = []
    for tick, item in broken_off(planned, graph):
        last = _lasts_until(planned, graph, tick, item)
        first = next(start for start in range(tick - 1, -1, -1) if not start or item not in items_of(graph.ticks[start - 1]))
        options = (format_operation("add", (tick, last), item), format_operation("remove", (first, tick - 1), item))
        found.append(Proposal(options))
    return found


def _lasts_until(planned: DynamicSceneGraph, graph: DynamicSceneGraph, tick: int, item: Item) -> int:
    """The last tick up to which an item lasts that is added at this one."""
    for after in range(tick + 1, len(graph.ticks)):
        lasts = without_conflicts(lasting(planned, after, _alone(item)), graph.ticks[after].triplets)
        if not lasts or item in items_of(graph.ticks[after]):
            return after - 1
    return len(graph.ticks) - 1


def _surplus(planned: DynamicSceneGraph, graph: DynamicSceneGraph, most: int) -> list[Proposal]:
    """As many removals as there are triplets too many, each from others."""
    found = []
    for tick, (now, plan) in enumerate(zip(graph.ticks, planned.ticks, strict=True)):
        new = [item for item in now.triplets if item not in plan.triplets]
        surplus = len(new) - most
        found += [
            Proposal(tuple(format_operation("remove", (tick, tick), item) for item in new[start::surplus]))
            for start in range(surplus)
        ]
    return found
