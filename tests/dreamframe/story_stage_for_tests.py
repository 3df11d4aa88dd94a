"""The stage `story` in a folder of its own, and a model that answers all that it asks."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field
from ruamel.yaml import YAML

from tasks.common import stage
from tasks.common.names import safe_name
from tasks.common.parameters import Section
from tasks.dreamframe import story
from tasks.dreamframe.story_tree import Story, read_story
from tasks.llm.parameters import LanguageModel
from tests.llm.endpoint_for_tests import KEY, KEY_VARIABLE, ScriptedEndpoint, completion

MODULE = "tests.dreamframe.story_stage_for_tests"
OUTPUTS = ("out", "quarantine", "provenance", "metrics")
THEME = "a lost kite"
PLACES = ["harbour", "pier", "beach", "dunes", "old mill", "market", "church", "garden", "bridge", "school", "wood", "hill"]
_LOCAL = {
    "backend": "local",
    "model": "SmolLM2-135M-Instruct",
    "base_url": None,
    "key_variable": None,
    "output": "json_schema",
    "temperature": 0.0,
    "max_tokens": 900,
    "in_flight": 4,
    "timeout_s": 20.0,
    "retries": 1,
    "most_wait_s": 0.02,
    "most_reply_bytes": 1_000_000,
}
_STORY = {
    "themes": [THEME],
    "planner": "direct",
    "substories": 2,
    "tiny_stories": 2,
    "frames": 3,
    "dialogues": 4,
    "max_bad_fraction": 0.0,
}


class ProjectParameters(Section):
    """The parameters that the stage reads."""

    seed: int = Field(ge=0)
    llm: LanguageModel
    story: story.Parameters


def set_up(work: Path, endpoint: ScriptedEndpoint | None = None, /, **changes: Any) -> None:
    """Writes parameters; `changes` are keys of the sections `story` and `llm`, or the seed."""
    work.mkdir(exist_ok=True, parents=True)
    values: dict[str, Any] = {"seed": 0, "llm": dict(_LOCAL), "story": dict(_STORY)}
    if endpoint:
        named = {"backend": "openai", "model": "test-model", "base_url": endpoint.url, "key_variable": KEY_VARIABLE}
        values["llm"] |= named
    for name, value in changes.items():
        part = values if name in values else values["story"] if name in _STORY else values["llm"]
        part[name] = value
    with (work / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(values, file)


def arguments(work: Path) -> list[str]:
    """The command line, without the program."""
    options = {"params": work / "params.yaml", "replies": work / "replies.jsonl"}
    options |= {name: work / "made" / name for name in OUTPUTS}
    return [word for name, path in options.items() for word in (f"--{name}", str(path))]


def run(work: Path) -> int:
    """The exit code."""
    return stage.main("story", story.Paths, story.make_stories, MODULE, arguments(work))


def refused(work: Path, capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """The one line that says why there is no story."""
    assert run(work) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert not (work / "made" / "out").exists()
    return lines[0]


def made(work: Path) -> dict[str, bytes]:
    """All files that a run wrote, the reply cache excepted."""
    return {str(file.relative_to(work)): file.read_bytes() for file in sorted((work / "made").rglob("*")) if file.is_file()}


def story_of(work: Path, theme: str = THEME) -> Story:
    return read_story(work / "made" / "out" / f"{safe_name(theme)}.json")


def metrics(work: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / "made" / "metrics").read_text(encoding="utf-8"))
    return found


def quarantine(work: Path) -> list[dict[str, str]]:
    """What was set aside, its count checked."""
    head, *lines = [json.loads(line) for line in (work / "made" / "quarantine").read_text(encoding="utf-8").splitlines()]
    assert head == {"quarantined": len(lines)}
    return lines


def question_of(body: dict[str, Any]) -> str:
    """The first question of a conversation."""
    return next(str(turn["content"]) for turn in body["messages"] if turn["role"] == "user")


def _words(text: str) -> list[str]:
    return re.findall(r"\b(What|Why|How|Where)\b", text)


def overview(question: str) -> dict[str, Any]:
    """A good outline."""
    words = _words(question)
    substories = [
        {
            "title": f"Chapter {number}",
            "scene": [PLACES[number]],
            "content": f"Ada looks for the kite in part {number}.",
            "question": {"question": f"{word} happens in part {number}?", "answer": "Ada looks for it."},
        }
        for number, word in enumerate(words, start=1)
    ]
    people = [
        {"name": "Ada", "description": "a girl with red hair in green"},
        {"name": "Bo", "description": "an old man with a cap in blue"},
    ]
    return {
        "title": "The Lost Kite",
        "overview": "Ada has lost her kite. Bo helps her, and they find it.",
        "style_keyword": "Pastel",
        "style_phrases": ["soft light"],
        "locations": PLACES,
        "characters": people,
        "substories": substories,
    }


def tiny_stories(question: str, count: int = 2) -> dict[str, Any]:
    """Good tiny stories of the substory that is asked for."""
    chapter = re.findall(r'Tell substory \d+, "([^"]*)"', question)[0]
    told = [{"title": f"{chapter}, {number}", "scene": ["pier"], "content": "They look."} for number in range(1, count + 1)]
    (word,) = _words(question.partition("Tell substory")[2])
    asked = {"question": f"{word} do they look?", "answer": "They miss the kite.", "tiny_stories": [1, count]}
    return {"tiny_stories": told, "question": asked}


_ACTIONS = ("walking along the water", "looking under a boat", "hugging Bo", "sitting on a box", "talking to a gull")


def shots(question: str, frames: int = 3) -> dict[str, Any]:
    """Good frames and dialogues of the tiny story that is asked for."""
    words = _words(question.partition("Write it as pictures")[2])
    return {
        "frames": [
            {"place": "Pier", "who": "Ada", "action": _ACTIONS[number % 5], "expression": "with a calm face"}
            for number in range(frames)
        ],
        "dialogues": [
            {"after_frame": 2, "speaker": "Bo", "text": "There is nothing under it."},
            {"after_frame": 1, "speaker": "Ada", "text": "It flew away."},
        ],
        "questions": [
            {"question": f"{word} is it so?", "answer": "It flew away.", "frames": [1], "dialogues": [number]}
            for number, word in enumerate(words, start=1)
        ],
    }


def good_answer(question: str) -> dict[str, Any]:
    """A good answer to any question of the planner `direct`."""
    if question.startswith("Theme: "):
        return overview(question)
    return tiny_stories(question) if "Tell substory" in question else shots(question)


def answers_all(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
    """A good answer to each planner's question, made from nothing but the question."""
    schema = body["response_format"]["json_schema"]["schema"]
    if "answer" in schema["properties"]:
        return completion(json.dumps({"answer": schema["properties"]["answer"]["enum"][0]}))
    return completion(json.dumps(good_answer(question_of(body))))


def tiny_story_asked(body: dict[str, Any]) -> str:
    """The title of the tiny story whose frames are asked for, or ""."""
    found = re.findall(r'Tiny story: \{"title": "([^"]*)"', question_of(body))
    return found[0] if found else ""


def titles(stories: Sequence[Any]) -> list[str]:
    return [story.title for story in stories]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key in the environment, and no proxy on the way to this machine."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


if __name__ == "__main__":
    sys.exit(stage.main("story", story.Paths, story.make_stories, MODULE))
