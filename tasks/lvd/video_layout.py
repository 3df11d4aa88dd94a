"""From what a detector sees in a video to a layout that the benchmark's rules can judge (specs/lvd.md 5), and how closely
the boxes of another layout were followed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tasks.common.box_matching import pairwise_iou
from tasks.common.errors import UserError
from tasks.lvd.benchmark_prompts import BenchmarkPrompt
from tasks.lvd.expectations import things_of
from tasks.lvd.interpolation import Track, condition_tracks
from tasks.lvd.layout import CANVAS_PIXELS, MOST_OBJECTS, DynamicSceneLayout, LayoutObject
from tasks.lvd.rules import FRAMES
from tasks.lvd.strict_rules import is_named
from tasks.lvd.video_detector import FrameDetections, best_of_each_label, suppress

_IDS_PER_LABEL = 100


def judged_frames(frames: int) -> NDArray[np.intp]:
    """Which six frames of a video are looked at, evenly spread from the first to the last; halves round to even.

    Raises:
        UserError: the video has fewer than six.
    """
    if frames < FRAMES:
        raise UserError(f"a video of {frames} frames cannot be judged; {FRAMES} or more are wanted")
    return np.rint(np.linspace(0, frames - 1, FRAMES)).astype(np.intp)


def settle(found: FrameDetections, prompt: BenchmarkPrompt, nms_threshold: float, *, class_aware: bool) -> FrameDetections:
    """The detections that count in a frame: after suppression, and the best of each label where a prompt wants that."""
    kept = suppress(found, nms_threshold, class_aware=class_aware)
    return best_of_each_label(kept) if prompt.one_box_per_class else kept


def video_layout(prompt: BenchmarkPrompt, found: Sequence[FrameDetections]) -> DynamicSceneLayout:
    """What was found in six frames, as a layout without background.

    The i-th best box of a label keeps one id, 100 * label + i, so ids follow an object only where the best box of each label
    counts. More boxes than a layout holds are left out from the worst on; no rule asks for as many.
    """
    frames = []
    for detections in found:
        ranks: dict[int, int] = {}
        objects = []
        for box, label in list(zip(detections.boxes_N4, detections.labels_N.tolist(), strict=True))[:MOST_OBJECTS]:
            x0, y0, x1, y1 = (box.astype(np.float64) * CANVAS_PIXELS).tolist()
            rank = ranks[label] = ranks.get(label, -1) + 1
            pixels = (round(x0), round(y0), round(x1 - x0), round(y1 - y0))
            objects.append(LayoutObject(id=_IDS_PER_LABEL * label + rank, name=prompt.detector_texts[label], box=pixels))
        frames.append(tuple(objects))
    return DynamicSceneLayout(prompt=prompt.prompt, frames=tuple(frames))


def asked_tracks(prompt: BenchmarkPrompt, layout: DynamicSceneLayout, frames: int) -> list[tuple[int, Track]]:
    """(which query it is, its track in a video of that many frames) of each object of a layout that the detector looks for.

    Boxes are cut at the edges of the canvas; an object of which nothing is left in a frame is absent there.
    """
    things = things_of(prompt.expectation)
    found = []
    for track in condition_tracks(layout, frames):
        label = next((number for number, thing in enumerate(things) if is_named(track.name, thing)), None)
        if label is not None:
            boxes = np.clip(track.boxes, 0, 1)
            present = track.present & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            found.append((label, Track(track.name, boxes, present)))
    return found


def layout_iou(
    asked: Sequence[tuple[int, Track]], places: NDArray[np.intp], found: Sequence[FrameDetections]
) -> float | None:
    """Mean IoU of the boxes that a layout asks for with the detections of their text; 0 where there is none.

    Each detection stands for one object only, so that the sum is largest.

    Args:
        asked: of `asked_tracks`.
        places: the frame of the video for each of `found`.
        found: what was detected there.

    Returns:
        None if the layout asks for no box in these frames.
    """
    total, boxes = 0.0, 0
    for place, detections in zip(places.tolist(), found, strict=True):
        for label in {label for label, _ in asked}:
            wanted = [track.boxes[place] for other, track in asked if other == label and track.present[place]]
            boxes += len(wanted)
            if wanted:
                iou = pairwise_iou(np.array(wanted, np.float32), detections.boxes_N4[detections.labels_N == label])
                total += float(iou[linear_sum_assignment(iou, maximize=True)].sum())
    return total / boxes if boxes else None
