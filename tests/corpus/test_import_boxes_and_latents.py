"""Boxes and latents of the original project become files as the stages write them; the rest is set aside with a reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tasks.common.errors import UserError
from tasks.common.latent_files import load_latents
from tasks.corpus import import_boxes as boxes_module
from tasks.corpus import shard_to_boxes
from tasks.corpus.captions import MOST_CHARACTERS
from tasks.corpus.import_boxes import MOST_BOXES, MOST_PHRASE, SCHEMA, import_boxes
from tasks.corpus.import_files import MOST_IMAGES, Imported, Keys
from tasks.corpus.import_latents import import_latents
from tests.corpus.original_files_for_tests import (
    array_of,
    box_row,
    box_rows,
    latents_of,
    objects_of,
    saved,
    saved_by_numpy,
    saved_by_numpy_1,
    some_latents,
    type_of,
    write,
)

PATTERN = "image_{index}"


def boxes_from(folder: Path, data: bytes, pattern: str = PATTERN) -> tuple[list[dict[str, Any]], Imported]:
    """Rows of the parquet file that a file of boxes becomes, and what was reported."""
    target = folder / "image.tar.parquet"
    imported = import_boxes(write(folder, data), target, pattern)
    return parquet.read_table(target).to_pylist(), imported


def latents_from(folder: Path, data: bytes) -> tuple[torch.Tensor, list[str], Imported]:
    target = folder / "image.tar.safetensors"
    imported = import_latents(write(folder, data), target, PATTERN)
    latents_NChw, facts = load_latents(target)
    return latents_NChw, facts.keys, imported


def set_aside(imported: Imported) -> list[tuple[str, str]]:
    """(item, reason) of each line beside the output."""
    entries = [json.loads(line) for line in imported.aside.read_text(encoding="utf-8").splitlines()]
    assert Counter(entry["reason"] for entry in entries) == imported.reasons
    return [(entry["item"], entry["reason"]) for entry in entries]


@pytest.mark.parametrize("save", [saved_by_numpy, saved_by_numpy_1])
def test_boxes_become_corners_best_score_first(save: Callable[[NDArray[Any]], bytes], tmp_path: Path) -> None:
    boxes_N4 = np.array([[0.5, 0.5, 0.25, 0.5], [0.25, 0.75, 0.5, 1.0]], np.float16)
    rows = box_rows(
        box_row(3, "The image features A Cat", boxes_N4, np.array([0.25, 0.5], np.float16), ["a cat", "a mat"]),
        box_row(np.int64(11), "nothing.", np.zeros((0, 4), np.float16), np.zeros(0, np.float16), []),
    )
    found, imported = boxes_from(tmp_path, save(rows))
    assert found == [
        {
            "key": "image_3",
            "caption": "The image features A Cat",
            "boxes": [[0, 0.25, 0.5, 1], [0.375, 0.25, 0.625, 0.75]],
            "scores": [0.5, 0.25],
            "phrases": ["a mat", "a cat"],
        },
        {"key": "image_11", "caption": "nothing.", "boxes": [], "scores": [], "phrases": []},
    ]
    assert imported.what == "2 images, 2 boxes"
    assert not imported.reasons
    assert not imported.aside.exists()


def test_the_schema_is_the_stages(tmp_path: Path) -> None:
    assert SCHEMA.equals(shard_to_boxes._SCHEMA)
    boxes_from(tmp_path, saved_by_numpy(box_rows(box_row())))
    schema = parquet.read_schema(tmp_path / "image.tar.parquet")
    assert schema.equals(SCHEMA)
    assert json.loads(schema.metadata[b"groundreel"])["box_threshold"] == 0.2


def test_keys_follow_the_pattern(tmp_path: Path) -> None:
    found, _ = boxes_from(tmp_path, saved_by_numpy(box_rows(box_row(223750))), "sa_{index}")
    assert found[0]["key"] == "sa_223750"


@pytest.mark.parametrize(
    "pattern", ["", "image", "{index}{index}", "../{index}", "a/{index}", "{index!r}", "{0}", "a {index}"]
)
def test_odd_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(UserError, match=r"--key-pattern .* such as image_\{index\}"):
        Keys(pattern)


ONE = np.array([0.5], np.float16)
FOUR = np.full((1, 4), 0.5, np.float16)
BAD_ROWS = {
    "bad-index": [box_row(value) for value in (-1, 1.5, "1", None, True, 2**63, [1])],
    "bad-caption": [box_row(2, value) for value in (None, 1, b"a", "\ud800", "x" * (MOST_CHARACTERS + 1))],
    "bad-boxes": [
        box_row(2, "a", value)
        for value in (
            *(None, [[0.5] * 4], FOUR.astype(int), FOUR[:, :3], FOUR[0], np.float16(1), FOUR[None], np.zeros((0, 5))),
            np.zeros((MOST_BOXES + 1, 4), np.float16),
        )
        if value is not None
    ],
    "bad-scores": [box_row(2, "a", FOUR, value) for value in ([0.5], FOUR, ONE.astype(int), np.array(0.5))],
    "bad-phrases": [
        box_row(2, "a", FOUR, ONE, value)
        for value in (
            "a",
            None,
            [1],
            [None],
            ["\udfff"],
            ["x" * (MOST_PHRASE + 1)],
            FOUR,
            ["a"] * (MOST_BOXES + 1),
            {"a": 1},
        )
    ],
    "lengths-differ": [
        box_row(2, "a", FOUR, np.ones(2)),
        box_row(2, "a", np.ones((2, 4)), ONE),
        box_row(2, "a", FOUR, ONE, ["a", "b"]),
        box_row(2, "a", FOUR, ONE, []),
    ],
}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_bad_rows_are_set_aside(reason: str, tmp_path: Path) -> None:
    bad = BAD_ROWS[reason]
    for row in bad:
        found, imported = boxes_from(tmp_path, saved_by_numpy(box_rows(box_row(1), row, box_row(3))))
        assert [item["key"] for item in found] == ["image_1", "image_3"]
        ((item, why),) = set_aside(imported)
        assert why == reason
        assert item.startswith("row 1")


def test_boxes_that_are_no_use_are_set_aside_one_by_one(tmp_path: Path) -> None:
    infinite = np.float16("inf")
    boxes_N4 = np.full((8, 4), 0.5, np.float16)
    boxes_N4[0, 0], boxes_N4[1, 2], boxes_N4[2, 3], boxes_N4[3, 2], boxes_N4[4, 0] = np.nan, infinite, -infinite, 0, 9
    scores_N = np.linspace(0.9, 0.2, 8).astype(np.float16)
    scores_N[5] = np.nan
    words = [*"abcdef", "", "kept"]
    found, imported = boxes_from(tmp_path, saved_by_numpy(box_rows(box_row(1, "a", boxes_N4, scores_N, words))))
    assert found[0]["phrases"] == ["kept"]
    assert set_aside(imported) == [("image_1", "no-area"), ("image_1", "no-phrase"), ("image_1", "not-finite")]
    details = [json.loads(line)["detail"] for line in imported.aside.read_text().splitlines()]
    assert details == ["2 boxes", "1 boxes", "4 boxes"]


def test_numbers_of_other_sizes_and_phrases_in_a_tuple(tmp_path: Path) -> None:
    row = box_row(1, "a", FOUR.astype(">f8"), ONE.astype(np.float32), ("größer",))
    (found,), _ = boxes_from(tmp_path, saved_by_numpy(box_rows(row)))
    assert found["boxes"] == [[0.25, 0.25, 0.75, 0.75]]
    assert (found["scores"], found["phrases"]) == ([0.5], ["größer"])


def test_an_index_comes_once(tmp_path: Path) -> None:
    found, imported = boxes_from(tmp_path, saved_by_numpy(box_rows(box_row(1, "first"), box_row(1, "second"))))
    assert [row["caption"] for row in found] == ["first"]
    assert set_aside(imported) == [("row 1, index 1", "index-twice")]


def test_the_list_of_what_was_set_aside_goes_when_nothing_is(tmp_path: Path) -> None:
    boxes_from(tmp_path, saved_by_numpy(box_rows(box_row(1), box_row(-1))))
    _, imported = boxes_from(tmp_path, saved_by_numpy(box_rows(box_row(1))))
    assert not imported.aside.exists()


@st.composite
def rows_of_boxes(draw: st.DrawFn) -> tuple[Any, ...]:
    number = draw(st.integers(0, 5))
    halves = arrays.arrays(np.float16, (number, 4), elements=st.floats(0, 1, width=16))
    scores_N = draw(arrays.arrays(np.float16, number, elements=st.floats(0, 1, width=16)))
    words = st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=number, max_size=number)
    return draw(st.text(st.characters(codec="utf-8"))), draw(halves), scores_N, draw(words)


@settings(max_examples=50, deadline=None)
@given(contents=st.lists(rows_of_boxes(), min_size=1, max_size=4), by_numpy_1=st.booleans())
def test_any_boxes_come_back(
    contents: list[tuple[Any, ...]], by_numpy_1: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = box_rows(*((index, *content) for index, content in enumerate(contents)))
    data = (saved_by_numpy_1 if by_numpy_1 else saved_by_numpy)(rows)
    found, imported = boxes_from(tmp_path_factory.mktemp("any"), data)
    assert [row["key"] for row in found] == [f"image_{index}" for index in range(len(contents))]
    for row, (caption, boxes_N4, scores_N, words) in zip(found, contents, strict=True):
        assert row["caption"] == caption
        x, y, width, height = boxes_N4.astype(np.float64).T
        corners_N4 = np.clip(np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1), 0, 1)
        expected = {
            (words[n], float(scores_N[n]), *corners_N4[n].astype(np.float32).tolist())
            for n in range(len(words))
            if corners_N4[n, 0] < corners_N4[n, 2] and corners_N4[n, 1] < corners_N4[n, 3]
        }
        zipped = zip(row["phrases"], row["scores"], row["boxes"], strict=True)
        kept = {(phrase, score, *np.float32(box).tolist()) for phrase, score, box in zipped}
        assert {item[:2] for item in kept} == {item[:2] for item in expected}
        assert np.allclose(sorted(item[2:] for item in kept), sorted(item[2:] for item in expected), atol=1e-6)
        assert row["scores"] == sorted(row["scores"], reverse=True)
    assert set(imported.reasons) <= {"no-area"}


@pytest.mark.parametrize("save", [saved_by_numpy, saved_by_numpy_1])
@pytest.mark.parametrize("indices", [[4, 7, 12], np.array([4, 7, 12]), [np.int64(4), 7, np.int32(12)]])
def test_latents_come_back(save: Callable[[NDArray[Any]], bytes], indices: Any, tmp_path: Path) -> None:
    latents_NChw = some_latents(3, 8)
    found, keys, imported = latents_from(tmp_path, save(latents_of(indices, latents_NChw)))
    assert found.dtype == torch.float16
    assert np.array_equal(found.numpy(), latents_NChw)
    assert keys == ["image_4", "image_7", "image_12"]
    _, facts = load_latents(tmp_path / "image.tar.safetensors")
    assert (facts.scaling_factor, facts.resolution, facts.posterior) == (0.18215, 64, "sample")
    assert imported.what == "latents of 3 images, 64 pixels"


def test_latents_of_other_number_types(tmp_path: Path) -> None:
    for kind in (">f2", "f4", "f8"):
        found, _, _ = latents_from(tmp_path, saved_by_numpy(latents_of([1, 2], some_latents(2).astype(kind))))
        assert np.array_equal(found.numpy(), some_latents(2))


def test_bad_latents_are_set_aside(tmp_path: Path) -> None:
    latents_NChw = some_latents(6).astype(np.float32)
    latents_NChw[0, 0, 0, 0], latents_NChw[1, 3, 1, 1], latents_NChw[2, 1, 0, 1] = np.nan, -np.inf, 1e6
    found, keys, imported = latents_from(tmp_path, saved_by_numpy(latents_of([1, 2, 3, 4, 4, "6"], latents_NChw)))
    assert np.array_equal(found.numpy(), latents_NChw[3:4].astype(np.float16))
    assert keys == ["image_4"]
    assert imported.reasons == {"not-finite": 3, "index-twice": 1, "bad-index": 1}
    assert set_aside(imported)[3:] == [("row 4, index 4", "index-twice"), ("row 5", "bad-index")]


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        boxes_from(folder, saved_by_numpy(box_rows(box_row(1), box_row(-1))))
        latents_from(folder, saved_by_numpy(latents_of([1, -1], some_latents(2))))
    for file in sorted(folders[0].iterdir()):
        assert file.read_bytes() == (folders[1] / file.name).read_bytes()
    assert len(list(folders[0].iterdir())) == 5


EIGHT = some_latents(2)
OTHER_BOXES: dict[str, object] = {
    "no rows": box_rows(),
    "no good row": box_rows(box_row(-1), box_row("x")),
    "four columns": box_rows(box_row())[:, :4],
    "one row without a list": box_rows(box_row())[0],
    "latents": latents_of([1, 2], EIGHT),
    "too many": objects_of([None] * 5 * (MOST_IMAGES + 1), (MOST_IMAGES + 1, 5)),
}
OTHER_LATENTS: dict[str, object] = {
    "no images": latents_of([], np.zeros((0, 4, 2, 2), np.float16)),
    "no good image": latents_of([-1, -2], EIGHT),
    "too few indices": latents_of([1], EIGHT),
    "indices as fractions": latents_of(np.array([1.0, 2.0]), EIGHT),
    "indices as texts": latents_of(np.array(["1", "2"]), EIGHT),
    "indices in two columns": latents_of(np.array([[1, 2], [3, 4]]), EIGHT),
    "empty indices of a huge shape": objects_of(
        [{"indices": array_of((2**30, 0), b"", type_of("i8")), "latents": EIGHT}], ()
    ),
    "a tuple of indices": latents_of((1, 2), EIGHT),
    "three channels": latents_of([1, 2], EIGHT[:, :3]),
    "no square": latents_of([1, 2], EIGHT[..., :1]),
    "no cells": latents_of([1, 2], EIGHT[..., :0, :0]),
    "one image without a list": latents_of([1], EIGHT[0]),
    "whole numbers": latents_of([1, 2], EIGHT.astype(int)),
    "lists": latents_of([1, 2], EIGHT.tolist()),
    "no latents": np.array({"indices": [1]}, dtype=object),
    "a list in place of a dictionary": objects_of([[1]], ()),
    "boxes": box_rows(box_row()),
}


@pytest.mark.parametrize(
    ("importer", "content"),
    [pytest.param(import_boxes, content, id=f"boxes: {name}") for name, content in OTHER_BOXES.items()]
    + [pytest.param(import_latents, content, id=f"latents: {name}") for name, content in OTHER_LATENTS.items()],
)
def test_other_contents_end_in_one_line(
    importer: Callable[[Path, Path, str], Imported], content: object, tmp_path: Path
) -> None:
    path = write(tmp_path, saved(content))
    with pytest.raises(UserError) as caught:
        importer(path, tmp_path / "out" / "file", PATTERN)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()
    assert sorted(tmp_path.iterdir()) == [path]


def test_repeated_texts_do_not_swell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may name one long text again and again for two bytes each."""
    monkeypatch.setattr(boxes_module, "_MOST_VALUES", 30_000)
    caption = "x" * 10_000
    assert len(boxes_from(tmp_path, saved_by_numpy(box_rows(box_row(1, caption), box_row(2, caption))))[0]) == 2
    with pytest.raises(UserError, match="more than 30000 characters and numbers"):
        boxes_from(tmp_path, saved_by_numpy(box_rows(*(box_row(index, caption) for index in range(4)))))
