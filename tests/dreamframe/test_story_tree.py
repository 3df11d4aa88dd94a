"""The tree and its file: the same story comes back, ids are checked, and hostile files end in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.common.errors import UserError
from tasks.dreamframe.original_story import take_over
from tasks.dreamframe.story_text import clean_text
from tasks.dreamframe.story_tree import MOST_BYTES, Story, part_id, read_story, write_story
from tests.dreamframe.stories_for_tests import flat_story, stories


def small() -> dict[str, Any]:
    story: dict[str, Any] = json.loads(take_over(flat_story(2), "small").story.model_dump_json())
    return story


def changed(place: str, value: Any) -> dict[str, Any]:
    """The small story with another value at a place such as "substories.0.id"."""
    story = small()
    *way, last = place.split(".")
    part: Any = story
    for step in way:
        part = part[int(step) if step.isdigit() else step]
    part[int(last) if last.isdigit() else last] = value
    return story


@given(stories())
def test_a_story_comes_back_from_its_file(tmp_path_factory: pytest.TempPathFactory, story: Story) -> None:
    path = tmp_path_factory.mktemp("story") / "story.json"
    write_story(path, story)
    before = path.read_bytes()
    assert read_story(path) == story
    write_story(path, read_story(path))
    assert path.read_bytes() == before


def test_ids_tell_the_place_and_sort_in_order() -> None:
    story = Story.model_validate(small())
    assert [shot.id for shot in story.substories[1].tiny_stories[0].shots] == ["02-01-01", "02-01-02"]
    assert [shot.id for shot in story.substories[0].tiny_stories[1].shots] == [
        "01-02-01",
        "01-02-d01",
        "01-02-02",
        "01-02-d02",
    ]
    for ids in ([frame.id for frame in story.frames()], [dialogue.id for dialogue in story.dialogues()]):
        assert ids == sorted(set(ids))
    assert [question.id for question in story.all_questions()][:6] == [
        "q001",
        "q002",
        "q003",
        "01-q001",
        "02-q001",
        "01-01-q001",
    ]
    assert part_id("03-07", 11) == "03-07-11"


def test_gaps_are_allowed_and_what_is_not_known_stays_empty() -> None:
    story = Story.model_validate(changed("substories.1.id", "02") | {"questions": [], "style_phrases": ["soft light"]})
    assert (story.title, story.locations, story.style_phrases) == ("", (), ("soft light",))
    gap = small()
    del gap["substories"][0]["tiny_stories"][0]["shots"][0]
    assert next(Story.model_validate(gap).frames()).id == "01-01-02"


SHOT = "substories.0.tiny_stories.0.shots.0"
WRONG: list[tuple[str, Any]] = [
    ("id", "../up"),
    ("id", ""),
    ("title", "two\nlines"),
    ("overview", "a \u202eb"),
    ("overview", "x" * 20_001),
    ("color", "red"),
    ("locations", ["mill"] * 100),
    ("style_keyword", "x" * 61),
    ("characters", [{"name": "A", "description": "x"}] * 2),
    ("characters", [{"name": " ", "description": "x"}]),
    ("substories.0.id", "02"),
    ("substories.0.id", "00"),
    ("substories.0.id", "1"),
    ("substories.0.id", "\u0660\u0661"),
    ("substories.1.id", "9" * 5_000),
    ("substories.1.tiny_stories.0.id", "01-03"),
    (f"{SHOT}.id", "01-01-02"),
    (f"{SHOT}.id", "01-01-d01"),
    (f"{SHOT}.id", 7),
    (f"{SHOT}.prompt", " "),
    (f"{SHOT}.prompt", "a\x00b"),
    (f"{SHOT}.prompt", None),
    (f"{SHOT}.prompt", "x" * 2_001),
    (f"{SHOT}.kind", "video"),
    (f"{SHOT}.text", "x"),
    ("questions.0.level", "substory"),
    ("questions.0.id", "q002"),
    ("questions.1.evidence", ["09"]),
    ("questions.1.evidence", ["q001"]),
    ("questions.1.evidence", ["01", "01"]),
    ("substories.0.questions.0.level", "story"),
]


@pytest.mark.parametrize(("place", "value"), WRONG)
def test_wrong_trees_are_one_line(place: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "story.json"
    path.write_text(json.dumps(changed(place, value)))
    with pytest.raises(UserError) as error:
        read_story(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 700


FILES: dict[str, bytes] = {
    "nothing": b"",
    "another language": '{"id": "é"}'.encode("latin-1"),
    "deep": b'{"id":' * 100_000,
    "deep lists": b'{"id": "a", "title": ' + b"[" * 100_000,
    "no object": b"[]",
    "original": json.dumps(flat_story(1)).encode(),
    "too large": b" " * (MOST_BYTES + 1),
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_files_that_are_no_story_are_one_line(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "story.json"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"story.json: [^\n]+\Z"):
        read_story(path)


def test_missing_files_and_folders_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(UserError, match=r": [^\n]+\Z"):
            read_story(path)


@given(st.text() | st.text(st.sampled_from("\r\n\t\x00\x1b\u202e\u2028\u200b\ud83d\U000e0041ab ")))
def test_cleaned_text_stays_clean_and_text_without_marks_stays(text: str) -> None:
    for one_line in (True, False):
        cleaned = clean_text(text, one_line=one_line)
        assert clean_text(cleaned, one_line=one_line) == cleaned
        assert not set(cleaned) & set("\r\t\x00\x1b\u202e\u2028\u200b\ud83d\U000e0041")
        assert not (one_line and "\n" in cleaned)
    assert clean_text("it’s 猫 \U0001f469\u200d\U0001f680", one_line=True) == "it’s 猫 \U0001f469\u200d\U0001f680"


def test_stories_cannot_be_changed_into_wrong_ones() -> None:
    story = Story.model_validate(small())
    with pytest.raises(ValidationError):
        story.title = "other"
