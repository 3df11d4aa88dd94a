"""Where the middle of something may be: the regions of the canvas and the sides of another object, in pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.captions.scene import Place, Region, Side
from tasks.lvd.layout import CANVAS_PIXELS


class Axis(NamedTuple):
    """A place along one axis, in shares of the canvas: the middle is to be at `target`, boxes between `start` and `end`."""

    target: float
    tolerance: float
    start: float
    end: float

    @property
    def is_free(self) -> bool:
        """Whether the place says nothing about this axis."""
        return self.tolerance >= 1

    def mirrored(self) -> Axis:
        """The same at the other side of the canvas."""
        return Axis(1 - self.target, self.tolerance, 1 - self.end, 1 - self.start)


FREE = Axis(0.5, 1.0, 0.0, 1.0)
NEAR = Axis(0.2, 0.1, 0.0, 0.48)
FAR = NEAR.mirrored()
MIDDLE = Axis(0.5, 0.1, 0.2, 0.8)
_QUARTER = Axis(0.25, 0.1, 0.0, 0.48)
REGIONS: dict[Region, tuple[Axis, Axis]] = {
    "left": (NEAR, FREE),
    "right": (FAR, FREE),
    "top": (FREE, NEAR),
    "bottom": (FREE, FAR),
    "center": (MIDDLE, MIDDLE),
    "upper left": (_QUARTER, _QUARTER),
    "upper right": (_QUARTER.mirrored(), _QUARTER),
    "lower left": (_QUARTER, _QUARTER.mirrored()),
    "lower right": (_QUARTER.mirrored(), _QUARTER.mirrored()),
}
SIDES: dict[Side, tuple[int, int]] = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "below": (1, 1)}
"""Axis (0 is x) and direction of each side."""
_REACH = 0.25
"""How far beside another object something may be, in shares of the canvas."""


class Slack(NamedTuple):
    """How exactly places are kept.

    Attributes:
        tolerance: factor of the tolerances.
        margin, gap: pixels to the edge of the canvas and between boxes.
        throughout: whether what stays beside a moving object is beside it all the time, not at the begin only.
        sides: whether what is to be beside another object must be; else it is as near to that as it can.
    """

    tolerance: float
    margin: float
    gap: float
    throughout: bool
    sides: bool


class Interval(NamedTuple):
    """Pixels in which a middle may be along one axis, where it had best be, and how many are missing to be there."""

    target: float
    low: float
    high: float
    missing: float = 0.0

    def moved(self, pixels: float) -> Interval:
        """With its target elsewhere, as far as it goes."""
        return self._replace(target=min(max(self.target + pixels, self.low), self.high))


def interval(axis: Axis, half: float, slack: Slack) -> Interval:
    """Where the middle of a box that reaches `half` pixels to both sides may be; always inside the canvas."""
    wanted, tolerance = axis.target * CANVAS_PIXELS, axis.tolerance * slack.tolerance * CANVAS_PIXELS
    start, end = axis.start * CANVAS_PIXELS, axis.end * CANVAS_PIXELS
    low = max(wanted - tolerance, start + half, slack.margin + half)
    high = min(wanted + tolerance, end - half, CANVAS_PIXELS - slack.margin - half)
    if low > high:
        low = high = min(max((start + end) / 2, half), CANVAS_PIXELS - half)
    return Interval(min(max(wanted, low), high), low, high)


def beside(side: Side, bounds: NDArray[np.float64], half: tuple[float, float], slack: Slack) -> tuple[Interval, Interval]:
    """Where a middle may be at a side of a box `bounds` = (x0, y0, x1, y1); at the canvas' edge where room is missing."""
    axis, direction = SIDES[side]
    edge, gap = bounds[axis + (2 if direction > 0 else 0)], max(2 * slack.gap, 2.0)
    first = float(edge + direction * (gap + half[axis]))
    last = first + direction * _REACH * slack.tolerance * CANVAS_PIXELS
    along = _inside(first, min(first, last), max(first, last), half[axis])
    other = 1 - axis
    middle, reach = (bounds[other] + bounds[other + 2]) / 2, (bounds[other + 2] - bounds[other]) / 2 + half[other] + 2 * gap
    across = _inside(float(middle), float(middle - reach), float(middle + reach), half[other])._replace(missing=0.0)
    if not slack.sides:
        along = along._replace(low=half[axis], high=CANVAS_PIXELS - half[axis], missing=0.0)
    return (along, across) if axis == 0 else (across, along)


def _inside(target: float, low: float, high: float, half: float) -> Interval:
    nearest, *limits = (min(max(value, half), CANVAS_PIXELS - half) for value in (target, low, high))
    return Interval(nearest, limits[0], limits[1], abs(nearest - target))


def extent(places: tuple[Place, ...]) -> tuple[float, float]:
    """Width and height, in shares of the canvas, that all of these places offer to a group of boxes."""
    width = height = 1.0
    for place in places:
        if place.region is not None:
            across, down = REGIONS[place.region]
            width, height = min(width, across.end - across.start), min(height, down.end - down.start)
        elif place.side in ("left", "right"):
            width = min(width, 0.4)
        else:
            height = min(height, 0.4)
    return width, height
