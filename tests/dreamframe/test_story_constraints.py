"""Constraints: each is broken once, and only that one is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dreamframe.story_constraints import KINDS, NO_PART, violations
from tasks.dreamframe.story_rules import Breadth, Rules, named_persons, planned_word, prompt_tokens
from tasks.dreamframe.story_telling import rules_of
from tasks.dreamframe.story_tree import Character, Dialogue, Frame, Question, Story, TinyStory
from tests.dreamframe.test_story_composer import tell

BREADTH = Breadth(2, 2, 3, 4)
STORY = tell(BREADTH)
RULES = rules_of(STORY, BREADTH)
TINY = next(STORY.tiny_stories())
STYLE = "generate an image in Crayon style: "


def kinds(part: Any) -> set[str]:
    return {violation.kind for violation in violations(part, RULES)}


def with_frame(**changes: Any) -> TinyStory:
    """The tiny story with another second frame."""
    shots = [
        shot.model_copy(update=changes) if shot.id == "01-01-02" else shot for shot in TINY.shots if isinstance(shot, Frame)
    ]
    lines = [shot for shot in TINY.shots if isinstance(shot, Dialogue)]
    return TINY.model_copy(update={"shots": tuple(shot for pair in zip(shots, lines, strict=True) for shot in pair)})


def prompt(shown: str, **more: str) -> dict[str, str]:
    return {"prompt": f"{STYLE}garden, {shown}, smiling", "place": "garden", "expression": "smiling", **more}


BROKEN_FRAMES: list[tuple[str, dict[str, str]]] = [
    ("verb", prompt("a cat is flying over the roof")),
    ("verb", prompt("a cat on the roof")),
    ("location", prompt("a cat is walking", place="moon")),
    ("location", {"prompt": f"{STYLE}moon, a cat is walking, smiling", "place": "moon", "expression": "smiling"}),
    ("expression", prompt("a cat is walking", expression="")),
    ("expression", prompt("a cat is walking", expression="crying")),
    ("style", {**prompt("a cat is walking"), "prompt": "generate an image in Oil style: garden, a cat is walking, smiling"}),
    ("prompt-length", prompt("a cat is walking " + "on and " * 40)),
    ("real-person", prompt("a man who looks like Tom is walking")),
    ("real-person", prompt("a woman like Ada Lovelace is walking")),
]


@pytest.mark.parametrize(("kind", "changes"), BROKEN_FRAMES)
def test_a_broken_frame_is_told(kind: str, changes: dict[str, str]) -> None:
    assert kinds(with_frame()) == set()
    assert kind in kinds(with_frame(**changes)) <= {kind, "verb"}


def lines(*texts: str, speaker: str = "Mia") -> TinyStory:
    frames = [shot for shot in TINY.shots if isinstance(shot, Frame)]
    said = [
        Dialogue(kind="dialogue", id=f"01-01-d{number:02}", text=text, speaker=speaker)
        for number, text in enumerate(texts, 1)
    ]
    return TINY.model_copy(update={"shots": (*frames, *said)})


def test_broken_dialogues_are_told() -> None:
    assert kinds(lines("Yes.")) == set()
    assert kinds(lines()) == {"dialogues"}
    assert kinds(lines("A.", "B.", "C.", "D.", "E.")) == {"dialogues"}
    assert kinds(lines("A.", "A.")) == {"dialogues"}
    assert kinds(lines("word " * 31)) == {"dialogues"}
    assert kinds(lines("Yes.", speaker="Nobody")) == {"speaker"}


def frames(*shown: str, spoken: bool) -> TinyStory:
    shots: list[Frame | Dialogue] = []
    for number, text in enumerate(shown, 1):
        shots.append(Frame(kind="frame", id=f"01-01-{number:02}", **prompt(text)))
        if spoken:
            shots.append(Dialogue(kind="dialogue", id=f"01-01-d{number:02}", text=f"Line {number}.", speaker="Mia"))
    return TINY.model_copy(update={"shots": tuple(shots)})


def test_two_frames_may_be_alike_if_something_is_said_between_them() -> None:
    walk, sit = "a gray cat is walking on", "a brown dog is sitting under the table"
    assert kinds(frames(walk, walk, sit, spoken=True)) == set()
    assert kinds(frames(walk, sit, walk, spoken=False)) == {"dialogues"}
    assert kinds(frames(walk, walk, sit, spoken=False)) == {"dialogues", "similar-frames"}
    assert kinds(frames(walk, walk, walk, spoken=True)) == {"similar-frames"}
    assert kinds(frames(walk, sit, spoken=True)) == {"count"}


def asked(question: str, answer: str = "So.", evidence: tuple[str, ...] = ("01-01-01",)) -> TinyStory:
    (first, second) = TINY.questions
    changed = Question(id=first.id, level="tiny_story", question=question, answer=answer, evidence=evidence)
    return TINY.model_copy(update={"questions": (changed, second)})


def test_broken_questions_are_told() -> None:
    word = planned_word(TINY.questions[0].id).capitalize()
    assert kinds(asked(f"{word} is it?")) == set()
    assert kinds(asked("Who is it?")) == {"question-word"}
    assert kinds(asked(f"{word}ever is it?")) == {"question-word"}
    assert kinds(asked(f"{word} is it?", evidence=())) == {"evidence"}
    assert kinds(asked(f"{word} is it?", "so " * 81)) == {"length"}
    assert kinds(asked(f"{word} is Bill Gates here?")) == {"real-person"}
    assert kinds(TINY.model_copy(update={"questions": TINY.questions[:1]})) == {"questions"}


BROKEN_STORIES: list[tuple[str, dict[str, Any]]] = [
    ("count", {"substories": STORY.substories[:1]}),
    ("style", {"style_keyword": "old film"}),
    ("style", {"style_keyword": ""}),
    ("locations", {"locations": (*STORY.locations[:-1], STORY.locations[0])}),
    ("locations", {"locations": (*STORY.locations, "the end of the road")}),
    ("characters", {"characters": ()}),
    ("characters", {"characters": (*STORY.characters, Character(name="Ada", description="Ada in green"))}),
    ("real-person", {"characters": (*STORY.characters, Character(name="Bo", description="a man looks like Sean Bean"))}),
    ("location", {"substories": tuple(part.model_copy(update={"scene": "moon"}) for part in STORY.substories)}),
    ("length", {"overview": "word " * 201}),
]


@pytest.mark.parametrize(("kind", "changes"), BROKEN_STORIES)
def test_a_broken_outline_is_told(kind: str, changes: dict[str, Any]) -> None:
    assert kinds(STORY) == set()
    assert kind in kinds(STORY.model_copy(update=changes))


def test_a_broken_substory_is_told() -> None:
    substory = STORY.substories[0]
    assert kinds(substory) == set()
    assert kinds(substory.model_copy(update={"tiny_stories": substory.tiny_stories[:1]})) == {"count"}
    elsewhere = tuple(part.model_copy(update={"scene": ""}) for part in substory.tiny_stories)
    assert kinds(substory.model_copy(update={"tiny_stories": elsewhere})) == {"location"}


def test_every_kind_has_a_name() -> None:
    assert NO_PART in KINDS
    assert len(set(KINDS)) == len(KINDS) == 17


PERSONS = [
    ("a man looks like Gerard Butler in brown", True),
    ("He looks just like Merlin.", True),
    ("Then Tom Hanks walks in.", True),
    ("Is it Tom Hanks's hat?", True),
    ("Mia meets \u00c9va \u00c5kerman.", True),
    ("THE END", False),
    ("Mia walks through Market Square. Rusty sleeps.", False),
    ("Then Mia laughs, and Uncle Rusty too.", False),
    ("It looks like rain.", False),
    ("a gray cat in Crayon Style", False),
    ("Why Does mia sleep?", False),
]


@pytest.mark.parametrize(("text", "found"), PERSONS)
def test_names_of_nobody_in_the_story_are_found(text: str, found: bool) -> None:
    rules = Rules(BREADTH, "Crayon", ("market square",), ("Mia", "Rusty"))
    assert bool(list(named_persons(text, rules))) == found


@given(st.text(max_size=300))
def test_hostile_text_is_judged_and_bounded(text: str) -> None:
    for person in named_persons(text, RULES):
        assert len(person) < 500
    assert prompt_tokens(text) <= len(text)


def test_the_published_lengths_of_prompts_are_near() -> None:
    text = (
        "generate an image in Dramatic style: In the town square, a man looks like somebody in brown is holding a torch and "
        "talking to a woman who wears a royal blue dress, with a determined expression on his face."
    )
    assert 38 <= prompt_tokens(text) <= 50


def test_a_story_without_parts_is_judged() -> None:
    assert {violation.kind for violation in violations(Story(id="x"), RULES)} == {
        "count",
        "style",
        "locations",
        "characters",
    }
