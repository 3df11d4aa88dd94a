"""Scene graphs of events with what the names of their entities tell, made once for each combination of triplets."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise

from tasks.dysen.graphs.dynamic_scene_graph import Event, SceneGraph, Triplet, scene_graph
from tasks.dysen.graphs.entity_attributes import attributes_of
from tasks.dysen.graphs.events_to_graphs import is_active

_Key = tuple[str, str, str]


def attributed_ticks(events: Sequence[Event]) -> tuple[SceneGraph, ...]:
    """What `graphs_of` makes of events, each graph with the attributes of the entities that are in it.

    Raises:
        ValidationError: an entity has so many attributes that a graph would have too many.
    """
    last = max((event.end for event in events), default=-1)
    changes = sorted({0, last, last + 1, *(tick for event in events for tick in (event.start, event.end))})
    ticks: list[SceneGraph] = []
    for start, end in pairwise(changes if events else ()):
        active = {_key(event) for event in events if is_active(event, start, last)}
        ticks += [_graph(tuple(sorted(active)))] * (end - start)
    return tuple(ticks)


def _key(event: Event) -> _Key:
    return event.agent, event.predicate, event.target


@functools.lru_cache(maxsize=16_384)
def _graph(keys: tuple[_Key, ...]) -> SceneGraph:
    triplets = [Triplet(subject=subject, predicate=predicate, object=target) for subject, predicate, target in keys]
    return scene_graph(triplets, attributes_of({name for subject, _, target in keys for name in (subject, target)}))
