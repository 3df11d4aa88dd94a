"""Events of one prompt from several sources: which of them a merged graph has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.dysen.checks.predicate_conflicts import conflicts
from tasks.dysen.gold_sources.gold_origins import Outcome
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Event, Triplet
from tasks.dysen.graphs.event_grammar import format_event, format_item
from tasks.dysen.graphs.events_to_graphs import is_active


@dataclass
class ToldEvent:
    """An event, the sources that have one of its triplet at that time, and whether a merged graph has it.

    Attributes:
        event: with the times of its first source.
        sources: most trusted first.
        trust: 0 for the most trusted source, and so on.
        outcome: "kept", or why not.
        against: the event whose times count, or the triplet that is contradicted.
    """

    event: Event
    sources: list[str]
    trust: int
    outcome: Outcome = "kept"
    against: str = ""


def merge_events(graphs: Sequence[DynamicSceneGraph], ticks: Sequence[Sequence[Triplet]]) -> list[ToldEvent]:
    """All events of the sources and what becomes of them, in the order of trust.

    Args:
        graphs: most trusted source first.
        ticks: the triplets that are kept at each tick.
    """
    told: list[ToldEvent] = []
    for trust, graph in enumerate(graphs):
        before = list(told)
        for event in graph.events:
            equal = next((entry for entry in before if entry.event == event), None)
            counts = [entry for entry in before if entry.outcome == "kept" and _is_same(entry.event, event)]
            same = equal if equal in counts else next(iter(counts), None)
            for entry in (equal, same):
                if entry and graph.source not in entry.sources:
                    entry.sources.append(graph.source)
            if equal is None and same:
                told.append(ToldEvent(event, [graph.source], trust, "other-times", format_event(same.event)))
            elif equal is None:
                told.append(ToldEvent(event, [graph.source], trust))
    _refuse_contradictions(told, ticks)
    return told


def _is_same(one: Event, other: Event) -> bool:
    return one.triplet == other.triplet and one.start <= other.end and other.start <= one.end


def _refuse_contradictions(told: Sequence[ToldEvent], ticks: Sequence[Sequence[Triplet]]) -> None:
    """Events that end last are there at the last tick too, so what is refused may change what else must be planned."""
    while True:
        kept = [entry for entry in told if entry.outcome == "kept"]
        last = max((entry.event.end for entry in kept), default=-1)
        refused = [(entry, rival) for entry in kept if entry.trust and (rival := _rival(entry.event, ticks, last))]
        if not refused:
            return
        for entry, rival in refused:
            entry.outcome, entry.against = "contradiction", format_item(rival)


def _rival(event: Event, ticks: Sequence[Sequence[Triplet]], last: int) -> Triplet | None:
    """What an event contradicts at a tick at which its triplet is not kept but has to be."""
    for tick, triplets in enumerate(ticks):
        if is_active(event, tick, last) and event.triplet not in triplets:
            found = next((other for other in triplets if conflicts(event.triplet, other)), None)
            if found is not None:
                return found
    return None
