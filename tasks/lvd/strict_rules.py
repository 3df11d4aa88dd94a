"""The LVD benchmark's rules as its prompts mean them: what passes here can be seen in the video.

Boxes are clipped to the canvas; an object is seen in a frame if both sides of what is left are at least 1 pixel. Names are
compared word by word, in lower case, without digits at the ends of words, and a simple plural is the same word: "car 1",
"Red cars" and "car2" are cars, "football" is no ball and "carpet" no car. Objects that are never seen do not exist.

| task            | published rule                                  | strict rule                                    |
|-----------------|-------------------------------------------------|------------------------------------------------|
| all             | boxes off the canvas and without size count     | clipped boxes, each side at least 1 pixel      |
| all             | a name ends with the word, or a space follows   | whole words, any case, plural allowed          |
| numeracy        | most frequent number of objects of any name     | n of the class in more than half of the frames |
| attribution     | both found, each in at least half of the frames | also: each once, no other object of these      |
|                 |                                                 | classes, and never two in the same box         |
| visibility      | unseen in two frames, seen in one of two others | also: it is seen in one run of frames; all of  |
|                 |                                                 | the class count, not the first alone           |
| dynamic_spatial | x of the centres in the first and last frame    | the same                                       |
| sequential      | quadrant of the centre in frames 1, 4 and 6     | the same                                       |

A strict pass is a published pass as long as boxes stay on the canvas, names are plain words and there are no objects but
those asked for. Otherwise it need not be one: a car that waits off the canvas and then drives in appears, and a bystander of
another class does not change how many cars there are. Directions and sequences look at few frames on purpose: a prompt says
where a motion begins and ends, not how it goes in between. Of several objects of a class they take the first that is seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.lvd.expectations import (
    Attribution,
    Expectation,
    Numeracy,
    OneDirection,
    Sequence,
    TwoDirections,
    Visibility,
)
from tasks.lvd.interpolation import Boxes, condition_tracks, keyframe_tracks
from tasks.lvd.layout import CANVAS_PIXELS, DynamicSceneLayout
from tasks.lvd.rules import EARLY, FIRST, FRAMES, LAST, LATE, MIDDLE, centres, in_quadrant, moves, passes_by

_LEAST_PIXELS = 1


@dataclass(frozen=True)
class _SeenObject:
    """The words of its name, its clipped boxes [6, 4] in pixels, and in which frames it is seen [6]."""

    words: tuple[str, ...]
    boxes: Boxes
    seen: NDArray[np.bool_]


def passes(expectation: Expectation, layout: DynamicSceneLayout) -> bool:
    """Whether a layout shows what its prompt wants, by the strict rules; 6 frames, or resampled to 6."""
    objects = _seen_objects(layout)
    match expectation:
        case Numeracy():
            return _numeracy(expectation, objects)
        case Attribution():
            return _attribution(expectation, objects)
        case Visibility():
            return _visibility(expectation, objects)
        case OneDirection():
            return _one_direction(expectation, objects)
        case TwoDirections():
            return _two_directions(expectation, objects)
        case Sequence():
            return _sequence(expectation, objects)


def is_named(name: str, wanted: str) -> bool:
    """Whether all words of `wanted` stand in a name, next to each other; its last word may be in the plural."""
    return _has(_words(name), wanted)


def _words(name: str) -> tuple[str, ...]:
    stripped = (word.strip("0123456789") for word in re.findall(r"[^\W_]+", name.lower()))
    return tuple(word for word in stripped if word)


def _has(words: tuple[str, ...], wanted: str) -> bool:
    *before, last = _words(wanted)
    forms = {last, f"{last}s", f"{last}es", re.sub("y$", "ies", last)}
    starts = range(len(words) - len(before))
    return any(list(words[at : at + len(before)]) == before and words[at + len(before)] in forms for at in starts)


def _seen_objects(layout: DynamicSceneLayout) -> list[_SeenObject]:
    exact = len(layout.frames) == FRAMES
    objects = []
    for track in keyframe_tracks(layout) if exact else condition_tracks(layout, FRAMES):
        boxes = np.clip(track.boxes * CANVAS_PIXELS, 0, CANVAS_PIXELS)
        seen = np.all(boxes[:, 2:] - boxes[:, :2] >= _LEAST_PIXELS, axis=1)
        if seen.any():
            objects.append(_SeenObject(_words(track.name), boxes, seen))
    return objects


def _all_named(objects: list[_SeenObject], wanted: str) -> list[_SeenObject]:
    return [item for item in objects if _has(item.words, wanted)]


def _how_many_seen(objects: list[_SeenObject]) -> NDArray[np.intp]:
    return np.sum([item.seen for item in objects], axis=0, dtype=np.intp) if objects else np.zeros(FRAMES, dtype=np.intp)


def _numeracy(expectation: Numeracy, objects: list[_SeenObject]) -> bool:
    counts = _how_many_seen(_all_named(objects, expectation.object))
    return bool((counts == expectation.count).mean() > 0.5)


def _attribution(expectation: Attribution, objects: list[_SeenObject]) -> bool:
    nouns = {noun for _, noun in expectation.pairs}
    candidates = [item for item in objects if any(_has(item.words, noun) for noun in nouns)]
    wanted = [f"{colour} {noun}" for colour, noun in expectation.pairs]
    found = [[index for index, item in enumerate(candidates) if _has(item.words, name)] for name in wanted]
    if sorted(found) != [[index] for index in range(len(candidates))] or any(item.seen.mean() < 0.5 for item in candidates):
        return False
    boxes = [np.where(item.seen[:, None], item.boxes, np.nan) for item in candidates]
    return not any(_meet(one, two) for index, one in enumerate(boxes) for two in boxes[:index])


def _meet(one: Boxes, two: Boxes) -> bool:
    return bool((np.abs(one - two) < _LEAST_PIXELS).all(axis=1).any())


def _visibility(expectation: Visibility, objects: list[_SeenObject]) -> bool:
    seen = _how_many_seen(_all_named(objects, expectation.object)) > 0
    hidden, shown = (LATE, EARLY) if expectation.half == "first" else (EARLY, LATE)
    is_one_run = np.count_nonzero(np.diff(seen, prepend=False, append=False)) == 2
    return bool(seen[shown].any() and not seen[hidden].any() and is_one_run)


def _first_named(objects: list[_SeenObject], wanted: str) -> _SeenObject | None:
    return next(iter(_all_named(objects, wanted)), None)


def _one_direction(expectation: OneDirection, objects: list[_SeenObject]) -> bool:
    item = _first_named(objects, expectation.object)
    return item is not None and bool(item.seen[[FIRST, LAST]].all()) and moves(item.boxes, expectation.to)


def _two_directions(expectation: TwoDirections, objects: list[_SeenObject]) -> bool:
    item, other = _first_named(objects, expectation.object), _first_named(objects, expectation.other)
    if item is None or other is None:
        return False
    return bool((item.seen & other.seen)[[FIRST, LAST]].all()) and passes_by(item.boxes, other.boxes, expectation.to)


def _sequence(expectation: Sequence, objects: list[_SeenObject]) -> bool:
    item, moments = _first_named(objects, expectation.object), [FIRST, MIDDLE, LAST]
    if item is None or not item.seen[moments].all():
        return False
    places = zip(centres(item.boxes)[moments], expectation.quadrants, strict=True)
    return all(in_quadrant(centre, quadrant, CANVAS_PIXELS / 2) for centre, quadrant in places)
