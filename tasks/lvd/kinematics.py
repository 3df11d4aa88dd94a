"""From a scene description to a layout: places and motions become boxes, frame by frame, without overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.captions.scene import SceneDescription, Size
from tasks.lvd.formations import LEAST_SIDE, Formation, formations
from tasks.lvd.free_room import GroupTrack, best_candidate, candidate_keys, crowd_of, whole_pixels
from tasks.lvd.groups import Group, groups_of, in_order
from tasks.lvd.layout import CANVAS_PIXELS, MOST_FRAMES, DynamicSceneLayout, LayoutObject
from tasks.lvd.layout_sentences import sentence
from tasks.lvd.places import Slack
from tasks.lvd.trajectories import GROWTH, half_sides, path, progress, visible_frames
from tasks.lvd.waypoints import Stage, group_room, is_upright, waypoints

SIDE: dict[Size, float] = {"small": 0.17, "medium": 0.25, "large": 0.36}
"""Natural side of a box, in shares of the canvas."""
_EXACT = Slack(tolerance=1, margin=10, gap=10, throughout=True, sides=True)
_LOOSE = Slack(tolerance=1.5, margin=2, gap=4, throughout=False, sides=True)
_FREE = _LOOSE._replace(sides=False)
_SCALES = (1.0, 0.85, 0.72, 0.61, 0.52, 0.44, 0.38, 0.32, 0.27, 0.23, 0.2, 0.17, 0.14, 0.12, 0.1)
_TRIES = [(slack, scale) for slack, most in ((_EXACT, 4), (_LOOSE, 5), (_FREE, 15)) for scale in _SCALES[:most]]
"""How exactly places are kept and factor of the natural sizes, from the wanted to the bearable."""
_MOST_ORDERS = 3
_FEW = 12
"""With more boxes than these, one order has to do."""
_LIFTS = (0.3, 0.42, 0.55)
_FULL = 0.9
"""Share of the canvas above which it is no use to look for room."""

Floats = NDArray[np.float64]


def lay_out(scene: SceneDescription, prompt: str, frames: int, planner: str) -> DynamicSceneLayout:
    """Boxes for all objects of a scene in each frame; the same scene always gives the same layout.

    All boxes are squares on whole pixels inside the canvas. They do not overlap as long as there is any room: sizes
    shrink first, then places are kept less exactly, and only then boxes overlap as little as possible.

    Args:
        scene: what happens.
        prompt: the caption, for the layout only.
        frames: number of frames, 1..256; the first is at the begin of the motions, the last at their end.
        planner: who described the scene, for the layout only.

    Raises:
        ValueError: no such number of frames.
    """
    if not 1 <= frames <= MOST_FRAMES:
        raise ValueError(f"frames is {frames}, expected 1..{MOST_FRAMES}")
    groups = groups_of(scene)
    tracks = _arranged(groups, frames)
    by_index = sorted(groups, key=lambda group: group.index)
    return DynamicSceneLayout(
        prompt=prompt,
        frames=_frames(by_index, tracks, frames),
        background=scene.background,
        reasoning=" ".join(sentence(scene, group.index, group.count) for group in by_index),
        planner=planner,
    )


def _frames(groups: Sequence[Group], tracks: dict[int, GroupTrack], frames: int) -> tuple[tuple[LayoutObject, ...], ...]:
    result: list[list[LayoutObject]] = [[] for _ in range(frames)]
    identifier = 0
    for group in groups:
        track = tracks[group.index]
        corners = track.middle[:, None] + track.offsets - track.half_side[:, None, None]
        for frame in np.flatnonzero(track.seen):
            side = 2 * float(track.half_side[frame])
            for member, (x, y) in enumerate(corners[frame].tolist()):
                result[frame].append(LayoutObject(id=identifier + member, name=group.item.label, box=(x, y, side, side)))
        identifier += group.count
    return tuple(map(tuple, result))


def _arranged(groups: Sequence[Group], frames: int) -> dict[int, GroupTrack]:
    """A track for each group, found by trying smaller and smaller sizes and, at each, a few orders of the groups."""
    seen = {group.index: visible_frames(group.item, frames) for group in groups}
    orders = _MOST_ORDERS if sum(group.count for group in groups) <= _FEW else 1
    for slack, scale in _TRIES:
        if _too_full(groups, seen, scale):
            continue
        first: list[int] = []
        for _ in range(orders):
            tracks, failed = _placed(in_order(groups, first), frames, slack, scale, stop=True)
            if failed is None:
                return tracks
            if first[:1] == [failed]:
                break
            first = [failed, *(index for index in first if index != failed)]
    slack, scale = _TRIES[-1]
    return _placed(groups, frames, slack, scale, stop=False)[0]


def _too_full(groups: Sequence[Group], seen: dict[int, NDArray[np.bool_]], scale: float) -> bool:
    sides = {group.index: max(SIDE[group.item.size] * scale, LEAST_SIDE / CANVAS_PIXELS) for group in groups}
    area = sum(group.count * sides[group.index] ** 2 * seen[group.index] for group in groups)
    return float(np.max(area, initial=0)) > _FULL


def _placed(
    groups: Sequence[Group], frames: int, slack: Slack, scale: float, *, stop: bool
) -> tuple[dict[int, GroupTrack], int | None]:
    """Tracks of the groups, one after the other, and the first that found no room; with `stop`, none after it."""
    tracks: dict[int, GroupTrack] = {}
    failed = None
    for group in groups:
        track, overlap = _track(group, frames, slack, scale, tracks)
        if overlap and failed is None:
            failed = group.index
            if stop:
                break
        tracks[group.index] = track
    return tracks, failed


def _track(group: Group, frames: int, slack: Slack, scale: float, others: dict[int, GroupTrack]) -> tuple[GroupTrack, float]:
    """The first formation of a group that touches no other group, else the one that overlaps least, and its overlap."""
    motion = group.item.motion
    done, seen = progress(group.item, frames), visible_frames(group.item, frames)
    crowd = crowd_of(list(others.values()), frames)
    lifts = [lift * math.sqrt(scale) * CANVAS_PIXELS for lift in (_LIFTS if motion == "jump" else _LIFTS[:1])]
    found: list[tuple[float, GroupTrack]] = []
    for formation in _formations(group, slack, scale):
        ways = waypoints(_stage(group, formation, slack, others, done))
        missing = sum(interval.missing for way in ways for interval in way)
        keys, costs = candidate_keys(ways)
        ceiling = formation.half[1] + slack.margin
        paths = np.concatenate([path(motion, keys, done, ceiling, lift) for lift in lifts])
        middles = whole_pixels(paths, formation.half)
        track = GroupTrack(middles[0], half_sides(motion, formation.half_side, done), formation.offsets, seen)
        index, overlap = best_candidate(middles, np.tile(costs, len(lifts)), track, crowd, slack.gap)
        found.append((overlap + missing, track._replace(middle=middles[index])))
        if not found[-1][0]:
            break
    overlap, track = min(found, key=lambda pair: pair[0])
    return track, overlap


def _formations(group: Group, slack: Slack, scale: float) -> list[Formation]:
    growth = max(GROWTH.get(group.item.motion, (1.0,)))
    side = max(SIDE[group.item.size] * scale * CANVAS_PIXELS, LEAST_SIDE) * growth
    width, height = group_room(group.item, group.places, group.cell)
    room = min(width, CANVAS_PIXELS - 2 * slack.margin), min(height, CANVAS_PIXELS - 2 * slack.margin)
    return formations(group.count, side, room, slack.gap, is_upright(group.item, group.places))


def _stage(group: Group, formation: Formation, slack: Slack, others: dict[int, GroupTrack], done: Floats) -> Stage:
    seen = np.flatnonzero(visible_frames(group.item, len(done)))
    frames = seen if len(seen) else np.arange(len(done))

    def bounds(index: int, share: float | None) -> Floats:
        low, high = others[index].corners()
        if share is None:
            return np.concatenate([low[frames].min(axis=0), high[frames].max(axis=0)])
        frame = frames[np.argmin(np.abs(done[frames] - share))]
        return np.concatenate([low[frame], high[frame]])

    return Stage(group.item, group.places, group.home, group.lean, formation.half, slack, bounds)
