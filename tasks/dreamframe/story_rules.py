"""What the parts of a story are held against: numbers, words and lengths (specs/dreamframe.md C1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tasks.dreamframe.story_vocabulary import QUESTION_WORDS

MOST_PROMPT_TOKENS = 75
"""CLIP's 77 less the marks of begin and end."""
QUESTIONS_OF_TINY_STORY = 2
"""As published."""
_MOST_WORDS = {"dialogue": 30, "answer": 80, "question": 40, "content": 400, "overview": 200, "expression": 8}
_LETTERS_OF_A_TOKEN = 9
_STARTER = re.compile(
    "a|after|an|and|as|at|because|before|but|by|each|for|from|he|her|his|how|i|if|in|is|it|its|later|my|no|nobody|now|of|on|"
    "once|one|our|she|so|some|somebody|soon|that|the|their|then|there|these|they|this|to|together|two|until|we|what|when|"
    "where|while|who|why|with|yes|you|your"
)
_TURNS = {1: (1,), 2: (1, 2), 3: (2, 1, 2)}
_TWO_WORDS = re.compile(r"\b(?=([^\W\d_][\w'\u2019]{1,40}) ([^\W\d_][\w'\u2019]{1,40}))")
_LIKENESS = re.compile(r"\b(?:looks?|looking) (?:just |exactly |much )?like (?:the )?[A-Z]|\bresembl(?:es|ing) [A-Z]")


class Breadth(NamedTuple):
    """Substories of a story, tiny stories of each, frames of each, and the dialogues that a tiny story may have."""

    substories: int
    tiny_stories: int
    frames: int
    dialogues: int


class Rules(NamedTuple):
    """What the parts of one story are held against."""

    breadth: Breadth
    style_keyword: str = ""
    locations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class Violation(NamedTuple):
    """Something wrong: a short fixed word, and what it is, in words that the story's author understands."""

    kind: str
    detail: str


def planned_word(identifier: str) -> str:
    """The word that the question with this id begins with; the four words take turns in each part of a story."""
    numbers = [int(digits) for digits in re.findall("[0-9]+", identifier)]
    turns = sum(weight * number for weight, number in zip(_TURNS[len(numbers)], numbers, strict=True))
    return QUESTION_WORDS[turns % len(QUESTION_WORDS)]


def prompt_tokens(text: str) -> int:
    """About how many tokens CLIP makes of a text: one for each sign, and for each nine letters of a word."""
    parts = re.findall(r"\w+|[^\w\s]", text)
    return sum(-(-len(part) // _LETTERS_OF_A_TOKEN) for part in parts)


def named_persons(text: str, rules: Rules) -> Iterator[str]:
    """Places in a text that name somebody who is no character: "looks like NAME", or two capitalised words."""
    if _LIKENESS.search(text):
        yield f"{text[:80]!r} describes somebody by a real person; describe age, hair and clothes instead"
    known = {word for name in rules.names for word in name.split()} | set(rules.style_keyword.split())
    places = {place.casefold() for place in rules.locations}
    for found in _TWO_WORDS.finditer(text):
        words = [re.sub("['\u2019]s$", "", word) for word in found.groups()]
        if not all(word[0].isupper() and not word.isupper() for word in words):
            continue
        allowed = _STARTER.fullmatch(words[0].casefold()) or " ".join(words).casefold() in places
        if not allowed and not known & set(words):
            yield f"{' '.join(words)[:80]!r} is no character of this story"


def _words(text: str) -> int:
    return len(text.split())


def too_long(kind: str, text: str) -> Iterator[str]:
    """What is wrong with the length of a text of a kind in `_MOST_WORDS`."""
    if _words(text) > _MOST_WORDS[kind]:
        yield f"{kind} {text[:40]!r} has {_words(text)} words, at most {_MOST_WORDS[kind]}"
