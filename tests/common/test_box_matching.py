"""Matching of boxes: golden cases and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.box_matching import MatchCounts, match_boxes, pairwise_iou

unit = st.floats(0, 1, width=32)
box = st.tuples(unit, unit, unit, unit).map(lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])))


def array(boxes: list[tuple[float, ...]]) -> np.ndarray:
    return np.array(boxes, np.float32).reshape(-1, 4)


def test_iou_of_known_boxes() -> None:
    iou = pairwise_iou(array([(0, 0, 2, 2)]), array([(0, 0, 2, 2), (1, 1, 3, 3), (2, 2, 3, 3), (0, 0, 0, 0)]))
    assert iou.tolist() == [[1.0, pytest.approx(1 / 7), 0.0, 0.0]]


@given(st.lists(box, max_size=5), st.lists(box, max_size=5))
def test_iou_is_symmetric_and_bounded(first: list[tuple[float, ...]], second: list[tuple[float, ...]]) -> None:
    iou = pairwise_iou(array(first), array(second))
    assert iou.shape == (len(first), len(second))
    assert ((iou >= 0) & (iou <= 1 + 1e-6)).all()
    assert np.allclose(iou, pairwise_iou(array(second), array(first)).T)


@given(
    st.lists(st.tuples(box, st.sampled_from("ab"), unit), max_size=6),
    st.lists(st.tuples(box, st.sampled_from("ab")), max_size=6),
)
def test_hits_never_exceed_either_side(predicted: list[tuple], true: list[tuple]) -> None:
    counts = match_boxes(
        array([p[0] for p in predicted]), [p[1] for p in predicted], np.array([p[2] for p in predicted], np.float32),
        array([t[0] for t in true]), [t[1] for t in true],
    )  # fmt: skip
    assert 0 <= counts.hits <= min(counts.predicted, counts.true)
    assert (counts.predicted, counts.true) == (len(predicted), len(true))
    assert 0 <= counts.precision <= 1
    assert 0 <= counts.recall <= 1


def test_a_hit_needs_place_phrase_and_a_free_true_box() -> None:
    true = array([(0, 0, 1, 1), (2, 2, 3, 3)])
    predicted = array([(0, 0, 1, 1), (0, 0, 1, 1), (2, 2, 3, 3), (5, 5, 6, 6)])
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    counts = match_boxes(predicted, ["car", "car", "cat", "car"], scores, true, ["car", "dog"])
    assert counts == MatchCounts(hits=1, predicted=4, true=2, iou_sum=1.0)
    assert (counts.precision, counts.recall, counts.mean_iou) == (0.25, 0.5, 1.0)


def test_the_best_score_takes_the_true_box() -> None:
    true = array([(0, 0, 10, 10)])
    predicted = array([(0, 0, 10, 6), (0, 0, 10, 9)])
    low_first = match_boxes(predicted, ["a", "a"], np.array([0.5, 0.9], np.float32), true, ["a"])
    high_first = match_boxes(predicted, ["a", "a"], np.array([0.9, 0.5], np.float32), true, ["a"])
    assert low_first.mean_iou == pytest.approx(0.9)
    assert high_first.mean_iou == pytest.approx(0.6)
    assert MatchCounts().precision == MatchCounts().recall == MatchCounts().mean_iou == 0
