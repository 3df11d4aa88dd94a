"""Predicted boxes against true ones: precision, recall and mean IoU, with the right phrase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


@dataclass
class MatchCounts:
    """Sums over images; add up with `+=`."""

    hits: int = 0
    predicted: int = 0
    true: int = 0
    iou_sum: float = 0.0

    def __iadd__(self, other: MatchCounts) -> MatchCounts:
        self.hits += other.hits
        self.predicted += other.predicted
        self.true += other.true
        self.iou_sum += other.iou_sum
        return self

    @property
    def precision(self) -> float:
        """Share of predicted boxes that are right; 0 without predictions."""
        return self.hits / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of true boxes that were found; 0 without true boxes."""
        return self.hits / self.true if self.true else 0.0

    @property
    def mean_iou(self) -> float:
        """Mean intersection over union of the hits; 0 without hits."""
        return self.iou_sum / self.hits if self.hits else 0.0


def pairwise_iou(boxes_N4: Boxes, boxes_M4: Boxes) -> NDArray[np.float64]:
    """Intersection over union [N, M] of (x0, y0, x1, y1) boxes; 0 where both are empty."""
    first, second = np.asarray(boxes_N4, np.float64)[:, None], np.asarray(boxes_M4, np.float64)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.prod(np.clip(sides, 0, None), axis=-1)
    areas = [np.prod(np.clip(boxes[..., 2:] - boxes[..., :2], 0, None), axis=-1) for boxes in (first, second)]
    union = areas[0] + areas[1] - shared
    iou: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou


def match_boxes(
    predicted_N4: Boxes,
    predicted_phrases: Sequence[str],
    scores_N: NDArray[np.float32],
    true_M4: Boxes,
    true_phrases: Sequence[str],
    least_iou: float = 0.5,
) -> MatchCounts:
    """Greedy matching in order of score: a hit has IoU of at least `least_iou` and the same phrase; each true box once."""
    counts = MatchCounts(predicted=len(predicted_phrases), true=len(true_phrases))
    if not counts.predicted or not counts.true:
        return counts
    iou = pairwise_iou(predicted_N4, true_M4)
    same = np.array([[a == b for b in true_phrases] for a in predicted_phrases])
    iou[~same] = -1
    for index in np.argsort(-scores_N, kind="stable"):
        best = int(np.argmax(iou[index]))
        if iou[index, best] >= least_iou:
            counts.hits += 1
            counts.iou_sum += float(iou[index, best])
            iou[:, best] = -1
    return counts
