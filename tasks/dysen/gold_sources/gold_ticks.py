"""The graph of each tick of a gold graph: what events plan for it, what names tell, and where things are seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.dysen.graphs.dynamic_scene_graph import Event, SceneGraph, scene_graph
from tasks.dysen.graphs.entity_attributes import attributes_of
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.graphs.spatial_predicates import Box, spatial_triplets


def ticks_of(events: Sequence[Event], boxes: Sequence[Mapping[str, Box]]) -> tuple[SceneGraph, ...]:
    """One graph for each tick that has boxes or an event, the first for tick 0.

    Args:
        events: what happens; `graphs_of` tells the triplets that they plan.
        boxes: for each tick, what is seen where, as fractions of the canvas by name; a tick without any has an empty one.

    Raises:
        ValidationError: a name is no term, or a tick has too many objects, attributes or triplets.
    """
    planned = graphs_of(events)
    ticks = []
    for tick in range(max(len(planned), len(boxes))):
        triplets = planned[tick].triplets if tick < len(planned) else ()
        seen = boxes[tick] if tick < len(boxes) else {}
        named = {*seen, *(name for item in triplets for name in (item.subject, item.object))}
        ticks.append(scene_graph((*triplets, *spatial_triplets(seen)), attributes_of(named), named))
    return tuple(ticks)
