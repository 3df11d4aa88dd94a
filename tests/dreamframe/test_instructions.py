"""The stage `instructions`: records of four forms, subtitles and slideshows, in which texts stay texts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.dreamframe.slideshow import TooLong, video_size, write_slideshow
from tasks.dreamframe.story_tree import Dialogue, Story
from tasks.dreamframe.subtitles import ShownFrame, harmless, interleaved, shown_frames, subtitles
from tasks.video.mp4 import read_mp4
from tests.dreamframe.qa_for_tests import (
    add_story,
    all_bytes,
    lost_ball,
    metrics,
    quarantine,
    run_instructions,
    run_qa,
    set_up,
    with_shots,
)
from tests.dreamframe.stories_for_tests import TEXTS, stories

CUE = re.compile(r"(\d+)\n(\d\d:\d\d:\d\d,\d{3}) --> (\d\d:\d\d:\d\d,\d{3})\n([^\n]+)\n")
EVIL = 'Look <image> here <video> --> 00:00:09,000 "</s>" {\\an8}<b>'


def in_train(work: Path, name: str, out: str = "instructions") -> Any:
    text = (work / out / "train" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if name.endswith(".jsonl") else json.loads(text)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A story with an evil line and its data, and a story without keyframes."""
    work = tmp_path_factory.mktemp("instructions")
    set_up(work, validation_fraction=0.0, test_fraction=0.0, max_bad_fraction=0.9)
    add_story(work, with_shots(lost_ball(), {"01-01-d02": EVIL}))
    add_story(work, lost_ball("not-drawn"), drawn=False)
    assert run_qa(work) == 0
    assert run_instructions(work) == 0
    return work


def questions(work: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (work / "questions" / "lost-ball.jsonl").read_text(encoding="utf-8").splitlines()]


def test_each_open_question_is_a_record_of_each_conversation(work: Path) -> None:
    asked = [question for question in questions(work) if question["options"] is None]
    llama, chatgpt, chat = (in_train(work, name) for name in ("llama_vid.json", "video_chatgpt.json", "chat.jsonl"))
    assert len(llama) == len(chatgpt) == len(chat) == len(asked)
    for question, one, other, message in zip(asked, llama, chatgpt, chat, strict=True):
        assert one["id"] == other["id"] == message["id"] == f"lost-ball-{question['id']}"
        assert one["video"] == other["video"] == "slideshows/lost-ball.mp4"
        assert (work / "instructions" / "train" / one["video"]).is_file()
        assert [turn["from"] for turn in one["conversations"]] == ["human", "gpt"]
        assert one["conversations"][0]["value"] == f"<image>\n{harmless(question['question'])}"
        assert other["conversations"][0]["value"].startswith("<video>\n")
        assert one["conversations"][1]["value"] == harmless(question["answer"])
        user, assistant = message["messages"]
        assert user["content"] == [
            {"type": "video", "video": one["video"]},
            {"type": "text", "text": harmless(question["question"])},
        ]
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        assert assistant["content"][0]["text"] == harmless(question["answer"])


def test_multiple_choice_holds_the_answer_once(work: Path) -> None:
    asked = [question for question in questions(work) if question["options"]]
    made = in_train(work, "multiple_choice.json")
    assert len(made) == len(asked) > 10
    for record in made:
        assert list(record) == ["video", "question", "candidates", "answer"]
        assert len(record["candidates"]) == 4
        assert record["candidates"].count(record["answer"]) == 1


def test_texts_add_no_tokens(work: Path) -> None:
    records = in_train(work, "llama_vid.json") + in_train(work, "video_chatgpt.json")
    assert any("\u2039image>" in json.dumps(record, ensure_ascii=False) for record in records), (
        "the evil line is asked about"
    )
    for record in records:
        human, gpt = (turn["value"] for turn in record["conversations"])
        assert human.count("<image>") + human.count("<video>") == 1
        assert "<image>" not in gpt
        assert "<video>" not in gpt
        assert "</s>" not in human + gpt


def test_pictures_lines_and_frames_agree(work: Path) -> None:
    story = with_shots(lost_ball(), {"01-01-d02": EVIL})
    text = (work / "instructions" / "train" / "inputs" / "lost-ball.txt").read_text(encoding="utf-8")
    first, *parts = text.split("<image>")
    assert first == ""
    assert len(parts) == len(list(story.frames())) == 12
    assert parts[0] == "Pickle: My ball is gone! It slept here last night."
    frames = read_mp4(work / "instructions" / "train" / "slideshows" / "lost-ball.mp4")
    assert frames.shape == (12, 96, 96, 3)
    srt = (work / "instructions" / "train" / "subtitles" / "lost-ball.srt").read_text(encoding="utf-8")
    cues = CUE.findall(srt)
    assert "\n".join(f"{number}\n{begin} --> {end}\n{line}\n" for number, begin, end, line in cues) == srt
    assert [int(number) for number, *_ in cues] == list(range(1, 13))
    assert cues[1][1:3] == ("00:00:01,000", "00:00:02,000")
    assert "-->" not in cues[1][3]
    assert not set("{}") & set(cues[1][3])


def test_a_story_without_keyframes_is_set_aside(work: Path) -> None:
    assert quarantine(work, "instructions")["not-drawn"][0] == "no-keyframes"
    counted = metrics(work, "instructions")
    assert (counted["stories"], counted["frames"], counted["seconds"], counted["subtitles"]) == (1, 12, 12.0, 12)
    assert counted["records"]["chat"] == {"train": len(in_train(work, "chat.jsonl")), "validation": 0, "test": 0}
    assert json.loads((work / "instructions" / "test" / "llama_vid.json").read_text(encoding="utf-8")) == []


def test_the_same_inputs_give_the_same_bytes(work: Path) -> None:
    assert run_instructions(work, "again") == 0
    one, other = all_bytes(work / "again"), all_bytes(work / "instructions")
    assert one == other
    assert "train/slideshows/lost-ball.mp4" in one


def test_a_story_that_says_nothing(tmp_path: Path) -> None:
    set_up(tmp_path, validation_fraction=0.0, test_fraction=0.0, most_of_a_kind=1, max_bad_fraction=0.9)
    add_story(tmp_path, with_shots(lost_ball(), silent=True))
    assert run_qa(tmp_path) == 0
    assert run_instructions(tmp_path) == 0
    train = tmp_path / "instructions" / "train"
    assert (train / "subtitles" / "lost-ball.srt").read_text(encoding="utf-8") == ""
    assert (train / "inputs" / "lost-ball.txt").read_text(encoding="utf-8") == "<image>" * 12
    assert metrics(tmp_path, "instructions")["subtitles"] == 0


def test_questions_on_what_is_not_shown_are_set_aside(tmp_path: Path) -> None:
    set_up(tmp_path, validation_fraction=0.0, test_fraction=0.0, max_bad_fraction=0.9)
    add_story(tmp_path, lost_ball(), missing=("01-01-01",))
    assert run_qa(tmp_path) == 0
    assert run_instructions(tmp_path) == 0
    aside = quarantine(tmp_path, "instructions")
    assert aside["lost-ball 01-01-q001"] == ("not-shown", "no keyframe for 01-01-01, 01-01-d01")
    assert "lost-ball-01-01-q001" not in {record["id"] for record in in_train(tmp_path, "chat.jsonl")}
    text = (tmp_path / "instructions" / "train" / "inputs" / "lost-ball.txt").read_text(encoding="utf-8")
    assert text.count("<image>") == 11
    assert "My ball is gone" not in text


def test_without_questions_the_stage_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(tmp_path)
    add_story(tmp_path, lost_ball())
    assert run_instructions(tmp_path) == 2
    assert "run the stage qa" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"least_side": 600}, "most_side"), ({"seconds_per_frame": 1.5}, "whole number"), ({"resampling": "cubic"}, "nearest")],
)
def test_parameters_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str
) -> None:
    set_up(tmp_path, **changes)
    assert run_instructions(tmp_path) == 2
    assert words in capsys.readouterr().err


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(stories(), st.floats(0.5, 60), st.data())
def test_subtitles_of_any_story_are_well_formed(story: Story, seconds: float, data: st.DataObject) -> None:
    every = [frame.id for frame in story.frames()]
    kept = data.draw(st.sets(st.sampled_from(every)))
    frames = shown_frames(story, kept)
    assert [shown.frame for shown in frames] == [frame for frame in every if frame in kept]
    srt = subtitles(frames, seconds)
    cues = CUE.findall(srt)
    assert len(cues) == sum(len(shown.lines) for shown in frames)
    assert "\n".join(f"{number}\n{begin} --> {end}\n{line}\n" for number, begin, end, line in cues) == srt
    assert all(begin < end for _, begin, end, _ in cues)
    assert interleaved(frames).count("<image>") == len(frames)
    if len(kept) == len(every):
        assert len(cues) == len(list(story.dialogues())), "no line is lost"


@given(st.lists(TEXTS | st.sampled_from(["<image>", "<<image>image>", "<IMAGE>", "-->", "1", EVIL, "<video><im_end|>"])))
def test_lines_stay_in_their_cue_and_bring_no_picture(texts: list[str]) -> None:
    lines = tuple(
        Dialogue(kind="dialogue", id=f"01-01-d{number:02}", text=text) for number, text in enumerate(texts[:90], start=1)
    )
    frames = [ShownFrame("01-01-01", lines), ShownFrame("01-01-02", ())]
    assert interleaved(frames).lower().count("<image>") == 2
    assert "<video>" not in interleaved(frames)
    assert len(CUE.findall(subtitles(frames, 1.0))) == len(lines)
    assert subtitles(frames, 1.0).count("-->") == len(lines)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(64, 64, (256, 256)), (1024, 1024, (512, 512)), (300, 400, (300, 400)), (64, 640, (51, 512)), (1, 1, (256, 256))],
)
def test_sizes_of_videos(height: int, width: int, size: tuple[int, int]) -> None:
    assert video_size(height, width, 256, 512) == size


def test_a_slideshow_repeats_its_pictures(tmp_path: Path) -> None:
    pictures = [np.full((8, 8, 3), level, np.uint8) for level in (10, 200)]
    write_slideshow(pictures, 2, tmp_path / "a.mp4", (32, 32), 3, 3.0, "lanczos")
    levels = read_mp4(tmp_path / "a.mp4").mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels, [10] * 3 + [200] * 3, atol=4)


def test_a_slideshow_that_is_too_long_is_refused_before_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(TooLong, match="20000 frames"):
        write_slideshow(iter(()), 20_000, tmp_path / "a.mp4", (16, 16), 1, 1.0, "nearest")
    assert not list(tmp_path.iterdir())
