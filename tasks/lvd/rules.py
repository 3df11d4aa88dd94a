"""The LVD benchmark's own rules for layouts, with all their oddities, so that scores compare (specs/lvd.md 3).

What is odd, and kept: whether an object is there is judged by its right and lower edges not being 0, so boxes off the
canvas and boxes without size count; a name matches if it only ends with what is looked for, as "football" does with "ball";
numeracy looks at no name and attribution at no place; directions look at two of six frames, sequences at three, visibility
at four. `tasks.lvd.strict_rules` has readings without these oddities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.lvd.expectations import (
    Attribution,
    Expectation,
    Numeracy,
    OneDirection,
    Quadrant,
    Sequence,
    Side,
    TwoDirections,
    Visibility,
)
from tasks.lvd.interpolation import Boxes, Track, condition_tracks
from tasks.lvd.layout import DynamicSceneLayout

FRAMES = 6
EARLY, LATE = slice(0, 2), slice(4, 6)
FIRST, MIDDLE, LAST = 0, 3, 5


def passes(expectation: Expectation, layout: DynamicSceneLayout) -> bool:
    """Whether a layout shows what its prompt wants, by the rules as published; 6 frames, or resampled to 6."""
    tracks = condition_tracks(layout, FRAMES)
    match expectation:
        case Numeracy():
            return _numeracy(expectation, tracks)
        case Attribution():
            return _attribution(expectation, tracks)
        case Visibility():
            return _visibility(expectation, tracks)
        case OneDirection():
            return _one_direction(expectation, tracks)
        case TwoDirections():
            return _two_directions(expectation, tracks)
        case Sequence():
            return _sequence(expectation, tracks)


def centres(boxes: Boxes) -> Boxes:
    """The centres [frames, 2] of boxes [frames, 4]."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def moves(boxes: Boxes, to: Side) -> bool:
    """Whether the centre is further to that side in the last frame than in the first."""
    start, end = centres(boxes)[[FIRST, LAST], 0]
    return bool(start < end if to == "right" else start > end)


def passes_by(boxes: Boxes, other: Boxes, to: Side) -> bool:
    """Whether the centre is on the other side of `other` in the first frame, and on that side in the last."""
    start, end = (centres(boxes) - centres(other))[[FIRST, LAST], 0]
    return bool(start < 0 < end if to == "right" else start > 0 > end)


def in_quadrant(centre: Boxes, quadrant: Quadrant, middle: float) -> bool:
    """Whether a point is inside a quadrant of the canvas; the lines through its middle belong to none."""
    vertical, horizontal = quadrant.split()
    x, y = centre
    return bool((x < middle if horizontal == "left" else x > middle) and (y < middle if vertical == "upper" else y > middle))


def _valid(track: Track) -> NDArray[np.bool_]:
    return np.asarray((track.boxes[:, 2] != 0) & (track.boxes[:, 3] != 0))


def _find(tracks: list[Track], wanted: str) -> Track | None:
    for track in tracks:
        name = track.name.strip("0123456789 ")
        if name.endswith(wanted) or f"{wanted} " in name:
            return track
    return None


def _numeracy(expectation: Numeracy, tracks: list[Track]) -> bool:
    counts = np.sum([_valid(track) for track in tracks], axis=0, dtype=np.intp) if tracks else np.zeros(1, dtype=np.intp)
    return bool(np.bincount(counts).argmax() == expectation.count)


def _attribution(expectation: Attribution, tracks: list[Track]) -> bool:
    found = [_find(tracks, f"{colour} {noun}") for colour, noun in expectation.pairs]
    return all(track is not None and _valid(track).mean() >= 0.5 for track in found)


def _visibility(expectation: Visibility, tracks: list[Track]) -> bool:
    track = _find(tracks, expectation.object)
    if track is None:
        return False
    hidden, seen = (LATE, EARLY) if expectation.half == "first" else (EARLY, LATE)
    return bool(_valid(track)[seen].any() and not _valid(track)[hidden].any())


def _one_direction(expectation: OneDirection, tracks: list[Track]) -> bool:
    track = _find(tracks, expectation.object)
    return track is not None and bool(_valid(track)[[FIRST, LAST]].all()) and moves(track.boxes, expectation.to)


def _two_directions(expectation: TwoDirections, tracks: list[Track]) -> bool:
    track, other = _find(tracks, expectation.object), _find(tracks, expectation.other)
    if track is None or other is None:
        return False
    both = _valid(track) & _valid(other)
    return bool(both[[FIRST, LAST]].all()) and passes_by(track.boxes, other.boxes, expectation.to)


def _sequence(expectation: Sequence, tracks: list[Track]) -> bool:
    track, moments = _find(tracks, expectation.object), [FIRST, MIDDLE, LAST]
    if track is None or not _valid(track)[moments].all():
        return False
    places = zip(centres(track.boxes)[moments], expectation.quadrants, strict=True)
    return all(in_quadrant(centre, quadrant, 0.5) for centre, quadrant in places)
