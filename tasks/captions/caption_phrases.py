"""The phrases of a caption, and the reader that cuts its words into them, from left to right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.captions import english
from tasks.captions.caption_words import Word
from tasks.captions.scene import Side, Size

Vector = tuple[int, int]
CourseKind = Literal[
    "across", "nearer", "farther", "away", "inside", "circle", "shuttle", "bob", "home", "opposite", "vertical"
]  # fmt: skip


@dataclass(frozen=True)
class Thing:
    """A noun phrase; `count` 0 is "no", None is not told; `modifiers` are the verbs of participles before the noun."""

    name: str
    noun: str
    attribute: str = ""
    determiner: str = ""
    count: int | None = None
    plural: bool = False
    size: Size | None = None
    modifiers: tuple[str, ...] = ()
    lively: bool = False
    possessor: bool = False
    distinguishing: bool = False
    surface: str = ""


@dataclass(frozen=True)
class Pronoun:
    """A pronoun or possessive, by its text."""

    text: str


@dataclass(frozen=True)
class Where:
    """A region of the canvas (`vector`: -1, 0, 1 to the right and down) or a side of an object.

    `named` tells "the left edge" and "the upper left" from the mere "left".
    """

    role: english.Role
    vector: Vector | None = None
    side: Side | None = None
    of: Thing | Pronoun | None = None
    named: bool = False
    explicit: bool = True

    @property
    def only_up_or_down(self) -> bool:
        """Whether it is a mere "up" or "down"."""
        return self.role == "toward" and not self.explicit


@dataclass(frozen=True)
class Course:
    """A way of moving without a named place: across, toward the camera, in circles, up and down, ..."""

    kind: CourseKind


@dataclass(frozen=True)
class When:
    """A time: `start` is `end` for a moment.

    `relation` says how the clause lies to it, `vague` that it is "the beginning" or "the end", `rest` that it is what
    earlier times leave.
    """

    relation: Literal["in", "after", "before", "until", "from"]
    start: float
    end: float
    vague: bool = False
    rest: bool = False


@dataclass(frozen=True)
class Verb:
    """A verb with its auxiliaries; `aspect` is "begin" or "stop" for "starts moving" and "stops moving"."""

    lemma: str
    kind: str
    form: Literal["finite", "ing", "participle", "having"]
    passive: bool = False
    negated: bool = False
    aspect: str = ""


@dataclass(frozen=True)
class Looks:
    """Adjectives without a noun."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Preposition:
    """A preposition before something that is no place or time of its own."""

    text: str


@dataclass(frozen=True)
class Mark:
    """A word or sign between phrases.

    `kind` is "stop", "comma", "colon", "and", "relative", "whose", "next", "first", "last", "earlier", "only", "not",
    "question" (a "does" without its verb), or a subordinator.
    """

    kind: str


Phrase = Thing | Pronoun | Where | Course | When | Verb | Looks | Preposition | Mark
Found = tuple[Phrase, int] | None
Reader = Callable[[Sequence[Word], int], Found]


def text_at(words: Sequence[Word], index: int) -> str:
    """The word at an index, empty behind the end."""
    return words[index].text if 0 <= index < len(words) else ""


def kind_at(words: Sequence[Word], index: int) -> str:
    """The kind of the word at an index, "stop" behind the end."""
    return words[index].kind if 0 <= index < len(words) else "stop"


_ARTICLES = ("determiner", "possessive")
_DEGREES = english.words("very far extreme own same entire whole full complete exact")


def skip_articles(words: Sequence[Word], index: int) -> int:
    """The index behind articles, possessives and words like "very"."""
    while kind_at(words, index) in _ARTICLES or text_at(words, index) in _DEGREES:
        index += 1
    return index


def number_of(text: str) -> int | None:
    """The value of a number word, vague quantity or numeral."""
    return (
        english.NUMBERS.get(text)
        or english.QUANTIFIERS.get(text)
        or (int(text[:6]) if text.isdecimal() and text.isascii() else None)
    )


_DROPPED = english.SIZES.keys() | english.LIVELY | english.STILL | english.LOOKLESS | english.SHOWN | english.HIDDEN


def arrange(looks: Sequence[str]) -> tuple[str, Size | None, bool]:
    """Attribute with colours last, size, and whether a word says that it moves."""
    size = next((english.SIZES[word] for word in looks if word in english.SIZES), None)
    lively = any(word in english.LIVELY for word in looks)
    kept = [word for word in looks if word not in _DROPPED]
    first: list[str] = []
    last: list[str] = []
    for position, word in enumerate(kept):
        ahead = kept[position + 1] if position + 1 < len(kept) else ""
        behind = kept[position - 1] if position else ""
        coloured = word in english.COLOURS or (word in english.SHADES and ahead in english.COLOURS)
        joined = word == "and" and behind in english.COLOURS and ahead in english.COLOURS | english.SHADES
        if word == "and" and not joined:
            continue
        (last if coloured or joined else first).append(word)
    return " ".join(first + last)[:80].strip(), size, lively
