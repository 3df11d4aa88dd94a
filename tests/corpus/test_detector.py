"""Boxes and phrases: the rules of the specification, hostile model outputs, and the shipped detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.devices import select_device
from tasks.common.errors import UserError
from tasks.common.parameters import Compute
from tasks.corpus.detector import PhraseDetector, corners_from_centres, query_text, usable_boxes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def detector() -> PhraseDetector:
    torch.set_num_threads(1)
    return PhraseDetector(str(ROOT / "models" / "sprite" / "detector"), None, "cpu", torch.float32)


@pytest.mark.parametrize(
    ("caption", "query"),
    [
        ("The image features A red Car", "a red car."),
        ("two dogs.", "two dogs."),
        ("  spaces . ", "spaces."),
        ("", "."),
    ],
)
def test_queries_follow_the_specification(caption: str, query: str) -> None:
    assert query_text(caption) == query


any_float = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.lists(st.tuples(any_float, any_float, any_float, any_float, any_float, st.sampled_from(["car", ""])), max_size=8))
def test_whatever_the_model_says_boxes_are_sound_and_none_is_lost(rows: list[tuple[float, ...]]) -> None:
    with np.errstate(all="ignore"):
        corners = corners_from_centres(np.array([row[:4] for row in rows], np.float32).reshape(-1, 4))
    scores = np.array([row[4] for row in rows], np.float32)
    found = usable_boxes(corners, scores, [str(row[5]) for row in rows])
    assert len(found.phrases) + sum(found.dropped.values()) == len(rows)
    assert np.isfinite(found.boxes_N4).all()
    assert np.isfinite(found.scores_N).all()
    assert (found.boxes_N4 >= 0).all()
    assert (found.boxes_N4 <= 1).all()
    assert (found.boxes_N4[:, 2:] > found.boxes_N4[:, :2]).all()
    assert (np.diff(found.scores_N) <= 0).all()
    assert all(found.phrases)


def test_dropped_boxes_are_counted_by_reason() -> None:
    boxes = np.array([[0, 0, 1, 1], [np.nan, 0, 1, 1], [0.5, 0, 0.4, 1], [0, 0, 1, 1]], np.float32)
    found = usable_boxes(boxes, np.array([0.5, 0.5, 0.5, 0.5], np.float32), ["car", "car", "car", ""])
    assert found.dropped == {"not-finite": 1, "no-area": 1, "no-phrase": 1}


def phrase(detector: PhraseDetector, text: str, probabilities: dict[str, float]) -> str:
    ids_T = np.array(detector.processor.tokenizer(text)["input_ids"])
    words = detector.processor.tokenizer.convert_ids_to_tokens(ids_T.tolist())
    row_T = np.array([probabilities.get(word, 0.0) for word in words], np.float32)
    return detector._phrase(row_T, ids_T, np.isin(ids_T, detector._separators), 0.2)


def test_a_phrase_is_made_of_the_likely_tokens_of_the_best_fragment(detector: PhraseDetector) -> None:
    text = "a red car. a blue cat."
    assert phrase(detector, text, {"red": 0.8, "car": 0.9, "blue": 0.7}) == "red car"
    assert phrase(detector, text, {"red": 0.25, "blue": 0.7, "cat": 0.3}) == "blue cat"
    assert phrase(detector, text, {".": 0.9, "car": 0.8}) == "", "a full stop is no phrase"
    assert phrase(detector, text, {"car": 0.21, "red": 0.2}) == "car", "thresholds are strict"


def test_only_scores_above_the_threshold_make_boxes(detector: PhraseDetector) -> None:
    answer = detector.answer(detector.prepare([np.zeros((64, 64, 3), np.uint8)], ["a red car."]))
    every = detector.select(answer, 0.0, 0.0)[0]
    assert len(every.phrases) + sum(every.dropped.values()) == detector.model.config.num_queries
    middle = float(np.median(every.scores_N))
    some = detector.select(answer, middle, 0.0)[0]
    assert 0 < len(some.phrases) < len(every.phrases)
    assert (some.scores_N > middle).all()


def test_pixels_are_scaled_as_the_image_processor_does(detector: PhraseDetector) -> None:
    crops = [np.random.default_rng(n).integers(0, 256, (64, 64, 3), dtype=np.uint8) for n in range(3)]
    ours = detector.prepare(crops, ["a red car."] * 3)["pixel_values"]
    theirs = detector.processor.image_processor(crops, do_resize=False, return_tensors="pt")["pixel_values"]
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_long_and_odd_texts_are_cut_to_the_model(detector: PhraseDetector) -> None:
    crops = [np.zeros((64, 64, 3), np.uint8)] * 3
    texts = ["red car " * 400 + ".", "😀 \u202eabc ünïcode <script>.", "."]
    assert [detector.is_cut(text) for text in texts] == [True, False, False]
    assert not detector.is_cut("red " * 200)
    assert detector.prepare(crops, texts)["input_ids"].shape == (3, 256)
    for found in detector.select(detector.answer(detector.prepare(crops, texts)), 0.3, 0.3):
        assert np.isfinite(found.boxes_N4).all()


def test_devices_that_are_not_there_are_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(UserError, match=r"compute\.device = cuda.*profiles/toy\.yaml"):
        select_device(Compute(device="cuda", dtype="float32", workers=1, engine="processes", num_gpus=0))
    auto = Compute(device="auto", dtype="float16", workers=1, engine="processes", num_gpus=0)
    assert select_device(auto)[1] == torch.float16


def test_a_gpu_without_bfloat16_is_refused_that_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    compute = {"device": "cuda", "workers": 1, "engine": "processes", "num_gpus": 0}
    with pytest.raises(UserError, match=r"compute\.dtype = bfloat16: .*set it to float16 or float32"):
        select_device(Compute(dtype="bfloat16", **compute))
    assert select_device(Compute(dtype="float16", **compute)) == ("cuda", torch.float16)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert select_device(Compute(dtype="bfloat16", **compute)) == ("cuda", torch.bfloat16)
