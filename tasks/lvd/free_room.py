"""Finds room for a group of moving boxes among those that are already there, by trying offsets of its waypoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.lvd.layout import CANVAS_PIXELS
from tasks.lvd.waypoints import Waypoint

Floats = NDArray[np.float64]

_STEP = 20.0
_MOST_STEPS = 17
_VERTICAL_COST = 1.15
"""Sideways is the better way to make room than up or down."""
_DECIMALS = 6
"""What differs by less is equal, so that all processors choose alike."""
_LEAST_TIMES = 24
"""Frames and times in between at which boxes must not touch."""
_COARSE_TIMES = 10
_TRIED_AT_ALL_TIMES = 32


class GroupTrack(NamedTuple):
    """A group in all frames: middle [frames, 2], half side [frames], offsets [members, 2] and when it is seen [frames]."""

    middle: Floats
    half_side: Floats
    offsets: Floats
    seen: NDArray[np.bool_]

    def corners(self) -> tuple[Floats, Floats]:
        """Upper left and lower right corner [frames, 2] of the box around all members."""
        reach = self.half_side[:, None]
        return self.middle + self.offsets.min(axis=0) - reach, self.middle + self.offsets.max(axis=0) + reach


class Crowd(NamedTuple):
    """Boxes that are already there: middles [times, boxes, 2] and half sides [times, boxes], -inf where one is not seen."""

    middle: Floats
    half_side: Floats


def candidate_keys(waypoints: Sequence[Waypoint]) -> tuple[Floats, Floats]:
    """Waypoints moved to all sides within their intervals: [candidates, waypoints, 2], and the cost [candidates] of each."""
    target, low, high, _ = np.array(waypoints).transpose(2, 0, 1)
    steps = [_steps(float((low - target)[:, axis].min()), float((high - target)[:, axis].max())) for axis in (0, 1)]
    moves = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    keys = np.clip(target + moves, low, high)
    away = np.abs(keys - target).sum(axis=1)
    return keys, np.round(away[:, 0] + _VERTICAL_COST * away[:, 1], _DECIMALS)


def _steps(lowest: float, highest: float) -> Floats:
    number = min(_MOST_STEPS, 2 + int((highest - lowest) / _STEP))
    return np.append(0.0, np.linspace(lowest, highest, number))


def whole_pixels(paths: Floats, half: tuple[float, float]) -> Floats:
    """Middles on whole pixels, with the group inside the canvas."""
    edge = np.array(half)
    return np.clip(np.rint(paths), edge, CANVAS_PIXELS - edge)


def between_frames(values: Floats, axis: int) -> Floats:
    """Values of each frame with some in between, so that boxes that pass through each other between frames are noticed."""
    frames = values.shape[axis]
    each = max(1, -(-_LEAST_TIMES // frames)) if frames > 1 else 1
    times = np.arange((frames - 1) * each + 1) / each
    before = times.astype(int)
    after = np.minimum(before + 1, frames - 1)
    share = (times - before).reshape(-1, *[1] * (values.ndim - axis - 1))
    return np.asarray(values.take(before, axis) * (1 - share) + values.take(after, axis) * share)


def crowd_of(tracks: Sequence[GroupTrack], frames: int) -> Crowd:
    """All boxes of these groups at the frames and in between."""
    middles = [track.middle[:, None] + track.offsets for track in tracks]
    halves = [np.repeat(_seen_half(track.half_side, track.seen)[:, None], len(track.offsets), axis=1) for track in tracks]
    middle = between_frames(np.concatenate([np.zeros((frames, 0, 2)), *middles], axis=1), 0)
    return Crowd(middle, np.concatenate([np.zeros((len(middle), 0)), *halves], axis=1))


def _seen_half(half_side: Floats, seen: NDArray[np.bool_]) -> Floats:
    """Half sides at the frames and in between; -inf unless the frames before and after both show the box."""
    return np.where(between_frames(seen.astype(float), 0) == 1, between_frames(half_side, 0), -np.inf)


def best_candidate(middles: Floats, costs: Floats, track: GroupTrack, crowd: Crowd, gap: float) -> tuple[int, float]:
    """The cheapest candidate that touches nothing, else the one that overlaps least.

    Args:
        middles: [candidates, frames, 2] of the group on whole pixels.
        costs: [candidates].
        track: the group; its `middle` is not used.
        crowd: what is already there.
        gap: least pixels to keep to it.

    Returns:
        Its index, and how much it overlaps; 0 if it touches nothing.
    """
    half = _seen_half(track.half_side, track.seen)
    some = np.unique(np.linspace(0, len(half) - 1, _COARSE_TIMES).astype(int))
    if not crowd.half_side.shape[1]:
        return int(np.argmin(costs)), 0.0
    middles = between_frames(middles, 1)
    rough = _overlap(middles[:, some], half[some], track.offsets, Crowd(*(values[some] for values in crowd)), gap)
    order = np.lexsort((costs, rough))[:_TRIED_AT_ALL_TIMES]
    exact = _overlap(middles[order], half, track.offsets, crowd, gap)
    best = np.lexsort((costs[order], exact))[0]
    return int(order[best]), float(exact[best])


def _overlap(middles: Floats, half: Floats, offsets: Floats, crowd: Crowd, gap: float) -> Floats:
    """Summed overlap in pixels² x times of each candidate with the crowd; boxes closer than the gap overlap, too."""
    reach = (half[:, None] + crowd.half_side + gap)[None]
    total = np.zeros(len(middles))
    for offset in offsets:
        away = np.abs(middles[:, :, None] + offset - crowd.middle)
        inside = np.maximum(reach - away[..., 0], 0) * np.maximum(reach - away[..., 1], 0)
        total += inside.sum(axis=(1, 2))
    return np.round(total, _DECIMALS)
