"""How things move: from the places that a motion leads through to the middle in each frame, by simple kinematics.

Keys are [candidates, places, 2] in pixels, `progress` [frames] is 0 before a motion and 1 after it, and all paths are
[candidates, frames, 2].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.captions.scene import Motion, SceneObject
from tasks.lvd.layout import CANVAS_PIXELS

Floats = NDArray[np.float64]

GROWTH = {"approach": (0.5, 1.5), "recede": (1.5, 0.5)}
"""Size at the begin and at the end, in natural sizes."""
_REBOUND = 0.5
"""Height of a rebound, in heights of the fall before it."""
_LEAST_THROW = 0.12 * CANVAS_PIXELS
_THROW = 0.35 * CANVAS_PIXELS
"""Something thrown from less than the first above its floor first rises by the second."""


def visible_frames(item: SceneObject, frames: int) -> NDArray[np.bool_]:
    """Whether the middle (i + 0.5) / frames of each frame lies in the span in which the object can be seen."""
    middles = (np.arange(frames) + 0.5) / frames
    return np.asarray((middles >= item.visible.start) & (middles <= item.visible.end))


def progress(item: SceneObject, frames: int) -> Floats:
    """Share of its motion that is done in each frame; what is seen only for a while moves while it is seen."""
    times = np.linspace(0, 1, frames)
    start, end = item.when.start, item.when.end
    seen = times[visible_frames(item, frames)]
    if len(seen) and max(start, seen[0]) < min(end, seen[-1]):
        start, end = max(start, seen[0]), min(end, seen[-1])
    return np.clip((times - start) / (end - start), 0, 1)


def half_sides(motion: Motion, half_side: int, progress: Floats) -> Floats:
    """Half the side of the box in each frame, in whole pixels; `half_side` is the largest."""
    if motion not in GROWTH:
        return np.full(len(progress), float(half_side))
    first, last = (max(6.0, half_side * factor / max(GROWTH[motion])) for factor in GROWTH[motion])
    return np.rint(first + (last - first) * progress)


def path(motion: Motion, keys: Floats, progress: Floats, ceiling: float, lift: float) -> Floats:
    """The middle in each frame.

    Args:
        motion: still, approach and recede stay at their one key; travel leads through all of its keys with equal time
            for each leg; fall and jump have two keys, begin and end; bounce has a third one at the height of the floor.
        keys: where it leads through.
        progress: share of the motion that is done in each frame.
        ceiling: least y that is inside the canvas.
        lift: height of a jump.
    """
    if motion == "bounce":
        return _bounce(keys, progress, ceiling)
    if motion == "fall":
        share = np.stack([progress, progress**2], axis=1)
        return np.asarray(keys[:, :1] * (1 - share) + keys[:, 1:2] * share)
    points = _legs(keys, progress)
    if motion == "jump":
        height = np.clip(keys[:, :, 1].min(axis=1) - ceiling, 0, lift)
        points[:, :, 1] -= height[:, None] * 4 * progress * (1 - progress)
    return points


def _legs(keys: Floats, progress: Floats) -> Floats:
    legs = keys.shape[1] - 1
    if legs == 0:
        return np.repeat(keys, len(progress), axis=1)
    leg = np.minimum(progress * legs, legs - 1).astype(int)
    share = (progress * legs - leg)[:, None]
    return np.asarray(keys[:, leg] * (1 - share) + keys[:, leg + 1] * share)


def _bounce(keys: Floats, progress: Floats, ceiling: float) -> Floats:
    """A throw whose rebounds lose energy and that ends on the floor, or at the top of a rebound as high as its last key.

    With time in units in which gravity is 2, each hop of height h is the part above 0 of h - (time - time of its top)².
    """
    floor = keys[:, 2, 1]
    first, last = (np.maximum(floor - keys[:, number, 1], 0) for number in (0, 1))
    thrown = np.where(first < _LEAST_THROW, first + _THROW, first)
    top = np.maximum(np.minimum(thrown, floor - ceiling), np.maximum(first, 1))
    in_the_air = last > 1
    rebound = np.where(in_the_air, np.sqrt(last / top), _REBOUND)
    heights = top[:, None] * np.stack([np.ones_like(rebound), rebound, rebound * rebound], axis=1)
    roots = np.sqrt(heights)
    hops = roots[:, :-1] + roots[:, 1:]
    tops = np.sqrt(top - first)[:, None] + np.cumsum(np.insert(hops, 0, 0, axis=1), axis=1)
    whole = tops[:, 2] + np.where(in_the_air, 0, roots[:, 2])
    time = progress * whole[:, None]
    height = (heights[:, :, None] - (time[:, None] - tops[:, :, None]) ** 2).max(axis=1)
    across = keys[:, :1, 0] * (1 - progress) + keys[:, 1:2, 0] * progress
    return np.stack([across, floor[:, None] - np.maximum(height, 0)], axis=2)
