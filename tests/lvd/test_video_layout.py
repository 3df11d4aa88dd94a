"""From detections to layouts, and how closely boxes are followed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.lvd import rules, strict_rules
from tasks.lvd.benchmark_prompts import BenchmarkPrompt, benchmark_prompts
from tasks.lvd.expectations import TASKS
from tasks.lvd.interpolation import condition_tracks, keyframe_tracks
from tasks.lvd.layout import MOST_OBJECTS, DynamicSceneLayout
from tasks.lvd.video_detector import FrameDetections
from tasks.lvd.video_layout import asked_tracks, judged_frames, layout_iou, settle, video_layout
from tests.lvd.layouts_for_tests import along, layout, only_in, still

NUMERACY, ATTRIBUTION, VISIBILITY, DYNAMIC, SEQUENTIAL = (
    next(item for item in benchmark_prompts() if item.task == task) for task in TASKS
)


def seen(*boxes: tuple[float, float, float, float], labels: list[int] | None = None) -> FrameDetections:
    """What is found in one frame, best first."""
    count = len(boxes)
    corners_N4 = np.array(boxes, np.float32).reshape(-1, 4)
    return FrameDetections(
        corners_N4, np.linspace(0.9, 0.5, count, dtype=np.float32), np.array(labels or [0] * count, np.intp)
    )


@pytest.mark.parametrize(
    ("frames", "places"),
    [
        (6, [0, 1, 2, 3, 4, 5]),
        (7, [0, 1, 2, 4, 5, 6]),
        (8, [0, 1, 3, 4, 6, 7]),
        (16, [0, 3, 6, 9, 12, 15]),
        (24, [0, 5, 9, 14, 18, 23]),
    ],
)
def test_frames_are_those_of_the_benchmark(frames: int, places: list[int]) -> None:
    assert judged_frames(frames).tolist() == places


@given(st.integers(6, 10_000))
def test_six_different_frames_from_the_first_to_the_last(frames: int) -> None:
    places = judged_frames(frames).tolist()
    assert len(places) == 6
    assert (np.diff(places) > 0).all()
    assert (places[0], places[-1]) == (0, frames - 1)


@pytest.mark.parametrize("frames", [1, 5])
def test_shorter_videos_are_refused(frames: int) -> None:
    with pytest.raises(UserError, match=f"a video of {frames} frames cannot be judged"):
        judged_frames(frames)


def test_only_prompts_that_count_keep_several_boxes_of_a_query() -> None:
    found = seen((0, 0, 0.4, 0.4), (0.01, 0, 0.4, 0.4), (0.6, 0.6, 0.9, 0.9), labels=[0, 1, 0])
    assert len(settle(found, NUMERACY, 0.5, class_aware=False).boxes_N4) == 2
    assert len(settle(found, NUMERACY, 0.5, class_aware=True).boxes_N4) == 3
    assert settle(found, ATTRIBUTION, 0.5, class_aware=True).labels_N.tolist() == [0, 1]
    assert settle(found, ATTRIBUTION, 0.5, class_aware=False).labels_N.tolist() == [0]


def test_detections_become_objects_with_the_query_as_their_name() -> None:
    first = seen((0.1, 0.2, 0.3, 0.5), (0.5, 0.5, 1.0, 1.0), labels=[1, 0])
    second = seen((0.0, 0.0, 0.25, 0.25), labels=[1])
    made = video_layout(ATTRIBUTION, [first, second, seen(), seen(), seen(), seen()])
    one, two = ATTRIBUTION.detector_texts
    assert made.prompt == ATTRIBUTION.prompt
    assert made.background == ""
    assert [[(item.id, item.name, item.box) for item in frame] for frame in made.frames[:3]] == [
        [(100, two, (51, 102, 102, 154)), (0, one, (256, 256, 256, 256))],
        [(100, two, (0, 0, 128, 128))],
        [],
    ]


def test_the_second_box_of_a_query_is_another_object() -> None:
    made = video_layout(NUMERACY, [seen((0, 0, 0.2, 0.2), (0.5, 0.5, 0.7, 0.7))] * 6)
    assert [[item.id for item in frame] for frame in made.frames] == [[0, 1]] * 6


def test_more_boxes_than_a_layout_holds_lose_the_worst() -> None:
    boxes = [(0.001 * number, 0.0, 0.5, 0.5) for number in range(MOST_OBJECTS + 20)]
    made = video_layout(NUMERACY, [seen(*boxes)] * 6)
    assert [len(frame) for frame in made.frames] == [MOST_OBJECTS] * 6
    assert made.frames[0][-1].box[0] == round(0.001 * (MOST_OBJECTS - 1) * 512)


def perfect(prompt: BenchmarkPrompt, given: DynamicSceneLayout, places: np.ndarray, frames: int) -> list[FrameDetections]:
    """What a detector would find if a video followed its layout to the letter."""
    asked = asked_tracks(prompt, given, frames)
    found = []
    for place in places.tolist():
        here = [(label, track.boxes[place]) for label, track in asked if track.present[place]]
        found.append(seen(*[tuple(box) for _, box in here], labels=[label for label, _ in here]))
    return found


CASES = [
    pytest.param(NUMERACY, layout(("car", still())), id="numeracy"),
    pytest.param(
        ATTRIBUTION,
        layout(*[(text.removeprefix("a photo of a ").removeprefix("a photo of an "), still((200 * number, 100, 90, 60)))
                 for number, text in enumerate(ATTRIBUTION.detector_texts)]),
        id="attribution",
    ),
    pytest.param(VISIBILITY, layout(("car", only_in({3, 4, 5}))), id="visibility"),
    pytest.param(DYNAMIC, layout(("car", along(0, 80, 160, 240, 320, 400))), id="dynamic_spatial"),
    pytest.param(
        SEQUENTIAL,
        layout(("car", [(20, 400, 60, 60), (180, 400, 60, 60), (300, 400, 60, 60),
                        (400, 400, 60, 60), (400, 200, 60, 60), (400, 20, 60, 60)])),
        id="sequential",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("prompt", "given_layout"), CASES)
@pytest.mark.parametrize("frames", [6, 8, 16, 24])
def test_a_video_that_follows_a_good_layout_passes(
    prompt: BenchmarkPrompt, given_layout: DynamicSceneLayout, frames: int
) -> None:
    places = judged_frames(frames)
    found = perfect(prompt, given_layout, places, frames)
    made = video_layout(prompt, found)
    assert rules.passes(prompt.expectation, made)
    assert strict_rules.passes(prompt.expectation, made)
    assert layout_iou(asked_tracks(prompt, given_layout, frames), places, found) == pytest.approx(1)


@pytest.mark.parametrize(("prompt", "given_layout"), CASES)
def test_a_video_in_which_nothing_is_found_fails(prompt: BenchmarkPrompt, given_layout: DynamicSceneLayout) -> None:
    places, found = judged_frames(8), [seen()] * 6
    made = video_layout(prompt, found)
    assert not rules.passes(prompt.expectation, made)
    assert not strict_rules.passes(prompt.expectation, made)
    assert layout_iou(asked_tracks(prompt, given_layout, 8), places, found) == 0


@given(st.lists(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), max_size=6), min_size=6, max_size=6))
def test_rounded_boxes_are_within_a_pixel(frames: list[list[tuple[float, float, float, float]]]) -> None:
    found = [seen(*[(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes]) for boxes in frames]
    made = video_layout(NUMERACY, found)
    for frame, detections in zip(made.frames, found, strict=True):
        corners = np.array([(x, y, x + width, y + height) for x, y, width, height in (item.box for item in frame)])
        assert np.abs(corners.reshape(-1, 4) - 512 * detections.boxes_N4).max(initial=0) <= 1
    assert len(keyframe_tracks(made)) == max(map(len, frames))


def test_one_detection_stands_for_one_object() -> None:
    two = layout(("car", still((0, 0, 128, 128))), ("car 2", still((128, 0, 128, 128))))
    asked = asked_tracks(NUMERACY, two, 8)
    places = judged_frames(8)
    assert layout_iou(asked, places, [seen((0, 0, 0.25, 0.25))] * 6) == pytest.approx(0.5)
    swapped = seen((0.25, 0, 0.5, 0.25), (0, 0, 0.25, 0.25))
    assert layout_iou(asked, places, [swapped] * 6) == pytest.approx(1)
    assert layout_iou(asked, places, [seen((0, 0, 0.5, 0.25))] * 6) == pytest.approx(0.25)


def test_what_nobody_detects_is_not_asked_for() -> None:
    bystander = layout(("tree", still()), ("carpet", still()))
    assert asked_tracks(NUMERACY, bystander, 8) == []
    assert layout_iou([], judged_frames(8), [seen((0, 0, 1, 1))] * 6) is None


def test_other_texts_do_not_count_for_an_object() -> None:
    name = ATTRIBUTION.detector_texts[1].split(" ", 4)[-1]
    asked = asked_tracks(ATTRIBUTION, layout((name, still((0, 0, 256, 256)))), 8)
    places = judged_frames(8)
    assert [label for label, _ in asked] == [1]
    assert layout_iou(asked, places, [seen((0, 0, 0.5, 0.5), labels=[0])] * 6) == 0
    assert layout_iou(asked, places, [seen((0, 0, 0.5, 0.5), labels=[1])] * 6) == pytest.approx(1)


def test_boxes_are_asked_for_where_they_can_be_seen() -> None:
    leaving = layout(("car", [(0, 0, 100, 100), (0, 0, 100, 100), *[(-50, 0, 100, 100)] * 2, *[(-300, 0, 100, 100)] * 2]))
    ((_, track),) = asked_tracks(NUMERACY, leaving, 6)
    assert track.present.tolist() == [True] * 4 + [False] * 2
    np.testing.assert_allclose(track.boxes[2] * 512, (0, 0, 50, 100), atol=1)
    assert condition_tracks(leaving, 6)[0].present.all()
