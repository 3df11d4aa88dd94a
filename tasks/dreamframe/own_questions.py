"""The questions that a story brings along, on its overview and its plot, and whether the story tells their answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tasks.captions.english import COLOURS
from tasks.dreamframe.question_drafts import Draft, Option, quoted, ring, sentence
from tasks.dreamframe.story_index import StoryIndex, at_place, words_of
from tasks.dreamframe.story_tree import Question
from tasks.dreamframe.story_vocabulary import EXPRESSIONS
from tasks.dreamframe.visible_things import nouns_in

_QUOTED = re.compile('"([^"]{1,2000})"')


def own_questions(index: StoryIndex) -> list[Draft]:
    """All of them, as drafts; those that name no evidence rest on the part that they are asked of."""
    reasons = ring(
        Option(question.id, question.answer, _evidence(question, index))
        for question in index.story.all_questions()
        if _is_reason(question)
    )
    return [_draft(question, index, reasons) for question in index.story.all_questions()]


def _draft(question: Question, index: StoryIndex, reasons: Sequence[Option]) -> Draft:
    evidence = _evidence(question, index)
    wrong, barred = _wrong(question, evidence, index, reasons)
    return Draft(
        id=question.id,
        level=question.level,
        kind="overview" if question.level == "overview" else "plot",
        question=question.question,
        answer=question.answer,
        evidence=evidence,
        wrong=[Option(option.key, option.text) for option in wrong],
        barred=frozenset(barred),
    )


def _evidence(question: Question, index: StoryIndex) -> tuple[str, ...]:
    """Its own, or the part that its id says, or all substories."""
    asked_of = question.id.rpartition("-")[0]
    whole = (asked_of,) if asked_of else tuple(substory.id for substory in index.story.substories)
    return question.evidence or whole


def _is_reason(question: Question) -> bool:
    return question.question.casefold().startswith("why ") and question.answer.casefold().startswith("because ")


def _wrong(
    question: Question, evidence: Sequence[str], index: StoryIndex, reasons: Sequence[Option]
) -> tuple[Sequence[Option], Iterable[str]]:
    """Answers of the same form from elsewhere in the story, and the keys of those that may be right here, too."""
    places = [Option(place, sentence(at_place(place))) for place in index.places]
    if question.answer in {place.text for place in places}:
        return ring(places), ()
    for line in (index.dialogues[part] for part in evidence if part in index.dialogues):
        says = f"{line.speaker} says: "
        if question.answer == f"{says}{quoted(line.text)}":
            others = index.dialogues.values()
            return ring(Option(other.id, f"{says}{quoted(other.text)}") for other in others), evidence
    if _is_reason(question):
        return reasons, [option.key for option in reasons if _touch(option.evidence, evidence)]
    return (), ()


def _touch(some: Iterable[str], others: Sequence[str]) -> bool:
    """Whether a part of the one is, holds or belongs to a part of the others."""
    return any(one.startswith(other) or other.startswith(one) for one in some for other in others)


def problem_with_own(draft: Draft, index: StoryIndex) -> str:
    """What the answer says that its evidence, and what is told around it, do not; "" if nothing.

    Looked for are names, colours, nouns, moods and quotations. Where the question asks for a place, the evidence itself must
    name it.
    """
    unknown = [part for part in draft.evidence if part not in index.order]
    if unknown or not draft.evidence:
        return f"no such part: {unknown[0]}" if unknown else "no evidence"
    told = index.told_by(draft.evidence)
    if draft.question.casefold().startswith("where "):
        told_there = index.told_by(draft.evidence, around=False)
        strange = [place for place in index.places if place in draft.answer and not words_of(place) <= told_there]
        if strange:
            return f"{strange[0]} is not in {', '.join(draft.evidence)}"
    missing = [word for word in _content(draft.answer, index) if word not in told and not _is_felt(word, draft, index)]
    if missing:
        return ", ".join(missing)
    lines = {quoted(index.dialogues[part].text) for part in _said_in(draft.evidence, index)}
    unsaid = [quote for quote in _QUOTED.findall(draft.answer) if quoted(quote) not in lines and draft.kind == "plot"]
    return f"nobody says {quoted(unsaid[0])}" if unsaid else ""


def _content(answer: str, index: StoryIndex) -> list[str]:
    """The words of an answer that its evidence must tell, in lower case."""
    words = words_of(answer)
    names = {word for name in index.names for word in words_of(name)}
    looked_for = (words & names) | (words & COLOURS) | (words & EXPRESSIONS.keys())
    return sorted(looked_for | {noun for name in nouns_in(_QUOTED.sub("", answer)) for noun in words_of(name)})


def _is_felt(word: str, draft: Draft, index: StoryIndex) -> bool:
    """Whether a mood is one that the evidence shows on a face."""
    return any(face in index.text(part) for face in EXPRESSIONS.get(word, ()) for part in draft.evidence)


def _said_in(evidence: Sequence[str], index: StoryIndex) -> list[str]:
    return [line for line in index.dialogues if any(line == part or line.startswith(f"{part}-") for part in evidence)]
