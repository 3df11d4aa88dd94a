"""From events to a scene graph for each tick, and back.

A triplet is there from its start tick up to the one before its end; what ends at the last tick is there at that tick too,
so that the last graph is not empty (as the method's figure shows it).
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.dysen.graphs.dynamic_scene_graph import Event, SceneGraph, Triplet, scene_graph, triplet_key


def graphs_of(events: Sequence[Event]) -> tuple[SceneGraph, ...]:
    """The scene graphs at tick 0 to the latest end of the events, one more than that end; none without events.

    The order of the events does not count. At a tick in which nothing happens the graph is empty.
    """
    last = max((event.end for event in events), default=-1)
    return tuple(scene_graph(event.triplet for event in events if is_active(event, tick, last)) for tick in range(last + 1))


def is_active(event: Event, tick: int, last: int) -> bool:
    """Whether an event's triplet is in the graph of a tick; `last` is the last tick of all."""
    return event.start <= tick < event.end or tick == last == event.end


def events_of(ticks: Sequence[SceneGraph]) -> tuple[Event, ...]:
    """The events that `graphs_of` makes these graphs of, by start, end and triplet; attributes are ignored.

    Events of the same triplet that touch or overlap cannot be told apart in graphs: they come back as one. Graphs that are
    not made by `graphs_of` may differ from what `graphs_of` makes of the result: a triplet that is there at the last tick
    only is taken to start one tick before, and one that ends just before the last tick to be there at the last one too.
    """
    last = max(len(ticks) - 1, 1)
    began: dict[Triplet, int] = {}
    events = []
    for tick, graph in enumerate((*ticks, SceneGraph())):
        present = frozenset(graph.triplets)
        for triplet in [triplet for triplet in began if triplet not in present]:
            events.append(_event(triplet, began.pop(triplet), min(tick, last)))
        for triplet in graph.triplets:
            began.setdefault(triplet, tick)
    return tuple(sorted(events, key=lambda event: (event.start, event.end, *triplet_key(event.triplet))))


def _event(triplet: Triplet, start: int, end: int) -> Event:
    return Event(
        agent=triplet.subject,
        predicate=triplet.predicate,
        target=triplet.object,
        start=min(start, end - 1),
        end=end,
    )
