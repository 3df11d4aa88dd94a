"""What a story and its parts must keep to (specs/dreamframe.md C1), as tables of small functions that say what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from tasks.common.quarantine import printable
from tasks.dreamframe.frame_constraints import FRAME_CHECKS
from tasks.dreamframe.story_rules import (
    MOST_PROMPT_TOKENS,
    QUESTIONS_OF_TINY_STORY,
    Rules,
    Violation,
    named_persons,
    planned_word,
    prompt_tokens,
    too_long,
)
from tasks.dreamframe.story_tree import Frame, Question, Story, Substory, TinyStory

LEAST_LOCATIONS = 12
_MOST_CHARACTERS = 4
_Part = TypeVar("_Part", Story, Substory, TinyStory)
Check = Callable[[_Part, Rules], Iterable[str]]


def violations(part: _Part, rules: Rules) -> list[Violation]:
    """All that is wrong with a story (not with what is in its substories), a substory or a tiny story."""
    table: Mapping[str, Callable[..., Iterable[str]]] = CHECKS[type(part)]
    return [Violation(kind, printable(detail, 200)) for kind, check in table.items() for detail in check(part, rules)]


def _text_length(part: Substory | TinyStory, rules: Rules) -> Iterator[str]:
    yield from too_long("content", part.content)
    yield from _question_length(part)


def _question_length(part: Story | Substory | TinyStory) -> Iterator[str]:
    for question in part.questions:
        yield from too_long("question", question.question)
        if question.level != "overview":
            yield from too_long("answer", question.answer)


def _question_word(part: Story | Substory | TinyStory, rules: Rules) -> Iterator[str]:
    for question in part.questions:
        word = planned_word(question.id)
        if question.level != "overview" and not re.match(rf"{word}\b", question.question, re.IGNORECASE):
            yield f"question {question.question[:60]!r} must begin with {word.capitalize()}"


def _question_count(part: TinyStory, rules: Rules) -> Iterator[str]:
    if len(part.questions) != QUESTIONS_OF_TINY_STORY:
        yield f"{len(part.questions)} questions, expected {QUESTIONS_OF_TINY_STORY}"


def _evidence(part: Story | Substory | TinyStory, rules: Rules) -> Iterator[str]:
    for question in part.questions:
        if question.level != "overview" and not question.evidence:
            yield f"question {question.question[:60]!r}: nothing named that tells the answer"


def _scene(part: Story | Substory | TinyStory, rules: Rules) -> Iterator[str]:
    scenes = [substory.scene for substory in part.substories] if isinstance(part, Story) else [part.scene]
    if isinstance(part, Substory):
        scenes = [tiny_story.scene for tiny_story in part.tiny_stories]
    for scene in scenes:
        if not scene or not set(scene.split(", ")) <= set(rules.locations):
            yield f"scene {scene[:80]!r} is not of the list of locations"


def _real_person(part: Story | Substory | TinyStory, rules: Rules) -> Iterator[str]:
    for text in _texts(part):
        yield from named_persons(text, rules)


def _texts(part: Story | Substory | TinyStory) -> Iterator[str]:
    """What may name somebody; titles are written with capitals and say nothing in pictures."""
    if isinstance(part, Story):
        yield part.overview
        yield from (character.description for character in part.characters)
        yield from (substory.content for substory in part.substories)
    elif isinstance(part, Substory):
        yield from (tiny_story.content for tiny_story in part.tiny_stories)
    else:
        yield part.content
        yield from (shot.prompt if isinstance(shot, Frame) else shot.text for shot in part.shots)
    for question in part.questions:
        yield from _asked(question)


def _asked(question: Question) -> tuple[str, str]:
    return question.question, question.answer


def _part_count(part: Story | Substory, rules: Rules) -> Iterator[str]:
    found, wanted, what = (
        (len(part.substories), rules.breadth.substories, "substories")
        if isinstance(part, Story)
        else (len(part.tiny_stories), rules.breadth.tiny_stories, "tiny stories")
    )
    if found != wanted:
        yield f"{found} {what}, expected {wanted}"


def _style_keyword(part: Story, rules: Rules) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z]{3,20}", part.style_keyword):
        yield f"style keyword {part.style_keyword!r}; expected one word of letters"


def _location_list(part: Story, rules: Rules) -> Iterator[str]:
    if len(set(part.locations)) < LEAST_LOCATIONS:
        yield f"{len(set(part.locations))} different locations, at least {LEAST_LOCATIONS}"
    for place in part.locations:
        if not re.fullmatch(r"[\w'\u2019-]+( [\w'\u2019-]+)?", place):
            yield f"location {place!r}; expected one or two words"


def _characters(part: Story, rules: Rules) -> Iterator[str]:
    if not 1 <= len(part.characters) <= _MOST_CHARACTERS:
        yield f"{len(part.characters)} characters, expected 1 to {_MOST_CHARACTERS}"
    for character in part.characters:
        if not re.match(r"(an?|the|one|two) ", character.description):
            yield f"{character.name}: {character.description[:40]!r}; expected a description such as `a tall man in brown`"
        if character.name in character.description or prompt_tokens(character.description) > MOST_PROMPT_TOKENS // 3:
            yield f"{character.name}: a short description without the name is needed"


def _overview_length(part: Story, rules: Rules) -> Iterator[str]:
    yield from too_long("overview", part.overview)
    for substory in part.substories:
        yield from too_long("content", substory.content)
    yield from _question_length(part)


_STORY: dict[str, Check[Story]] = {
    "count": _part_count,
    "style": _style_keyword,
    "locations": _location_list,
    "characters": _characters,
    "location": _scene,
    "question-word": _question_word,
    "evidence": _evidence,
    "length": _overview_length,
    "real-person": _real_person,
}
_SUBSTORY: dict[str, Check[Substory]] = {
    "count": _part_count,
    "location": _scene,
    "question-word": _question_word,
    "evidence": _evidence,
    "length": _text_length,
    "real-person": _real_person,
}
_TINY_STORY: dict[str, Check[TinyStory]] = {
    **FRAME_CHECKS,
    "questions": _question_count,
    "question-word": _question_word,
    "evidence": _evidence,
    "length": _text_length,
    "real-person": _real_person,
}
CHECKS: Mapping[type, Mapping[str, Callable[..., Iterable[str]]]] = {
    Story: _STORY,
    Substory: _SUBSTORY,
    TinyStory: _TINY_STORY,
}
NO_PART = "tree"
"""The kind of what cannot be a part of a story tree at all."""
KINDS = tuple(sorted({NO_PART, *(kind for table in CHECKS.values() for kind in table)}))
