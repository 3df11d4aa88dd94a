"""Detectors of things in video frames: the shipped one, OWL-ViT's rules on a tiny random one, and suppression."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from transformers import (
    CLIPTokenizer,
    OwlViTConfig,
    OwlViTForObjectDetection,
    OwlViTImageProcessorPil,
    OwlViTProcessor,
)

from tasks.common.box_matching import pairwise_iou
from tasks.common.errors import StageError, UserError
from tasks.lvd.video_detector import (
    FrameDetections,
    VideoDetector,
    best_of_each_label,
    open_video_detector,
    suppress,
)
from tasks.spriteworld.render import render_background, render_objects
from tasks.spriteworld.scene import Box, SpriteObject

ROOT = Path(__file__).resolve().parents[2]
SPRITES = str(ROOT / "models" / "sprite" / "detector")
OWL_SIDE = 32
RED_CAR: Box = (6.0, 30.0, 32.0, 46.0)
BLUE_DOG: Box = (38.0, 10.0, 58.0, 28.0)


@pytest.fixture(scope="module")
def sprites() -> VideoDetector:
    torch.set_num_threads(1)
    return open_video_detector(SPRITES, None, "cpu", torch.float32, 64, 4)


@pytest.fixture(scope="module")
def owl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny OWL-ViT with random weights, as its users save one."""
    folder = tmp_path_factory.mktemp("owl")
    torch.manual_seed(0)
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz")]
    words = ["<|endoftext|>", "<|startoftext|>", *letters]
    tokenizer = CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[], model_max_length=16)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = OwlViTConfig(
        text_config={**small, "vocab_size": len(words), "max_position_embeddings": 16, "eos_token_id": 0, "bos_token_id": 1},
        vision_config={**small, "image_size": OWL_SIDE, "patch_size": 8},
        projection_dim=16,
    )
    OwlViTForObjectDetection(config).save_pretrained(folder)
    size = {"height": OWL_SIDE, "width": OWL_SIDE}
    OwlViTProcessor(image_processor=OwlViTImageProcessorPil(size=size), tokenizer=tokenizer).save_pretrained(folder)
    return folder


def scene(*items: SpriteObject) -> np.ndarray:
    return render_objects(render_background("gradient", 3), items)


def found_iou(found: FrameDetections, label: int, box: Box) -> float:
    mine = found.boxes_N4[found.labels_N == label]
    return float(pairwise_iou(mine, np.array([box]) / 64).max(initial=0))


def test_the_sprite_detector_tells_class_and_colour(sprites: VideoDetector) -> None:
    car, dog = SpriteObject("car", "red", RED_CAR, "right"), SpriteObject("dog", "blue", BLUE_DOG, "left")
    frames_FHWC = np.stack([scene(car, dog), scene(dog), scene(car), scene(), scene(car, dog)])
    both, only_dog, only_car, nothing, again = sprites.detect(
        frames_FHWC, ["a photo of a red car", "a photo of a blue dog"], 0.3
    )
    for found in (both, again):
        assert found_iou(found, 0, RED_CAR) > 0.7
        assert found_iou(found, 1, BLUE_DOG) > 0.7
    assert set(only_dog.labels_N.tolist()) == {1}
    assert set(only_car.labels_N.tolist()) == {0}
    assert len(nothing.boxes_N4) == 0
    (swapped,) = sprites.detect(frames_FHWC[:1], ["a photo of a blue car", "a photo of a red dog"], 0.3)
    assert len(swapped.boxes_N4) == 0


def test_each_frame_is_judged_by_itself_whatever_the_batch(sprites: VideoDetector) -> None:
    frames_FHWC = np.stack(
        [scene(SpriteObject("ball", "pink", (x, 20.0, x + 18, 38.0), "right")) for x in (2.0, 20.0, 40.0)]
    )
    texts = ["a photo of a ball"]
    together = sprites.detect(frames_FHWC, texts, 0.3)
    for number, found in enumerate(together):
        (alone,) = sprites.detect(frames_FHWC[number : number + 1], texts, 0.3)
        np.testing.assert_allclose(alone.boxes_N4, found.boxes_N4, atol=1e-4)
        np.testing.assert_allclose(alone.scores_N, found.scores_N, atol=1e-4)


def test_boxes_of_stretched_frames_are_fractions_of_the_frame(sprites: VideoDetector) -> None:
    """The right half of a wide frame is the right half of its boxes."""
    picture = scene(SpriteObject("cat", "orange", (36.0, 20.0, 56.0, 44.0), "right"))
    wide_FHWC = np.repeat(picture, 2, axis=1)[None]
    (found,) = sprites.detect(wide_FHWC, ["a photo of a cat"], 0.3)
    assert found_iou(found, 0, (36.0, 20.0, 56.0, 44.0)) > 0.7
    assert sprites.stretch(wide_FHWC).shape == (1, 64, 64, 3)
    assert np.array_equal(sprites.stretch(picture[None]), picture[None])


def test_signs_that_end_sentences_do_not_move_queries(sprites: VideoDetector) -> None:
    frame = scene(SpriteObject("dog", "blue", BLUE_DOG, "left"))[None]
    (found,) = sprites.detect(frame, ["A photo of St. Paul? ...", "a photo of a BLUE dog.", ".", "\u202e😀"], 0.3)
    assert set(found.labels_N.tolist()) == {1}


def test_queries_that_do_not_fit_are_refused(sprites: VideoDetector) -> None:
    frame = np.zeros((1, 64, 64, 3), np.uint8)
    with pytest.raises(UserError, match="more than the detector can read"):
        sprites.detect(frame, ["a photo of a red car"] * 60, 0.3)


def test_owl_vit_keeps_scores_of_the_threshold_itself(owl_folder: Path) -> None:
    detector = open_video_detector(str(owl_folder), None, "cpu", torch.float32, OWL_SIDE, 2)
    frames_FHWC = np.random.default_rng(0).integers(0, 256, (3, 20, 45, 3), dtype=np.uint8)
    texts = ["a photo of a car", "a photo of an orange dog and much more than sixteen tokens"]
    for place, found in enumerate(detector.detect(frames_FHWC, texts, 0.0)):
        assert 8 <= len(found.boxes_N4) <= 16, "one box for each patch, unless it is outside of the frame"
        assert (found.boxes_N4 >= 0).all()
        assert (found.boxes_N4 <= 1).all()
        assert (found.boxes_N4[:, 2:] > found.boxes_N4[:, :2]).all()
        assert set(found.labels_N.tolist()) <= {0, 1}
        assert (np.diff(found.scores_N) <= 0).all()
        (alone,) = detector.detect(frames_FHWC[place : place + 1], texts, 0.0)
        (above,) = detector.detect(frames_FHWC[place : place + 1], texts, float(alone.scores_N[6]))
        assert above.scores_N.tolist() == alone.scores_N[alone.scores_N >= alone.scores_N[6]].tolist()


def test_owl_vit_answers_as_the_library_does(owl_folder: Path) -> None:
    """Beside the threshold, which the library reads as "above" and the benchmark as "at least"."""
    detector = open_video_detector(str(owl_folder), None, "cpu", torch.float32, OWL_SIDE, 8)
    frames_FHWC = np.random.default_rng(1).integers(0, 256, (2, OWL_SIDE, OWL_SIDE, 3), dtype=np.uint8)
    texts = ["a photo of a cat", "a photo of a ball"]
    processor = OwlViTProcessor.from_pretrained(owl_folder)
    model = OwlViTForObjectDetection.from_pretrained(owl_folder).eval()
    inputs = processor(images=list(frames_FHWC), text=[texts] * 2, return_tensors="pt")
    with torch.inference_mode():
        theirs = processor.post_process_grounded_object_detection(model(**inputs), threshold=0.0)
    for ours, other in zip(detector.detect(frames_FHWC, texts, 0.0), theirs, strict=True):
        boxes_N4 = other["boxes"].clamp(0, 1)
        inside_N = (boxes_N4[:, 2:] > boxes_N4[:, :2]).all(dim=1)
        order = [place for place in other["scores"].argsort(descending=True).tolist() if inside_N[place]]
        np.testing.assert_allclose(ours.scores_N, other["scores"][order], atol=1e-5)
        np.testing.assert_allclose(ours.boxes_N4, boxes_N4[order], atol=1e-5)
        assert ours.labels_N.tolist() == other["labels"][order].tolist()


def test_detectors_that_do_not_fit_are_refused(owl_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="reads pictures of 32 x 32 pixels; set resolution to 32"):
        open_video_detector(str(owl_folder), None, "cpu", torch.float32, 768)
    with pytest.raises(UserError, match="no such folder"):
        open_video_detector(str(tmp_path / "nowhere"), None, "cpu", torch.float32, 64)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UserError, match="is a model of type bert; expected one of owlvit, grounding-dino"):
        open_video_detector(str(tmp_path), None, "cpu", torch.float32, 64)


class _Overflowing:
    resample = 2

    def ask(self, frames_BRRC: np.ndarray, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        return np.full((len(frames_BRRC), 3, len(texts)), np.nan, np.float32), np.zeros((len(frames_BRRC), 3, 4), np.float32)


def test_answers_that_are_no_numbers_stop_the_work() -> None:
    with pytest.raises(StageError, match="NaN or infinity"):
        VideoDetector(_Overflowing(), 8, 2).detect(np.zeros((1, 8, 8, 3), np.uint8), ["a photo of a car"], 0.1)


@pytest.mark.parametrize(("most", "done"), [(3, [3, 1]), (2, [2, 2]), (1, None)])
def test_memory_that_does_not_suffice(sprites: VideoDetector, most: int, done: list[int] | None) -> None:
    """A device that holds `most` frames at once."""
    frames_FHWC = np.stack([scene(SpriteObject("dog", "blue", BLUE_DOG, "left"))] * 4)
    finished: list[int] = []

    def limit(_module: torch.nn.Module, _inputs: tuple[torch.Tensor, ...], named: dict[str, torch.Tensor]) -> None:
        if len(named["pixel_values"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        finished.append(len(named["pixel_values"]))

    few = VideoDetector(sprites._model, 64, 3)
    handle = sprites._model._detector.model.register_forward_pre_hook(limit, with_kwargs=True)
    try:
        if done is None:
            with pytest.raises(StageError, match=r"2 frames of 64x64 at once.*Tried to allocate .*lvd_stage2\.batch"):
                few.detect(frames_FHWC, ["a photo of a blue dog"], 0.3)
            return
        found = few.detect(frames_FHWC, ["a photo of a blue dog"], 0.3)
    finally:
        handle.remove()
    assert [found_iou(item, 0, BLUE_DOG) > 0.7 for item in found] == [True] * 4
    assert finished == done


@st.composite
def detections(draw: st.DrawFn) -> FrameDetections:
    """Boxes that all differ in score, so that the score tells which one is which."""
    count = draw(st.integers(0, 12))
    corners = draw(arrays(np.float32, (count, 2, 2), elements=st.floats(0, 1, width=16)))
    boxes_N4 = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    scores_N = np.linspace(0.9, 0.1, count, dtype=np.float32)
    labels_N = draw(arrays(np.intp, count, elements=st.integers(0, 2)))
    return FrameDetections(boxes_N4, scores_N, labels_N)


thresholds = st.floats(0.05, 1)


@given(detections(), thresholds, st.booleans())
def test_of_what_is_left_none_suppresses_another_and_all_else_is_suppressed(
    found: FrameDetections, threshold: float, class_aware: bool
) -> None:
    kept = suppress(found, threshold, class_aware=class_aware)
    assert set(kept.scores_N.tolist()) <= set(found.scores_N.tolist())
    assert (np.diff(kept.scores_N) < 0).all()
    assert kept.scores_N[:1].tolist() == found.scores_N[:1].tolist(), "the best box always stays"

    def rivals(one: FrameDetections, other: FrameDetections) -> np.ndarray:
        same = one.labels_N[:, None] == other.labels_N[None]
        return (pairwise_iou(one.boxes_N4, other.boxes_N4) >= threshold) & (same if class_aware else True)

    assert not np.triu(rivals(kept, kept), 1).any()
    for place in np.flatnonzero(~np.isin(found.scores_N, kept.scores_N)):
        better = kept.only(np.flatnonzero(kept.scores_N > found.scores_N[place]))
        assert rivals(found.only(np.array([place])), better).any()


@given(detections(), thresholds, st.booleans())
def test_suppressing_twice_changes_nothing(found: FrameDetections, threshold: float, class_aware: bool) -> None:
    once = suppress(found, threshold, class_aware=class_aware)
    twice = suppress(once, threshold, class_aware=class_aware)
    assert all(np.array_equal(one, two) for one, two in zip(once, twice, strict=True))


@given(detections(), thresholds)
def test_by_class_is_each_class_by_itself(found: FrameDetections, threshold: float) -> None:
    together = suppress(found, threshold, class_aware=True)
    for label in range(3):
        mine = suppress(found.only(np.flatnonzero(found.labels_N == label)), threshold, class_aware=False)
        part = together.only(np.flatnonzero(together.labels_N == label))
        assert all(np.array_equal(one, two) for one, two in zip(mine, part, strict=True))


def test_suppression_starts_at_the_threshold_itself() -> None:
    boxes_N4 = np.array([[0, 0, 1, 1], [0, 0, 1, 0.5]], np.float32)
    found = FrameDetections(boxes_N4, np.array([0.9, 0.8], np.float32), np.array([0, 0]))
    assert len(suppress(found, 0.5, class_aware=True).boxes_N4) == 1
    assert len(suppress(found, 0.51, class_aware=True).boxes_N4) == 2


@given(detections())
def test_the_best_of_each_label_stays(found: FrameDetections) -> None:
    kept = best_of_each_label(found)
    assert sorted(kept.labels_N.tolist()) == sorted(set(found.labels_N.tolist()))
    for label, score in zip(kept.labels_N, kept.scores_N, strict=True):
        assert score == found.scores_N[found.labels_N == label].max()
