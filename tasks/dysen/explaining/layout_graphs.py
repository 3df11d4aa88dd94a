"""From a layout to a graph sequence: who is seen in each frame, where things stand to each other, and what moves.

One tick is one frame. What a box cannot tell, such as a chase, is not in these graphs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from tasks.dysen.gold_sources.gold_ticks import ticks_of
from tasks.dysen.gold_sources.track_events import events_of_track
from tasks.dysen.graphs.dynamic_scene_graph import (
    LAST_TICK,
    MOST_EVENTS,
    DynamicSceneGraph,
    Event,
    SceneGraph,
    as_term,
    scene_graph,
)
from tasks.dysen.graphs.entity_attributes import attributes_of
from tasks.dysen.graphs.graph_edits import merge
from tasks.dysen.graphs.spatial_predicates import Box
from tasks.dysen.pictures.graph_timeline import PLACES, SCENE
from tasks.lvd.layout import CANVAS_PIXELS, DynamicSceneLayout

SOURCE = "layout"
MOST_RELATED = 30
"""Entities of a tick, the first by name, between which spatial relations are told; those of more do not fit into a graph."""
_LEAST_SIDE = 1 / CANVAS_PIXELS
_LONGEST_NAME = 90  # room for a number behind it
_NO_TERM = re.compile(r"[^\w'-]+")

Tracks = dict[str, dict[int, Box]]
"""By name of an entity and tick, where it is seen: its box, clipped to the canvas, in fractions of it."""


def graph_of_layout(layout: DynamicSceneLayout) -> DynamicSceneGraph:
    """The graph sequence of a layout; the order of objects within frames changes nothing.

    An object is the entity of its id; of several with one name the second is called "red car 2". Of more than
    `LAST_TICK` + 1 frames as many are taken, evenly spread. Of more than `MOST_EVENTS` events the last ones are left out.
    """
    tracks = tracks_of(layout)
    frames = min(len(layout.frames), LAST_TICK + 1)
    told = [event for name, boxes in tracks.items() for run in _runs(boxes) for event in events_of_track(name, run, frames)]
    events = tuple(sorted(told, key=_event_key)[:MOST_EVENTS])
    return DynamicSceneGraph(prompt=layout.prompt, events=events, ticks=_ticks(events, tracks, frames), source=SOURCE)


def tracks_of(layout: DynamicSceneLayout) -> Tracks:
    """Where the entities of a layout are seen; what is never on the canvas, at least a pixel wide and high, is not there."""
    count = min(len(layout.frames), LAST_TICK + 1)
    chosen = np.rint(np.linspace(0, len(layout.frames) - 1, count)).astype(int).tolist()
    boxes: dict[int, dict[int, Box]] = {}
    for tick, frame in enumerate(chosen):
        for item in layout.frames[frame]:
            boxes.setdefault(item.id, {}).pop(tick, None)  # of an id that is listed twice, the later box counts
            seen = _clipped(item.box)
            if seen is not None:
                boxes[item.id][tick] = seen
    names = dict(_named((item.id, item.name) for frame in layout.frames for item in frame))
    return {names[identifier]: boxes[identifier] for identifier in sorted(boxes) if boxes[identifier]}


def _clipped(pixels: tuple[float, float, float, float]) -> Box | None:
    x, y, width, height = pixels
    x0, y0, x1, y1 = (min(max(side / CANVAS_PIXELS, 0.0), 1.0) for side in (x, y, x + width, y + height))
    return (x0, y0, x1, y1) if min(x1 - x0, y1 - y0) >= _LEAST_SIDE else None


def _named(objects: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Each id with a name of its own: what it is called first, and a number if that is taken or could be a place."""
    first: dict[int, str] = {}
    for identifier, name in objects:
        first.setdefault(identifier, term_of_name(name))
    taken = set(first.values()) | PLACES | {SCENE}
    free = set(first.values()) - PLACES - {SCENE}
    for identifier in sorted(first):
        name = first[identifier]
        if name in free:
            free.remove(name)
            yield identifier, name
            continue
        number = 2
        while f"{name} {number}" in taken:
            number += 1
        taken.add(f"{name} {number}")
        yield identifier, f"{name} {number}"


def term_of_name(name: str) -> str:
    """What a layout calls an object, as a term; "object" if nothing is left."""
    plain = " ".join(_NO_TERM.sub(" ", name).split())
    try:
        return as_term(plain[:_LONGEST_NAME])
    except ValueError:
        return "object"


def _runs(boxes: Mapping[int, Box]) -> Iterator[dict[int, Box]]:
    """The boxes of ticks in a row."""
    run: dict[int, Box] = {}
    for tick in sorted(boxes):
        if run and tick - 1 not in run:
            yield run
            run = {}
        run[tick] = boxes[tick]
    if run:
        yield run


def _event_key(event: Event) -> tuple[int, int, str, str, str]:
    return (event.start, event.end, event.agent, event.predicate, event.target)


def _ticks(events: Sequence[Event], tracks: Tracks, frames: int) -> tuple[SceneGraph, ...]:
    seen = [{name: boxes[tick] for name, boxes in sorted(tracks.items()) if tick in boxes} for tick in range(frames)]
    related = ticks_of(events, [dict(islice(boxes.items(), MOST_RELATED)) for boxes in seen])
    return tuple(
        merge(tick, scene_graph((), attributes_of(boxes), boxes)) for tick, boxes in zip(related, seen, strict=True)
    )
