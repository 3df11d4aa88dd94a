"""The story tree: a story, its substories, their tiny stories, and in each the frames and dialogues in order.

An id tells the place. Numbers count from 1 and have leading zeros, so that ids of one kind sort in the story's order:

    03            substory 3                 q001          question 1 on the whole story
    03-07         its tiny story 7           03-q001       question 1 on substory 3
    03-07-11      frame 11 of that           03-07-q001    question 1 on the tiny story
    03-07-d02     dialogue 2 of that

A number is left out where a part could not be used. Text is hostile until it is in the tree: there it is bounded, and free
of control characters and of marks that change the direction of writing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.common.errors import UserError
from tasks.common.files import write_text
from tasks.common.quarantine import printable
from tasks.dreamframe.story_text import Answer, Line, Name, Paragraph, Said, Style, read_bounded

MOST_BYTES = 50_000_000
MOST_PARTS = 99
"""Substories of a story, tiny stories of a substory, frames of a tiny story, and so on; two digits of an id."""
MOST_QUESTIONS = 999
STORY_ID = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"

_DIGITS = {"": 2, "d": 2, "q": 3}

Id = Annotated[str, Field(max_length=12)]
Names = Annotated[tuple[Name, ...], Field(max_length=MOST_PARTS)]
IdKind = Literal["", "d", "q"]
Level = Literal["overview", "story", "substory", "tiny_story"]


class _Part(BaseModel):
    """A part of a story; an empty text or list is one that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Question(_Part):
    """A question and its answer; `evidence` names the substories, tiny stories, frames and dialogues that tell it."""

    id: Id
    level: Level
    question: Said
    answer: Answer
    evidence: Annotated[tuple[Id, ...], Field(max_length=MOST_QUESTIONS)] = ()


Questions = Annotated[tuple[Question, ...], Field(max_length=MOST_QUESTIONS)]


class Frame(_Part):
    """One picture; `prompt` is what it is made of."""

    kind: Literal["frame"]
    id: Id
    prompt: Said
    place: Line = ""
    expression: Line = ""


class Dialogue(_Part):
    """What is said after the frame before it."""

    kind: Literal["dialogue"]
    id: Id
    text: Said
    speaker: Line = ""


Shot = Annotated[Frame | Dialogue, Field(discriminator="kind")]


class TinyStory(_Part):
    """A few frames, and the dialogues between them, in order."""

    id: Id
    title: Line = ""
    scene: Line = ""
    content: Paragraph = ""
    shots: Annotated[tuple[Shot, ...], Field(max_length=2 * MOST_PARTS)] = ()
    questions: Questions = ()


class Substory(_Part):
    """One chapter of the story."""

    id: Id
    title: Line = ""
    scene: Line = ""
    content: Paragraph = ""
    tiny_stories: Annotated[tuple[TinyStory, ...], Field(max_length=MOST_PARTS)] = ()
    questions: Questions = ()


class Character(_Part):
    """Somebody in the story; `description` is how pictures show them."""

    name: Name
    description: Said


class Story(_Part):
    """A whole story; its ids are checked: each in its place, in order, and those in evidence exist."""

    id: Annotated[str, Field(pattern=STORY_ID)]
    title: Line = ""
    overview: Paragraph = ""
    style_keyword: Style = ""
    style_phrases: Names = ()
    locations: Names = ()
    characters: Annotated[tuple[Character, ...], Field(max_length=MOST_PARTS)] = ()
    substories: Annotated[tuple[Substory, ...], Field(max_length=MOST_PARTS)] = ()
    questions: Questions = ()

    def tiny_stories(self) -> Iterator[TinyStory]:
        """All of them, in order."""
        return (tiny_story for substory in self.substories for tiny_story in substory.tiny_stories)

    def frames(self) -> Iterator[Frame]:
        """All of them, in order."""
        return (shot for tiny_story in self.tiny_stories() for shot in tiny_story.shots if isinstance(shot, Frame))

    def dialogues(self) -> Iterator[Dialogue]:
        """All of them, in order."""
        return (shot for tiny_story in self.tiny_stories() for shot in tiny_story.shots if isinstance(shot, Dialogue))

    def all_questions(self) -> Iterator[Question]:
        """Those on the whole story, then those on its substories, then those on its tiny stories."""
        parts: tuple[Story | Substory | TinyStory, ...] = (self, *self.substories, *self.tiny_stories())
        return (question for part in parts for question in part.questions)

    @model_validator(mode="after")
    def _check(self) -> Story:
        _check_order("", "", self.substories)
        _check_questions("", self.questions, ("overview", "story"))
        for substory in self.substories:
            _check_order(substory.id, "", substory.tiny_stories)
            _check_questions(substory.id, substory.questions, ("substory",))
            for tiny_story in substory.tiny_stories:
                _check_questions(tiny_story.id, tiny_story.questions, ("tiny_story",))
                _check_order(tiny_story.id, "", [shot for shot in tiny_story.shots if shot.kind == "frame"])
                _check_order(tiny_story.id, "d", [shot for shot in tiny_story.shots if shot.kind == "dialogue"])
        if len({character.name for character in self.characters}) < len(self.characters):
            raise ValueError("two characters have one name")
        parts = (self.substories, self.tiny_stories(), self.frames(), self.dialogues())
        known = {part.id for kind in parts for part in kind}
        for question in self.all_questions():
            if not known.issuperset(question.evidence) or len(set(question.evidence)) < len(question.evidence):
                raise ValueError(f"question {question.id}: its evidence names a part that is not there, or one part twice")
        return self


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


def part_id(parent: str, number: int, kind: IdKind = "") -> str:
    """The id of a part: of the story itself where `parent` is "", a dialogue's where `kind` is "d", a question's for "q"."""
    return f"{parent}{'-' if parent else ''}{kind}{number:0{_DIGITS[kind]}}"


def _check_order(parent: str, kind: IdKind, parts: Iterable[_HasId]) -> None:
    before = part_id(parent, 0, kind)
    stem = before[: -_DIGITS[kind]]
    for part in parts:
        number = part.id.removeprefix(stem)
        if part.id != stem + number or not re.fullmatch(f"[0-9]{{{_DIGITS[kind]}}}", number) or part.id <= before:
            raise ValueError(f"id {part.id}: expected one such as {part_id(parent, 1, kind)} that comes after {before}")
        before = part.id


def _check_questions(parent: str, questions: tuple[Question, ...], levels: tuple[Level, ...]) -> None:
    _check_order(parent, "q", questions)
    for question in questions:
        if question.level not in levels:
            raise ValueError(f"question {question.id}: its level is {question.level}; here it must be {' or '.join(levels)}")


def write_story(path: Path, story: Story) -> None:
    """One JSON document, whole or not at all; what is not known is left out. The same story gives the same bytes."""
    write_text(path, story.model_dump_json(indent=2, exclude_defaults=True) + "\n")


def read_story(path: Path) -> Story:
    """The story that `write_story` wrote.

    Raises:
        UserError: no such file, too large, or no story; with the first thing that is wrong.
    """
    try:
        return Story.model_validate_json(read_bounded(path, MOST_BYTES))
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        wrong = problem["msg"].removeprefix("Value error, ")
        raise UserError(f"{path}: {printable(f'{place}: {wrong}' if place else wrong)}; expected a story tree") from None


def read_stories(folder: Path) -> list[Story]:
    """All stories of a folder, sorted by name.

    Raises:
        UserError: no story there, one that is none, or one that has another name than its file.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise UserError(f"{folder}: no stories (*.json) there; run the stage story, or name another folder")
    stories = [read_story(file) for file in files]
    for file, story in zip(files, stories, strict=True):
        if file.stem != story.id:
            raise UserError(f"{file}: is the story {story.id}; name the file {story.id}.json")
    return stories
