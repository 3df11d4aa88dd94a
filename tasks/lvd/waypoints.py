"""The places that a motion leads through, as intervals of pixels for the middle of a group of boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.captions.scene import Motion, Place, SceneObject
from tasks.lvd.layout import CANVAS_PIXELS
from tasks.lvd.places import FAR, FREE, MIDDLE, NEAR, REGIONS, SIDES, Axis, Interval, Slack, beside, extent, interval

Waypoint = tuple[Interval, Interval]
Bounds = Callable[[int, float | None], NDArray[np.float64]]
"""(index of an object, share of the own motion or None for all of the time) to the box (x0, y0, x1, y1) of that object."""

_DRIFT = 0.25
_HOP = 0.08
_TOP = Axis(0.0, 0.3, 0.0, 0.48)
_BELOW_THE_TOP = Axis(0.35, 0.15, 0.0, 0.7)
_FLOOR = _TOP.mirrored()
_THROWN_FROM = Axis(0.3, 0.2, 0.0, 0.8)
_STANDING = Axis(0.7, 1.0, 0.0, 1.0)
_HEIGHT_ROOM = 0.35
"""Share of the canvas' height that a group which moves up and down may take."""


@dataclass(frozen=True)
class Stage:
    """What a group of boxes finds when it looks for its places.

    Attributes:
        item: what moves.
        places: its places, without those that refer to an object that itself waits for this one.
        home: where it is when no place says so.
        lean: direction in which its regions make way for what is to be beside it, -1..1 for x and y.
        half: half width and height of the whole group in pixels.
        slack: how exactly places are kept.
        bounds: where the others are.
    """

    item: SceneObject
    places: tuple[Place, ...]
    home: tuple[Axis, Axis]
    lean: tuple[float, float]
    half: tuple[float, float]
    slack: Slack
    bounds: Bounds

    def of_axes(self, across: Axis, down: Axis) -> Waypoint:
        """The waypoint at a region of the canvas."""
        return interval(across, self.half[0], self.slack), interval(down, self.half[1], self.slack)

    def axes(self, place: Place | None) -> tuple[Axis, Axis]:
        """The axes of a region; a free one takes its target from the home, and so does everything without a region."""
        if place is None or place.region is None:
            return self.home
        leaning = [
            home._replace(tolerance=axis.tolerance) if axis.is_free
            else axis._replace(target=axis.target + lean * axis.tolerance)
            for axis, home, lean in zip(REGIONS[place.region], self.home, self.lean, strict=True)
        ]  # fmt: skip
        return leaning[0], leaning[1]

    def at(self, place: Place | None, share: float | None) -> Waypoint:
        """The waypoint at a place, at a share of the own motion (None: all of the time)."""
        if place is None or place.of is None or place.side is None:
            return self.of_axes(*self.axes(place))
        return beside(place.side, self.bounds(place.of, share), self.half, self.slack)


def waypoints(stage: Stage) -> list[Waypoint]:
    """Where the motion of a group leads through, as `trajectories.path` wants it."""
    return _WAYPOINTS.get(stage.item.motion, _stay)(stage)


def _first(stage: Stage) -> Place | None:
    return stage.places[0] if stage.places else None


def _last(stage: Stage) -> Place | None:
    return stage.places[-1] if stage.places else None


def _stay(stage: Stage) -> list[Waypoint]:
    return [stage.at(_first(stage), None if stage.slack.throughout else 0.0)]


def _travel(stage: Stage) -> list[Waypoint]:
    if not stage.places:
        return _drift(stage)
    if len(stage.places) > 1:
        last = len(stage.places) - 1
        return [stage.at(place, index / last) for index, place in enumerate(stage.places)]
    place, end = stage.places[0], stage.at(stage.places[0], 1.0)
    if place.side is not None:
        axis, direction = SIDES[place.side]
        edge = (NEAR if direction < 0 else FAR)._replace(tolerance=0.2)
        start = stage.of_axes(edge, FREE) if axis == 0 else stage.of_axes(FREE, edge)
        return [(start[0], end[1]) if axis == 0 else (end[0], start[1]), end]
    across, down = stage.axes(place)
    if place.region == "center":
        return [stage.of_axes(NEAR, down), end]
    return [stage.of_axes(*(axis if axis.is_free else axis.mirrored() for axis in (across, down))), end]


def _drift(stage: Stage) -> list[Waypoint]:
    across, down = stage.of_axes(*stage.home)
    way = min(_DRIFT * CANVAS_PIXELS, across.high - across.low)
    start = Interval(across.target, across.low, across.high - way).moved(-way / 2)
    return [(start, down), (Interval(start.target + way, across.low + way, across.high), down)]


def _fall(stage: Stage) -> list[Waypoint]:
    first, last = _first(stage), _last(stage)
    start, end = stage.at(first, 0.0), stage.at(last, 1.0)
    from_height = _BELOW_THE_TOP if stage.lean[1] > 0 else _TOP
    top, floor = stage.of_axes(FREE, from_height)[1], stage.of_axes(FREE, _FLOOR)[1]
    if len(stage.places) > 1:
        starts_high, ends_low = not _tells_height(first), not _tells_height(last)
    else:
        starts_high = not _tells_height(first) or _is_an_end(first)
        ends_low = first is None or first.region is not None or not _is_an_end(first)
    return [(start[0], top if starts_high else start[1]), (end[0], floor if ends_low else end[1])]


def _tells_height(place: Place | None) -> bool:
    return place is not None and (place.region is None or not REGIONS[place.region][1].is_free)


def _is_an_end(place: Place | None) -> bool:
    """Whether a single place of a fall is where it ends: low on the canvas (on its floor), or beside or above something."""
    if place is None or place.region is None:
        return place is not None and place.side != "below"
    return REGIONS[place.region][1].target > 0.5


def _bounce(stage: Stage) -> list[Waypoint]:
    first, last = _first(stage), _last(stage)
    across, floor = stage.of_axes(FREE, _FLOOR)
    if not stage.places:
        thrown = stage.of_axes(NEAR, _THROWN_FROM)
        return [thrown, (stage.of_axes(FAR, FREE)[0], floor), (across, floor)]
    start, end = stage.at(first, 0.0), stage.at(last, 1.0)
    if len(stage.places) == 1:
        if first is not None and first.region is not None and _tells_height(first):
            room = REGIONS[first.region][1]._replace(tolerance=0.2)
            top, floor = (stage.of_axes(FREE, room._replace(target=edge))[1] for edge in (room.start, room.end))
        else:
            top = start[1] if _tells_height(first) else stage.of_axes(FREE, _THROWN_FROM)[1]
        hop = _HOP * CANVAS_PIXELS
        return [(start[0].moved(-hop), top), (start[0].moved(hop), floor), (across, floor)]
    start_y = start[1] if _tells_height(first) else stage.of_axes(FREE, _THROWN_FROM)[1]
    return [(start[0], start_y), (end[0], end[1] if _tells_height(last) else floor), (across, floor)]


def _jump(stage: Stage) -> list[Waypoint]:
    standing = stage.of_axes(FREE, _STANDING)[1]
    keys = []
    for place, share in ((_first(stage), 0.0), (_last(stage), 1.0)):
        across, down = stage.at(place, share)
        keys.append((across, down.moved(down.high - down.target) if _tells_height(place) else standing))
    return keys


_WAYPOINTS: dict[Motion, Callable[[Stage], list[Waypoint]]] = {
    "travel": _travel,
    "fall": _fall,
    "bounce": _bounce,
    "jump": _jump,
}


def group_room(item: SceneObject, places: tuple[Place, ...], cell: tuple[float, float]) -> tuple[float, float]:
    """Width and height in pixels that a group may take; `cell` is its share of the canvas where it has no places."""
    width, height = extent(places) if places else cell
    if item.motion in ("fall", "bounce", "jump"):
        height = min(height, _HEIGHT_ROOM)
    if item.motion == "bounce" and not places:
        width = NEAR.end - NEAR.start
    if item.motion == "travel" and not places:
        width = min(width, 1 - _DRIFT)
    if item.motion == "travel" and len(places) == 1 and places[0].region == "center":
        width = min(width, MIDDLE.end - MIDDLE.start, NEAR.end - NEAR.start)
    return width * CANVAS_PIXELS, height * CANVAS_PIXELS


def is_upright(item: SceneObject, places: tuple[Place, ...]) -> bool:
    """Whether a group had best stand in a column: when it moves to the side rather than up or down."""
    if item.motion != "travel":
        return False
    if len(places) == 1 and places[0].side is not None:
        return SIDES[places[0].side][0] == 0
    targets = [[axis.target for axis in REGIONS[place.region]] for place in places if place.region is not None]
    if len(targets) == 1:
        return abs(targets[0][0] - 0.5) >= abs(targets[0][1] - 0.5)
    moves = np.abs(np.diff(np.array(targets or [[0.0, 0.0]]), axis=0)).sum(axis=0)
    return bool(moves[0] >= moves[1])
