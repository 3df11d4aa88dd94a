"""Questions on a story before they are verified, and the wrong options that the same story offers for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from tasks.common.seeds import item_seed
from tasks.dreamframe.story_tree import Level

Kind = Literal["overview", "plot", "temporal_order", "location", "count", "colour", "dialogue"]
KINDS: tuple[Kind, ...] = ("overview", "plot", "temporal_order", "location", "count", "colour", "dialogue")
LETTERS = "ABCD"
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


class Option(NamedTuple):
    """A possible answer; `key` is what it is taken from, `evidence` the parts that tell whether it is right."""

    key: str
    text: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """What a picture must show: so many things of this colour and noun, among `total` of the noun in any colour."""

    count: int
    total: int
    colour: str
    noun: str


@dataclass(frozen=True)
class Draft:
    """A question with its answer.

    Attributes:
        id: made of the id of a part that it is about, so that other parts do not change it.
        level: of the part of the story that it is about.
        kind: what is asked for.
        question: in English.
        answer: the same.
        evidence: ids of the parts that tell the answer.
        wrong: where wrong options can be taken from, as `ring` orders them.
        barred: keys in `wrong` that are no options here.
        choice_question: what is asked if there are options, if not the same.
        claims: what must be seen in the picture of the first frame in `evidence`.
        options: empty for an open question, else four.
    """

    id: str
    level: Level
    kind: Kind
    question: str
    answer: str
    evidence: tuple[str, ...]
    wrong: Sequence[Option] = ()
    barred: frozenset[str] = frozenset()
    choice_question: str = ""
    claims: tuple[Claim, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def letter(self) -> str | None:
        """The right option's, or None for an open question."""
        return LETTERS[self.options.index(self.answer)] if self.options else None


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def quoted(text: str) -> str:
    """In quotation marks; those inside become single ones."""
    inner = text.replace('"', "'")
    return f'"{inner}"'


def ring(options: Iterable[Option]) -> tuple[Option, ...]:
    """Options in an order that has nothing to do with the story's, and does not change when a text does."""
    return tuple(sorted(options, key=lambda option: (item_seed(0, option.key), option.key)))


def alike(one: str, other: str) -> bool:
    """Whether two texts have the same words, or one holds all words of the other in a row."""
    first, second = (" ".join(["", *re.findall(r"\w+", text.casefold()), ""]) for text in (one, other))
    return first in second or second in first


def at_most(drafts: Sequence[Draft], most: int, key: str) -> list[Draft]:
    """At most so many of the drafts, in their order; which, depends on nothing but their ids and `key`."""
    kept = sorted(drafts, key=lambda draft: item_seed(0, f"{key}:{draft.id}"))[:most]
    return [draft for draft in drafts if draft in kept]


def asked_once(drafts: Sequence[Draft]) -> list[Draft]:
    """Without questions that were asked before, and without those to which the story has different answers."""
    answers: dict[str, set[str]] = {}
    first: dict[str, str] = {}
    for draft in drafts:
        question = draft.question.casefold()
        answers.setdefault(question, set()).add(draft.answer.casefold())
        first.setdefault(question, draft.id)
    own = {draft.question.casefold() for draft in drafts if draft.kind in ("overview", "plot")}
    return [
        draft
        for draft in drafts
        if first[draft.question.casefold()] == draft.id
        and (len(answers[draft.question.casefold()]) == 1 or draft.question.casefold() in own)
    ]


def with_options(draft: Draft, options: Sequence[Option], place: int) -> Draft:
    """The draft as multiple choice: its answer at `place`, the options around it."""
    texts = [option.text for option in options]
    evidence = dict.fromkeys([*draft.evidence, *(part for option in options for part in option.evidence)])
    return replace(
        draft,
        id=f"{draft.id}-choice",
        question=draft.choice_question or draft.question,
        evidence=tuple(evidence),
        options=(*texts[:place], draft.answer, *texts[place:]),
    )
