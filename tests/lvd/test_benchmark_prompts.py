"""The 500 prompts, word by word, and prompts read from a file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.common.errors import UserError
from tasks.lvd.benchmark_prompts import benchmark_prompts, cache_key, read_prompts, select_prompts
from tasks.lvd.expectations import TASKS, Attribution, OneDirection, Sequence, TwoDirections, Visibility

GOLDEN = json.loads((Path(__file__).parent / "golden" / "stage1_reference.json").read_text())


def test_prompts_are_the_published_ones() -> None:
    expected = [entry for entry in GOLDEN["prompts"] for _ in range(entry["times"])]
    found = benchmark_prompts()
    assert len(found) == len(expected) == 500
    for index, (item, entry) in enumerate(zip(found, expected, strict=True)):
        assert item.index == index
        assert (item.task, item.prompt) == (entry["task"], entry["prompt"])
        assert item.one_box_per_class == entry["one_box_per_class"]
        assert list(item.detector_texts) == entry["detector_texts"]
        assert item.cache_key == entry["prompt"].removesuffix(".")


def test_making_prompts_leaves_the_global_generator_alone() -> None:
    np.random.seed(7)
    expected = np.random.RandomState(7).random()
    benchmark_prompts.cache_clear()
    benchmark_prompts()
    assert np.random.random() == expected


def test_expectations_say_what_prompts_say() -> None:
    seen = Counter(item.expectation.kind for item in benchmark_prompts())
    assert seen == {
        "numeracy": 100,
        "attribution": 100,
        "visibility": 100,
        "one_direction": 50,
        "two_directions": 50,
        "sequence": 100,
    }
    for item in benchmark_prompts():
        match item.expectation:
            case Attribution(pairs=pairs):
                assert all(f"{colour} {noun}" in item.prompt for colour, noun in pairs)
            case Visibility(object=noun, half=half):
                assert f"{noun} appears only in the {half} half" in item.prompt
            case OneDirection(object=noun, to=side):
                assert f"{noun} moving from the " in item.prompt
                assert item.prompt.endswith(f"to the {side}")
            case TwoDirections(object=noun, other=other, to=side):
                assert f"{noun} moving from the " in item.prompt
                assert f"{other} to its {side}" in item.prompt
            case Sequence(quadrants=quadrants):
                assert sorted(quadrants, key=item.prompt.index) == list(quadrants)
            case expectation:
                numbers = ("one", "two", "three", "four")
                assert f" with {numbers[expectation.count - 1]} " in item.prompt
                assert expectation.object in item.prompt


@pytest.mark.parametrize(
    ("name", "tasks"),
    [("lvd", TASKS), ("lvd_static", TASKS[:2]), ("lvd_dynamic", TASKS[2:]), *[(f"lvd_{task}", (task,)) for task in TASKS]],
)
def test_named_parts(name: str, tasks: tuple[str, ...]) -> None:
    part = select_prompts(name)
    assert {item.task for item in part} == set(tasks)
    assert len(part) == 100 * len(tasks)
    assert [item.index for item in part] == sorted(item.index for item in part)


def test_an_unknown_part_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UserError, match="lvd_nothing: no such set of prompts; take one of lvd, lvd_static"):
        select_prompts("lvd_nothing")


def test_keys_have_no_outer_spaces_and_no_full_stop() -> None:
    assert cache_key("  It moves. It stops.\n") == "It moves. It stops"


LINES: list[dict[str, Any]] = [
    {"task": "numeracy", "prompt": "Three cars.", "expectation": {"kind": "numeracy", "object": "car", "count": 3}},
    {
        "task": "attribution",
        "prompt": "Red car, orange dog",
        "expectation": {"kind": "attribution", "pairs": [["red", "car"], ["orange", "dog"]]},
    },
    {"task": "visibility", "prompt": "Cat comes", "expectation": {"kind": "visibility", "object": "cat", "half": "second"}},
    {"task": "dynamic_spatial", "prompt": "Ball", "expectation": {"kind": "one_direction", "object": "ball", "to": "left"}},
    {
        "task": "dynamic_spatial",
        "prompt": "Past the dog",
        "expectation": {"kind": "two_directions", "object": "cat", "other": "dog", "to": "right"},
    },
    {
        "task": "sequential",
        "prompt": "Around",
        "expectation": {"kind": "sequence", "object": "owl", "quadrants": ["lower left", "lower right", "upper right"]},
    },
]


def write(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


def test_prompts_of_other_wording(tmp_path: Path) -> None:
    found = read_prompts(write(tmp_path / "prompts.jsonl", *LINES))
    assert [item.task for item in found] == [entry["task"] for entry in LINES]
    assert [item.index for item in found] == list(range(6))
    assert [item.expectation.model_dump(mode="json") for item in found] == [entry["expectation"] for entry in LINES]
    assert found[0].cache_key == "Three cars"
    assert found[1].detector_texts == ("a photo of a red car", "a photo of an orange dog")
    assert [item.one_box_per_class for item in found] == [False, True, True, True, True, True]


def test_the_shipped_paraphrases_are_well_formed() -> None:
    found = read_prompts(Path(__file__).resolve().parents[2] / "data" / "prompts" / "paraphrases.jsonl")
    assert Counter(item.task for item in found) == dict.fromkeys(TASKS, 20)
    assert {item.cache_key for item in found}.isdisjoint(item.cache_key for item in benchmark_prompts())


@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        (0, {"task": "visibility"}, "belongs to task numeracy"),
        (0, {"task": "counting"}, "task: Input should be"),
        (0, {"prompt": ""}, "prompt: String should have at least 1 character"),
        (0, {"more": 1}, "more: Extra inputs are not permitted"),
        (0, {"expectation": {"kind": "numeracy", "object": "car", "count": 0}}, "greater than or equal to 1"),
        (0, {"expectation": {"kind": "numeracy", "object": "car", "count": "3"}}, "valid integer"),
        (0, {"expectation": {"kind": "numeracy", "object": " 3 ", "count": 3}}, "should match pattern"),
        (0, {"expectation": {"kind": "colours"}}, "does not match any of the expected tags"),
        (2, {"expectation": {"kind": "visibility", "object": "cat", "half": "third"}}, "'first' or 'second'"),
        (4, {"expectation": {"kind": "two_directions", "object": "cat", "other": "cat", "to": "left"}}, "two classes"),
        (5, {"expectation": {"kind": "sequence", "object": "owl", "quadrants": ["lower left"]}}, "Field required"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: int, change: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "prompts.jsonl", LINES[1], {**LINES[line], **change})
    with pytest.raises(UserError, match=r"prompts\.jsonl, line 2: ") as caught:
        read_prompts(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_of_prompts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file or directory; expected JSON Lines of prompts"):
        read_prompts(tmp_path / "none.jsonl")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8 text"):
        read_prompts(tmp_path / "binary")
    (tmp_path / "deep").write_text("[" * 100_000)
    with pytest.raises(UserError, match="line 1: Invalid JSON"):
        read_prompts(tmp_path / "deep")
