"""What is detected in the frames of a video, linked to tracks: the same thing in one frame after the other.

Legend: T tracks, N sightings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tasks.common.box_matching import pairwise_iou
from tasks.dysen.graphs.spatial_predicates import Box

_NEVER = 1e6  # costs more than any possible pair


class Sighting(NamedTuple):
    """A thing in one frame: its box as fractions of the canvas, what it is called, and a score from 0 to 1."""

    box: Box
    phrase: str
    score: float


class Linking(NamedTuple):
    """How sightings become tracks.

    Attributes:
        same_thing: IoU from which two sightings of a frame are one thing; the better one counts.
        farthest: how far a thing moves from one frame to the next, at most, in diagonals of its boxes.
        longest_gap: frames in a row in which a thing may be missed; its box is put between those around the gap.
        least_sightings: a track with fewer of them is taken for a mistake of the detector.
    """

    same_thing: float = 0.5
    farthest: float = 1.0
    longest_gap: int = 2
    least_sightings: int = 2


class Track(NamedTuple):
    """One thing through a video: its name, what it was called when it was looked for, and its box in each frame."""

    name: str
    phrase: str
    boxes: Mapping[int, Box]


def link(frames: Sequence[Sequence[Sighting]], linking: Linking = Linking()) -> list[Track]:  # noqa: B008 - immutable
    """The tracks of a video, in order of phrase, first frame and first box.

    In each frame, the sightings of a phrase are paired with its tracks so that boxes overlap most in sum, and where they
    overlap too little, lie nearest. A thing that is missed in no more frames than a gap may have is there all the same, in
    the first and last frames too. The order of the sightings of a frame changes nothing.

    Things of the same phrase are numbered: "red car", "red car 2".
    """
    begun: list[tuple[str, dict[int, Box]]] = []
    for frame, sightings in enumerate(frames):
        distinct = each_once(sightings, linking.same_thing)
        for phrase in sorted({item.phrase for item in distinct}):
            boxes = [item.box for item in distinct if item.phrase == phrase]
            open_tracks = [track for of, track in begun if of == phrase and frame - max(track) <= linking.longest_gap + 1]
            begun += [(phrase, track) for track in _continue(open_tracks, boxes, frame, linking.farthest)]
    least = min(linking.least_sightings, len(frames))
    kept = [(phrase, _without_gaps(track, len(frames), linking)) for phrase, track in begun if len(track) >= least]
    return _named(kept)


def each_once(sightings: Iterable[Sighting], same_thing: float) -> list[Sighting]:
    """The sightings of a frame without those that overlap a better one with an IoU of `same_thing` or more, best first."""
    ordered = sorted(sightings, key=lambda item: (-item.score, item.phrase, item.box))
    boxes_N4 = np.array([item.box for item in ordered], np.float32).reshape(-1, 4)
    rivals_NN = pairwise_iou(boxes_N4, boxes_N4) >= same_thing
    kept: list[int] = []
    for index in range(len(ordered)):
        if not rivals_NN[index, kept].any():
            kept.append(index)
    return [ordered[index] for index in kept]


def _continue(tracks: Sequence[dict[int, Box]], boxes: Sequence[Box], frame: int, farthest: float) -> list[dict[int, Box]]:
    """Puts boxes of a frame into tracks; those that fit none are new tracks."""
    taken: set[int] = set()
    if tracks and boxes:
        costs_TN = _costs(tracks, boxes, frame, farthest)
        for track, index in zip(*linear_sum_assignment(costs_TN), strict=True):
            if costs_TN[track, index] < _NEVER:
                tracks[track][frame] = boxes[index]
                taken.add(int(index))
    return [{frame: box} for index, box in enumerate(boxes) if index not in taken]


def _costs(tracks: Sequence[dict[int, Box]], boxes: Sequence[Box], frame: int, farthest: float) -> NDArray[np.float64]:
    """[T, N]: from -1 for the same box up to `farthest` for one that is only just near enough."""
    latest = [max(track) for track in tracks]
    last_T4 = np.array([track[of] for track, of in zip(tracks, latest, strict=True)], np.float64)
    boxes_N4 = np.array(boxes, np.float64)
    apart_TN = np.linalg.norm(_centres(last_T4)[:, None] - _centres(boxes_N4)[None], axis=2)
    size_TN = (_diagonals(last_T4)[:, None] + _diagonals(boxes_N4)[None]) / 2
    frames_T = frame - np.array(latest)
    steps_TN = apart_TN / np.maximum(size_TN, 1e-9) / frames_T[:, None]
    overlap_TN = pairwise_iou(last_T4.astype(np.float32), boxes_N4.astype(np.float32))
    costs_TN: NDArray[np.float64] = np.where(steps_TN <= farthest, steps_TN - overlap_TN, _NEVER)
    return costs_TN


def _centres(boxes_N4: NDArray[np.float64]) -> NDArray[np.float64]:
    centres_N2: NDArray[np.float64] = (boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2
    return centres_N2


def _diagonals(boxes_N4: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hypot(boxes_N4[:, 2] - boxes_N4[:, 0], boxes_N4[:, 3] - boxes_N4[:, 1])


def _without_gaps(track: dict[int, Box], frames: int, linking: Linking) -> dict[int, Box]:
    """A box in each frame from the first to the last one, and in those at the ends of the video that a gap may have."""
    seen = sorted(track)
    sides = [np.interp(range(seen[0], seen[-1] + 1), seen, [track[frame][side] for frame in seen]) for side in range(4)]
    boxes: dict[int, Box] = {}
    if seen[0] <= linking.longest_gap:
        boxes |= dict.fromkeys(range(seen[0]), track[seen[0]])
    for frame, (x0, y0, x1, y1) in enumerate(np.stack(sides, axis=1).tolist(), start=seen[0]):
        boxes[frame] = (x0, y0, x1, y1)
    if frames - 1 - seen[-1] <= linking.longest_gap:
        boxes |= dict.fromkeys(range(seen[-1] + 1, frames), track[seen[-1]])
    return boxes


def _named(tracks: Sequence[tuple[str, dict[int, Box]]]) -> list[Track]:
    names: set[str] = {phrase for phrase, _ in tracks}
    named: list[Track] = []
    for phrase, boxes in sorted(tracks, key=lambda item: (item[0], min(item[1]), item[1][min(item[1])])):
        name, number = phrase, 2
        if any(track.phrase == phrase for track in named):
            while (name := f"{phrase} {number}") in names:
                number += 1
        names.add(name)
        named.append(Track(name, phrase, boxes))
    return named
