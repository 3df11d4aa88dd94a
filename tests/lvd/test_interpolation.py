"""Boxes between the frames of a layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.lvd.interpolation import Track, condition_tracks, interpolate, keyframe_tracks
from tasks.lvd.layout import DynamicSceneLayout
from tests.lvd.layouts_for_tests import along, boxes_anywhere, layout, layouts_of, only_in, still

CASES = json.loads((Path(__file__).parent / "golden" / "interpolation.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['case']}-{case['num_out']}x{case['repeat']}")
def test_boxes_are_those_of_the_original(case: dict[str, Any]) -> None:
    boxes, present = np.zeros((6, 4)), np.zeros(6, dtype=np.bool_)
    for frame, box in case["boxes_at"].items():
        boxes[int(frame)], present[int(frame)] = box, True
    found = interpolate(Track("it", boxes, present), case["num_out"], case["repeat"])
    np.testing.assert_allclose(found.boxes, case["out"], atol=1e-6)


def test_boxes_become_corners_as_fractions_without_clipping() -> None:
    (track,) = keyframe_tracks(layout(("car", still((-128, 0, 256, 1024)))))
    np.testing.assert_array_equal(track.boxes, [[-0.25, 0, 0.25, 2]] * 6)


def test_objects_come_in_order_of_first_appearance_with_their_first_name() -> None:
    frames = [
        [{"id": 4, "name": "cat", "box": (0, 0, 1, 1)}],
        [{"id": 0, "name": "dog", "box": (0, 0, 1, 1)}, {"id": 4, "name": "lion", "box": (0, 0, 1, 1)}],
    ]
    found = keyframe_tracks(DynamicSceneLayout.model_validate({"prompt": "p", "frames": frames}))
    assert [track.name for track in found] == ["cat", "dog"]
    assert [list(track.present) for track in found] == [[True, True], [False, True]]


def test_of_an_id_listed_twice_the_later_box_counts() -> None:
    frames = [[{"id": 0, "name": "cat", "box": (0, 0, 1, 1)}, {"id": 0, "name": "cat", "box": (256, 0, 256, 512)}]]
    (track,) = keyframe_tracks(DynamicSceneLayout.model_validate({"prompt": "p", "frames": frames}))
    np.testing.assert_array_equal(track.boxes, [[0.5, 0, 1, 1]])


def test_one_frame_is_a_still_video() -> None:
    (track,) = condition_tracks(layout(("cat", still(frames=1))), 24)
    assert track.present.all()
    assert (track.boxes == track.boxes[0]).all()


def test_sixteen_frames_are_sampled_at_six_moments() -> None:
    (track,) = condition_tracks(layout(("car", along(*range(0, 320, 20)))), 6)
    np.testing.assert_allclose(track.boxes[:, 0] * 512, np.linspace(0, 300, 6), atol=0.01)
    assert track.present.all()


@given(layouts_of(st.just(["car"]), boxes_anywhere()), st.integers(1, 40), st.integers(1, 3))
def test_boxes_stay_within_those_of_the_layout(given_layout: DynamicSceneLayout, frames: int, repeat: int) -> None:
    for track in keyframe_tracks(given_layout):
        found = interpolate(track, frames, repeat)
        assert found.boxes.shape == (frames, 4)
        assert (found.boxes[~found.present] == 0).all()
        known = track.boxes[track.present]
        shown = found.boxes[found.present]
        assert (shown >= known.min(axis=0) - 1e-12).all()
        assert (shown <= known.max(axis=0) + 1e-12).all()


@given(st.integers(1, 256), st.data())
def test_as_many_frames_as_before_change_nothing(frames: int, data: st.DataObject) -> None:
    xs = data.draw(st.lists(st.integers(0, 500), min_size=frames, max_size=frames))
    (track,) = keyframe_tracks(layout(("car", along(*xs))))
    found = interpolate(track, frames)
    assert (found.present == track.present).all()
    np.testing.assert_allclose(found.boxes, track.boxes, atol=1e-5 * frames)


def test_a_gap_stays_a_gap() -> None:
    (track,) = condition_tracks(layout(("cat", only_in({0, 1, 4, 5}))), 12)
    assert list(track.present) == [True] * 4 + [False] * 4 + [True] * 4
