"""Stage `storyboard`: what a board shows of a story, and the summary of all stages."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.common.report_storyboard import read_storyboard
from tasks.dreamframe import storyboard
from tasks.dreamframe.keyframe_archive import read_keyframes
from tasks.dreamframe.question_files import read_questions
from tasks.dreamframe.storyboard_pages import caption_of, draw_storyboard
from tests.dreamframe.qa_for_tests import add_story, lost_ball, run_qa, set_up
from tests.dreamframe.stories_for_tests import stories

STAGES = ("story", "style", "keyframes", "qa", "instructions")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A story with questions, one keyframe missing, and metrics of all stages before."""
    work = tmp_path_factory.mktemp("storyboard")
    set_up(work, max_bad_fraction=0.9)
    add_story(work, lost_ball(), missing=["01-02-02"])
    assert run_qa(work) == 0
    for name in STAGES:
        measured = {key: len(key) for key in storyboard._SUMMARY[name]}
        (work / f"{name}.json").write_text(json.dumps({**measured, "other": 1}))
    return work


def paths(work: Path, out: str = "boards") -> storyboard.Paths:
    metrics = {f"{name}_metrics": work / f"{name}.json" for name in STAGES}
    inputs = {"stories": work / "story", "keyframes": work / "keyframes", "questions": work / "questions"}
    return storyboard.Paths(**inputs, **metrics, out=work / out, metrics=work / f"{out}.json")


def make(work: Path, out: str = "boards", **changes: int) -> dict[str, object]:
    values = {"most_stories": 3, "most_frames": 60, "picture_pixels": 256, **changes}
    project = SimpleNamespace(storyboard=storyboard.Parameters(**values))
    return storyboard.make_storyboards(project, paths(work, out))


def test_a_board_shows_all_frames_lines_and_questions_in_order(work: Path) -> None:
    make(work)
    board, cells = read_storyboard(work / "boards" / "lost-ball.json")
    story = lost_ball()
    cards = [card for scene in board.scenes for card in scene.cards]
    assert [card.frame for card in cards] == [frame.id for frame in story.frames()]
    assert [line.text for card in cards for line in card.lines] == [dialogue.text for dialogue in story.dialogues()]
    pictures = {keyframe.id: pixels for keyframe, pixels in read_keyframes(work / "keyframes", "lost-ball")}
    for card in cards:
        if card.frame == "01-02-02":
            assert card.cell is None
        else:
            assert card.cell is not None
            assert np.array_equal(cells[card.cell], pictures[card.frame])
    records = read_questions(work / "questions" / "lost-ball.jsonl")
    asked = [one for scene in board.scenes for one in scene.asked] + list(board.asked)
    assert {one.kind.replace(" ", "_") for one in asked} == {record.kind for record in records}
    assert {(one.question, one.answer) for one in asked} <= {(record.question, record.answer) for record in records}
    assert all(not one.options or one.options.count(one.answer) == 1 for one in asked)


def test_captions_are_sentences_without_place_and_style() -> None:
    frame = next(iter(lost_ball().frames()))
    caption = caption_of(frame, "Storybook")
    assert caption.startswith("A white dog is squatting to look behind the roots, ")
    assert caption.endswith(".")


def test_long_stories_are_cut_after_whole_tiny_stories(work: Path) -> None:
    make(work, "short", most_frames=7, picture_pixels=32)
    board, cells = read_storyboard(work / "short" / "lost-ball.json")
    assert len(board.scenes) == 2
    assert board.note.startswith("The first 2 of 4 tiny stories. ")
    assert cells[0].shape == (32, 32, 3)


def test_the_summary_takes_what_it_names_and_says_what_is_missing(work: Path) -> None:
    found = make(work, "again")
    assert found == {name: {key: len(key) for key in keys} for name, keys in storyboard._SUMMARY.items()}
    (work / "partial.json").write_text('{"stories": 1}')
    some = storyboard.Paths(**{**paths(work).__dict__, "qa_metrics": work / "partial.json"})
    with pytest.raises(UserError, match=r"partial\.json: questions is not in it; run the stage qa again"):
        storyboard.summary(some)
    with pytest.raises(UserError, match=r"run the stage qa$"):
        storyboard.summary(storyboard.Paths(**{**paths(work).__dict__, "qa_metrics": work / "nothing.json"}))


def test_the_same_story_gives_the_same_bytes(work: Path) -> None:
    for out in ("one", "two"):
        make(work, out)
    for name in ("lost-ball.json", "lost-ball.png"):
        assert (work / "one" / name).read_bytes() == (work / "two" / name).read_bytes()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stories(), st.integers(1, 30))
def test_any_story_becomes_a_board_without_pictures(tmp_path: Path, story: object, most_frames: int) -> None:
    board, pictures = draw_storyboard(story, tmp_path, [], most_frames, 64)  # type: ignore[arg-type]
    assert pictures == []
    assert all(card.cell is None for scene in board.scenes for card in scene.cards)
