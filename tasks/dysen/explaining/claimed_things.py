"""Which entities of a layout stand for the objects that its caption names, and where they are.

Legend: T ticks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.captions.scene import SceneObject
from tasks.dysen.explaining.layout_graphs import Tracks, term_of_name
from tasks.dysen.scores.term_matching import lemma_key

Path = NDArray[np.float64]


class Thing(NamedTuple):
    """An object of a caption and the entities that stand for it.

    Attributes:
        item: the object.
        names: the entities, at most as many as the caption counts.
        unlike: those among them that do not look as the caption says.
        surplus: further entities of that name that stand for nothing else.
        path_T2: the middle of all of them in fractions of the canvas, NaN where none is seen.
        area_T: the mean area of their boxes as a fraction of the canvas, NaN where none is seen.
    """

    item: SceneObject
    names: tuple[str, ...]
    unlike: tuple[str, ...]
    surplus: tuple[str, ...]
    path_T2: Path
    area_T: Path

    @property
    def seen(self) -> list[int]:
        """The ticks in which any of them is seen."""
        ticks: list[int] = np.flatnonzero(~np.isnan(self.area_T)).tolist()
        return ticks


def things_of(objects: Sequence[SceneObject], tracks: Tracks, ticks: int) -> list[Thing]:
    """The objects of a caption, in order, with their entities.

    Names are compared by their last words, in the singular. Entities that look as told are taken first, by objects that are
    told most of first.
    """
    free = list(tracks)
    names: dict[int, list[str]] = {index: [] for index in range(len(objects))}
    in_turn = sorted(names, key=lambda index: (not objects[index].attribute, index))
    for alike in (True, False):
        for index in in_turn:
            item = objects[index]
            fitting = [name for name in free if _is_named(name, item) and (not alike or _looks_like(name, item))]
            taken = fitting[: item.count - len(names[index])]
            names[index] += taken
            free = [name for name in free if name not in taken]
    things = []
    for index, item in enumerate(objects):
        surplus = tuple(name for name in free if _is_named(name, item) and _looks_like(name, item))
        free = [name for name in free if name not in surplus]
        mine = tuple(names[index])
        unlike = tuple(name for name in mine if not _looks_like(name, item))
        things.append(Thing(item, mine, unlike, surplus, *_followed([tracks[name] for name in mine], ticks)))
    return things


def _words(name: str) -> list[str]:
    words = name.split()
    return words[:-1] if len(words) > 1 and words[-1].isdecimal() else words


def _is_named(name: str, item: SceneObject) -> bool:
    wanted = term_of_name(item.name)
    last = " ".join(_words(name)[-len(wanted.split()) :])
    return lemma_key(last, "object") == lemma_key(wanted, "object")


def _looks_like(name: str, item: SceneObject) -> bool:
    return not item.attribute or set(term_of_name(item.attribute).split()) <= set(_words(name))


def _followed(tracks: Sequence[dict[int, tuple[float, float, float, float]]], ticks: int) -> tuple[Path, Path]:
    path_T2, area_T = np.full((ticks, 2), np.nan), np.full(ticks, np.nan)
    for tick in range(ticks):
        boxes = np.array([track[tick] for track in tracks if tick in track]).reshape(-1, 4)
        if len(boxes):
            path_T2[tick] = (boxes[:, :2].min(axis=0) + boxes[:, 2:].max(axis=0)) / 2
            area_T[tick] = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).mean()
    return path_T2, area_T
