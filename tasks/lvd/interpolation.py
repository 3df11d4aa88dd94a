"""From the frames of a layout to one box per object and video frame (specs/lvd.md 1.6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.lvd.layout import CANVAS_PIXELS, DynamicSceneLayout

Boxes = NDArray[np.float64]
_END = 1e-5


@dataclass(frozen=True)
class Track:
    """One object over all frames.

    Attributes:
        name: what the layout calls it first.
        boxes: [frames, 4], x0, y0, x1, y1 as fractions of the canvas, not clipped; all 0 where the object is absent.
        present: [frames], whether the object is there.
    """

    name: str
    boxes: Boxes
    present: NDArray[np.bool_]


def keyframe_tracks(layout: DynamicSceneLayout) -> list[Track]:
    """The objects of a layout in its own frames, in order of first appearance.

    If an id is listed twice in a frame, the later box counts.
    """
    count = len(layout.frames)
    tracks: dict[int, Track] = {}
    for index, frame in enumerate(layout.frames):
        for item in frame:
            if item.id not in tracks:
                tracks[item.id] = Track(item.name, np.zeros((count, 4)), np.zeros(count, dtype=np.bool_))
            x, y, width, height = item.box
            tracks[item.id].boxes[index] = np.array([x, y, x + width, y + height]) / CANVAS_PIXELS
            tracks[item.id].present[index] = True
    return list(tracks.values())


def condition_tracks(layout: DynamicSceneLayout, frames: int, repeat: int = 1) -> list[Track]:
    """The objects of a layout in a video of `frames` frames that plays the layout `repeat` times."""
    return [interpolate(track, frames, repeat) for track in keyframe_tracks(layout)]


def interpolate(track: Track, frames: int, repeat: int = 1) -> Track:
    """A track in another number of frames, each coordinate linear between the frames in which the object is present.

    With as many frames as before, nothing changes but up to 1e-5 of the way to the next frame. As in the original, presence
    changes at multiples of 1 / n of the time for n layout frames, while positions are anchored at multiples of 1 / (n - 1).

    Args:
        track: present in at least one frame.
        frames: how many are wanted, at least 1.
        repeat: how often the video plays the track, at least 1.
    """
    count, known = len(track.present), np.flatnonzero(track.present)
    moments = np.linspace(0, repeat - _END, frames)
    anchors = (known / max(count - 1, 1) + np.arange(repeat)[:, None]).ravel()
    positions = np.tile(track.boxes[known], (repeat, 1))
    present = track.present[np.floor(moments % 1 * count).astype(np.intp)]
    boxes = np.stack([np.interp(moments, anchors, positions[:, axis]) for axis in range(4)], axis=1)
    return Track(track.name, np.where(present[:, None], boxes, 0.0), present)
