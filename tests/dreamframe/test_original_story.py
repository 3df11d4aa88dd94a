"""Stories of the original: read, damaged in each way and read again, flattened; and what is set aside or refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.dreamframe.original_story import MOST_BYTES, flatten, read_original_story, take_over
from tasks.dreamframe.story_tree import Story
from tests.dreamframe.stories_for_tests import DAMAGES, STYLE, TEXTS, flat_story, stories


def write(folder: Path, text: str, name: str = "story.json") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def levels(story: Story) -> dict[str, int]:
    return dict(Counter(question.level for question in story.all_questions()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stories")


@pytest.mark.parametrize("damage", DAMAGES)
@settings(max_examples=25)
@given(story=stories())
def test_whatever_the_damage_the_tree_is_the_same(damage: str, folder: Path, story: Story) -> None:
    found = read_original_story(write(folder, DAMAGES[damage](flatten(story))))
    assert found.story == story
    assert found.quarantine.lines == []


@given(
    shots=st.lists(st.tuples(st.sampled_from(["frame", "dialogue"]), TEXTS).map(list), max_size=30),
    asked=st.lists(st.fixed_dictionaries({"Question": TEXTS, "Answer": TEXTS}), max_size=12),
    frames=st.none() | st.integers(1, 5),
)
def test_flattening_gives_back_what_was_read(shots: list[Any], asked: list[Any], frames: int | None) -> None:
    flat = {"character": {}, "img_diag": [["frame", "begin"], *shots], "QA": asked, "overview": "all\n of it"}
    found = take_over(flat, "story", frames)
    assert flatten(found.story) == flat
    assert found.quarantine.lines == []
    each = {len([shot for shot in part.shots if shot.kind == "frame"]) for part in list(found.story.tiny_stories())[:-1]}
    assert len(each) <= 1
    assert frames is None or each <= {frames}


def test_the_size_of_the_original(tmp_path: Path) -> None:
    flat = flat_story(11, dialogues=650)
    story, quarantine, notes = read_original_story(write(tmp_path, json.dumps(flat, indent=4), "story_info_0.json"))
    assert (story.id, story.style_keyword, notes, quarantine.lines) == ("story_info_0", "Dramatic", (), [])
    assert [len(substory.tiny_stories) for substory in story.substories] == [11] * 11
    assert sum(1 for _ in story.frames()) == 1331
    assert sum(1 for _ in story.dialogues()) == 650
    assert levels(story) == {"overview": 1, "story": 11, "substory": 11, "tiny_story": 121}
    assert list(story.frames())[2 * 121 + 6 * 11 + 10].id == "03-07-11"
    assert story.questions[3].evidence == ("03",)
    assert flatten(story) == flat


@pytest.mark.parametrize(
    ("frames", "given_frames", "tiny_stories", "note"),
    [
        (8, None, [2, 2], None),
        (8, 2, [2, 2], None),
        (8, 4, [2], "took 4 to a tiny story, 4 tiny stories"),
        (12, 3, [2, 2], "12 frames are not 3 x 3 x 3: took 3"),
        (22, None, [2], "took 11"),
        (23, None, [3], "took 11"),
        (1, None, [1], None),
    ],
)
def test_how_frames_are_grouped(frames: int, given_frames: int | None, tiny_stories: list[int], note: str | None) -> None:
    found = take_over({"img_diag": [["frame", "x"]] * frames}, "story", given_frames)
    assert [len(substory.tiny_stories) for substory in found.story.substories] == tiny_stories
    assert (note in found.notes[0]) if note else not found.notes


def test_dialogues_go_with_the_frame_before_them() -> None:
    frame, dialogue = ["frame", "x"], ["dialogue", "y"]
    story = take_over({"img_diag": [dialogue, frame, dialogue, dialogue, frame, frame, dialogue]}, "story", 1).story
    assert [[shot.id for shot in part.shots] for part in story.tiny_stories()] == [
        ["01-01-d01", "01-01-01", "01-01-d02", "01-01-d03"],
        ["02-01-01"],
        ["03-01-01", "03-01-d01"],
    ]


def test_questions_of_another_number_stay_with_the_story() -> None:
    flat = flat_story(2)
    del flat["QA"][-1]
    story, _, notes = take_over(flat, "story")
    assert levels(story) == {"overview": 1, "story": 7}
    assert [question.id for question in story.questions] == [f"q{number:03d}" for number in range(1, 9)]
    assert notes == ("8 questions are not 1 + 2 + 2 + 4: all stay with the whole story",)


def test_what_cannot_be_used_is_set_aside_and_moves_nothing() -> None:
    flat = flat_story(3)
    texts = [*flat["img_diag"]]
    flat["img_diag"][0] = ["frame", " \n"]
    flat["img_diag"][1] = ["dialgue", 7]
    flat["img_diag"][5:5] = [["video", "x"], ["frame"], "frame", None, {}, [["frame"], "x"], ["frame", "x", "y"]]
    flat["QA"][1] = {"Question": "Why?"}
    flat["QA"][2] = "Question: Why? Answer: So."
    flat["QA"][3] = {"Question": "Why?", "Answer": "a", "question ": "b"}
    flat["QA"][4] = {"Question": "x" * 2_001, "Answer": "a"}
    flat["character"] |= {"": "a man", "A" * 201: "a man", "C": ["a man"], "Ada\u202e": "another"}
    flat["title"] = "The Mill"
    story, quarantine, notes = take_over(flat, "story", max_bad_fraction=0.5)
    assert quarantine.reasons == {
        "empty-text": 2,
        "no-text": 2,
        "unknown-type": 2,
        "no-pair": 5,
        "no-question": 2,
        "no-object": 1,
        "too-long": 2,
        "name-twice": 1,
        "unknown-key": 1,
    }
    entries = [json.loads(line) for line in quarantine.lines]
    assert entries[0] == {"item": "key title", "reason": "unknown-key", "detail": ""}
    assert next(entry["item"] for entry in entries if entry["reason"] == "unknown-type") == "img_diag 6"
    assert notes == ("characters that cannot be printed were taken out of texts: 1",)
    assert [frame.id for frame in story.frames()][:3] == ["01-01-02", "01-01-03", "01-02-01"]
    assert next(story.dialogues()).id == "01-01-d02"
    assert flatten(story)["img_diag"] == texts[2:]
    assert [question.id for question in story.questions] == ["q001"]
    assert levels(story) == {"overview": 1, "substory": 2, "tiny_story": 9}
    assert [character.name for character in story.characters] == ["Ada", "Bo"]
    with pytest.raises(
        UserError, match=r"\A\d+ of 4\d parts of img_diag cannot be used \(2 empty-text, .*\), more than 10%; mend them\Z"
    ):
        take_over(flat, "story")


def test_marks_and_control_characters_are_taken_out(tmp_path: Path) -> None:
    flat = flat_story(1)
    flat["img_diag"][0][1] = STYLE + "a\x00 \u202emill\u2069\r\nby\x1b[31m night \ud83d"
    flat["QA"][1]["Answer"] = "one\u2028two\U000e0041"
    for text in (json.dumps(flat), json.dumps(flat, ensure_ascii=False).encode("utf-8", "replace").decode()):
        story = read_original_story(write(tmp_path, text)).story
        assert next(story.frames()).prompt.removesuffix("?") == STYLE + "a mill by[31m night "
        assert story.questions[1].answer == "one\ntwo"


def test_stories_may_lack_everything_but_frames() -> None:
    story, quarantine, notes = take_over({"img_diag": [["frame", "x"]], "character": {}, "QA": [], "overview": ""}, "story")
    assert (story.characters, story.questions, story.overview, quarantine.lines, notes) == ((), (), "", [], ())
    assert take_over({"img_diag": [["frame", "x"]]}, "story").story == story


def flat_text(**changes: Any) -> str:
    return json.dumps(flat_story(2) | changes)


REFUSED = {
    "nothing": ("", "no object with `img_diag`"),
    "prose": ("I'm sorry, I can't do that.", "no object with `img_diag`"),
    "another object": ('{"QA": []}', "no object with `img_diag`"),
    "a list": ('[["frame", "x"]]', "no object with `img_diag`"),
    "no list": (flat_text(img_diag={"frame": "x"}), "no list of 1 to"),
    "no shots": (flat_text(img_diag=[]), "no list of 1 to"),
    "no frames": (flat_text(img_diag=[["dialogue", "x"]]), "no frames"),
    "nothing but bad pairs": (flat_text(img_diag=[[]] * 50), "no frames"),
    "one kind of key twice": (flat_text(qa=[]), "mean the same"),
    "a key twice": ('{"img_diag": [],\n "QA": [], "QA": []}', "line 2, column 12: the key 'QA' comes twice"),
    "a name twice": ('{"character": {"A": "x", "A": "y"}, "img_diag": []}', "the key 'A' comes twice"),
    "cut off": (flat_text()[:-200], "ends before its brackets are closed"),
    "cut off in a text": (flat_text()[:-5], "closing quote is missing"),
    "a bracket too few": (flat_text().replace("]", "", 1), "column 1162: a colon too many"),
    "a bracket too many": (flat_text().replace("]", "]]", 2), "a key without a colon"),
    "many values": ('{"img_diag": [' + "0," * 1_000_001, "more than 1000000 brackets and values"),
    "deep": ('{"img_diag": ' + "[" * 1_000_000, "nested more than"),
    "too many frames": (flat_text(img_diag=[["frame", "x"]] * 20_000), "20000 frames, 11 to a tiny story, are too many"),
    "too many pairs": (flat_text(img_diag=[0] * 100_001), "no list of 1 to"),
    "too many bad pairs": (flat_text(img_diag=[["frame", "x"], [0]]), "1 of 2 parts of img_diag cannot be used (1 no-pair)"),
    "too many bad questions": (flat_text(QA=[{}]), "1 of 1 parts of QA cannot be used (1 no-question)"),
    "questions in no list": (flat_text(QA="none"), "1 of 1 parts of QA cannot be used (1 no-list)"),
    "too many bad characters": (
        flat_text(character=dict.fromkeys("abcdefg")),
        "parts of the file cannot be used (7 no-text)",
    ),
    "a long text": (flat_text(img_diag=[["frame", "x" * 10_000_000]]), "1 too-long"),
    "a long key": ('{"img_diag": [], "' + "x" * 10_000_000 + '": 1, "a"}', "a key without a colon"),
    "long numbers": (flat_text(img_diag=[["frame", 10**399]]), "1 no-text"),
    "too large": (" " * (MOST_BYTES + 1), "a story is smaller"),
}


@pytest.mark.parametrize(("text", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_story_is_one_line(text: str, problem: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as error:
        read_original_story(path)
    message = str(error.value)
    assert message.startswith(str(path))
    assert problem in message
    assert message.isprintable()
    assert len(message) < 700


def test_frames_of_a_tiny_story_have_bounds() -> None:
    for number in (0, -1, 100, 10**30):
        with pytest.raises(UserError, match="expected 1 to 99"):
            take_over(flat_story(2), "story", number)


def test_more_dialogues_than_ids_are_set_aside() -> None:
    flat = {"img_diag": [["frame", "x"], *([["dialogue", "y"]] * 101)], "QA": [{"Question": "q", "Answer": "a"}] * 1_001}
    story, quarantine, _ = take_over(flat, "story")
    assert quarantine.reasons == {"too-many": 4}
    assert [dialogue.id for dialogue in story.dialogues()][-1] == "01-01-d99"
    assert story.questions[-1].id == "q999"


@pytest.mark.parametrize("name", ["story_info_0", "-rf", "Ünï x", "a" * 200, ".hidden", "a\nb"])
def test_any_file_name_makes_an_id(name: str, tmp_path: Path) -> None:
    story = read_original_story(write(tmp_path, flat_text(), f"{name}.json")).story
    assert (story.id == name) == (name == "story_info_0")
    assert Story.model_validate(story.model_dump()) == story
