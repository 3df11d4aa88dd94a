"""How clean the boxes of layouts are, whatever their prompts want (specs/lvd.md 3.1)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.lvd.layout import CANVAS_PIXELS, DynamicSceneLayout, LayoutObject


@dataclass(frozen=True)
class Hygiene:
    """Counts over a set of layouts.

    Attributes:
        layouts: how many there are.
        out_of_frame: layouts with a box that leaves the canvas.
        off_canvas: layouts with a box that lies outside of the canvas as a whole.
        overlapping: layouts with two boxes of one frame that share an area.
        zero_size_boxes: boxes without width or height, in all layouts.
    """

    layouts: int
    out_of_frame: int
    off_canvas: int
    overlapping: int
    zero_size_boxes: int


def examine(layouts: Iterable[DynamicSceneLayout]) -> Hygiene:
    """Counts what is wrong with the boxes of layouts."""
    sets = list(layouts)
    return Hygiene(
        layouts=len(sets),
        out_of_frame=sum(any(_leaves(item) for item in _boxes(layout)) for layout in sets),
        off_canvas=sum(any(_is_outside(item) for item in _boxes(layout)) for layout in sets),
        overlapping=sum(any(_overlaps(frame) for frame in layout.frames) for layout in sets),
        zero_size_boxes=sum(item.box[2] <= 0 or item.box[3] <= 0 for layout in sets for item in _boxes(layout)),
    )


def _boxes(layout: DynamicSceneLayout) -> Iterable[LayoutObject]:
    return itertools.chain(*layout.frames)


def _leaves(item: LayoutObject) -> bool:
    x, y, width, height = item.box
    return x < 0 or y < 0 or x + width > CANVAS_PIXELS or y + height > CANVAS_PIXELS


def _is_outside(item: LayoutObject) -> bool:
    x, y, width, height = item.box
    return x >= CANVAS_PIXELS or y >= CANVAS_PIXELS or x + width <= 0 or y + height <= 0


def _overlaps(frame: tuple[LayoutObject, ...]) -> bool:
    for one, two in itertools.combinations(frame, 2):
        (x, y, width, height), (other_x, other_y, other_width, other_height) = one.box, two.box
        across = min(x + width, other_x + other_width) - max(x, other_x)
        down = min(y + height, other_y + other_height) - max(y, other_y)
        if across > 0 and down > 0:
            return True
    return False
