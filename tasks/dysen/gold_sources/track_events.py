"""Events from the path of a thing through a video: where it moves, that it stays, when it appears and disappears.

A tick is a frame. Places are called by the axes along which the thing moves anywhere on its path, as captions call them:
what only moves sideways goes to the "right", what also moves up and down to the "upper right".
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tasks.dysen.graphs.dynamic_scene_graph import Event
from tasks.dysen.graphs.spatial_predicates import Box

LEAST_TRAVEL = 0.25  # of the canvas, along an axis
_BEND = 0.15  # how far a path may leave the straight line, at an even pace, before it is one of two legs
_NEARLY = 0.9
_THIRDS = (1 / 3, 2 / 3)
_PLACES = {
    ("left", ""): "left",
    ("right", ""): "right",
    ("", "top"): "top",
    ("", "bottom"): "bottom",
    ("left", "top"): "upper left",
    ("right", "top"): "upper right",
    ("left", "bottom"): "lower left",
    ("right", "bottom"): "lower right",
    ("", ""): "center",
}


def events_of_track(name: str, boxes: Mapping[int, Box], frames: int) -> tuple[Event, ...]:
    """What a thing does, in order of start; nothing in a video of a single frame.

    Args:
        name: of the thing.
        boxes: where it is, as fractions of the canvas by frame, without gaps.
        frames: how many the video has; the last tick is one less.

    Raises:
        ValidationError: the name is no term, or there are more ticks than a graph has.
    """
    first, last = min(boxes), max(boxes)
    events = []
    if first > 0:
        events.append(_event(name, "appear in", "scene", first, first + 1, frames))
    centres_F2 = np.array([_centre(boxes[frame]) for frame in range(first, last + 1)])
    legs = [(start + first, end + first) for start, end in pairwise(_turns(centres_F2))] or [(first, first)]
    travels = [np.abs(centres_F2[end - first] - centres_F2[start - first]) > LEAST_TRAVEL for start, end in legs]
    axes = np.any(travels, axis=0)
    for moving, (start, end) in _joined(legs, [bool(travel.any()) for travel in travels]):
        if moving:
            events.append(_event(name, "move to", _place(centres_F2[end - first], axes), start, end, frames))
        else:
            events.append(_event(name, "stay in", "scene", start, end + (end == last), frames))
    if last < frames - 1:
        events.append(_event(name, "disappear from", "scene", last + 1, last + 2, frames))
    return tuple(event for event in events if event is not None)


def _event(name: str, predicate: str, target: str, start: int, end: int, frames: int) -> Event | None:
    """The event within the ticks of the video; None if nothing is left of it."""
    end = min(end, frames - 1)
    start = min(start, end - 1)
    return Event(agent=name, predicate=predicate, target=target, start=start, end=end) if start >= 0 else None


def _centre(box: Box) -> tuple[float, float]:
    return ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)


def _turns(centres_F2: NDArray[np.float64]) -> list[int]:
    """The frames at which a path begins, turns or changes its pace, and ends; a path of one frame has that one."""
    last = len(centres_F2) - 1
    shares_F1 = np.linspace(0, 1, last + 1)[:, None]
    straight_F2 = centres_F2[0] + shares_F1 * (centres_F2[-1] - centres_F2[0])
    apart_F = np.linalg.norm(centres_F2 - straight_F2, axis=1)
    if apart_F.max() <= _BEND:
        return [0, last] if last else [0]
    # a corner between two frames is reached at the later one, although the earlier one may be as far from the line
    turn = int(np.flatnonzero(apart_F >= _NEARLY * apart_F.max())[-1])
    return [*_turns(centres_F2[: turn + 1])[:-1], *(turn + frame for frame in _turns(centres_F2[turn:]))]


def _joined(legs: list[tuple[int, int]], moving: list[bool]) -> list[tuple[bool, tuple[int, int]]]:
    """The legs in which the thing moves, and those between them as one stay each."""
    found: list[tuple[bool, tuple[int, int]]] = []
    for (start, end), moves in zip(legs, moving, strict=True):
        if found and not moves and not found[-1][0]:
            found[-1] = (False, (found[-1][1][0], end))
        else:
            found.append((moves, (start, end)))
    return found


def _place(centre_2: NDArray[np.float64], axes_2: NDArray[np.bool_]) -> str:
    across, down = (
        (low if value < _THIRDS[0] else high if value > _THIRDS[1] else "") if moves else ""
        for value, moves, (low, high) in zip(
            centre_2.tolist(), axes_2.tolist(), (("left", "right"), ("top", "bottom")), strict=True
        )
    )
    return _PLACES[across, down]
