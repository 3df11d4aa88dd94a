"""The questions that fill a scene description slot by slot, each with examples for a small model.

An endpoint gets the caption, the question and the answers. The local model gets the same as a question of likelihood
(`tasks.llm.likelihood`): for each answer, how likely is the caption after examples of that answer?
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from tasks.captions import slot_examples
from tasks.captions.english import words
from tasks.captions.english_nouns import MEDIA, MEDIA_OR_THINGS
from tasks.captions.scene import Region
from tasks.llm.likelihood import Comparison, Completion, Context
from tasks.llm.request import Message

_SYSTEM = "You read captions of short videos and say what happens in them."
_SIDES = (("left", "right"), ("leftward", "rightward"), ("leftwards", "rightwards"))
_TIMES = (
    ("first", "second"),
    ("before", "after"),
    ("beginning", "end"),
    ("start", "end"),
    ("early", "late"),
    ("earlier", "later"),
    ("opening", "closing"),
    ("initial", "final"),
    ("until", "from"),
    ("disappears", "appears"),
    ("disappear", "appear"),
    ("vanishes", "shows up"),
    ("vanish", "show up"),
    ("leaves", "enters"),
    ("leave", "enter"),
    ("gone", "there"),
)
_ASKED_OF_HALVES = ("Is it there at the end of the video?", "Does it come later?", "Is it seen in the second half?")
_FUNCTION_WORDS = words(
    "a an the of to in on at from with by and or but that which who while then it its is are was were be been being as "
    "for into over under past across through toward towards up down only when where there we see seen first"
)
_MEDIUM = MEDIA - MEDIA_OR_THINGS
_CORNERS: dict[tuple[bool, str], Region] = {
    (True, "left"): "upper left",
    (True, "right"): "upper right",
    (False, "left"): "lower left",
    (False, "right"): "lower right",
}
_MOST_PHRASE_WORDS = 4
_MOST_WORDS = 60
Line = TypeVar("Line")
_PLACE = re.compile(
    r"\b(?:(?P<vertical>upper|lower|top|bottom)(?: |-)?(?:hand )?(?P<side>left|right)"
    r"|(?P<side_first>left|right)(?: |-)?(?P<vertical_last>top|bottom))\b"
)


def messages(caption: str, question: str) -> tuple[Message, ...]:
    """A question about a caption, for any model."""
    return (Message(role="system", content=_SYSTEM), Message(role="user", content=f"Caption: {caption}\n{question}"))


def among_lists(
    examples: Mapping[str, Sequence[str]],
    headings: Mapping[str, str],
    caption: str,
    calibration: Sequence[str] = (),
    *,
    both_orders: bool = False,
) -> Comparison:
    """Does the caption belong into the list of captions of this answer, or of that one?"""
    contexts = tuple(
        Context(answer=answer, prompt=f"{headings[answer]}\n" + "".join(f"- {line}\n" for line in order) + "-")
        for answer, lines in examples.items()
        for order in _orders(lines)[: 2 if both_orders else 1]
    )
    return Comparison(contexts=contexts, texts=(caption,), calibration=tuple((text,) for text in calibration))


def _alternating(examples: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Example captions with their answers, the answers taking turns."""
    turns = zip(*examples.values(), strict=True)
    return [(text, answer) for texts in turns for text, answer in zip(texts, examples, strict=True)]


def _orders(lines: Sequence[Line]) -> tuple[Sequence[Line], ...]:
    """The lines, and the lines backwards: what comes last weighs most with a small model."""
    return lines, lines[::-1]


def between_mirrors(
    examples: Mapping[str, Sequence[str]],
    statements: Sequence[Mapping[str, str]],
    caption: str,
    pairs: Sequence[tuple[str, str]],
) -> Comparison:
    """Which of two opposite statements is followed by the caption, and the other by the caption with opposites exchanged?"""
    one, other = examples
    lines = _alternating(examples)
    contexts = []
    for statement in statements:
        shots = "".join(f"{statement[answer]} Caption: {text}\n\n" for text, answer in lines)
        for answer, opposite in ((one, other), (other, one)):
            contexts.append(Context(answer=answer, prompt=f"{shots}{statement[answer]} Caption:", text=0))
            contexts.append(Context(answer=answer, prompt=f"{shots}{statement[opposite]} Caption:", text=1))
    return Comparison(contexts=tuple(contexts), texts=(caption, mirror(caption, pairs)))


def mirror(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    """The text with each word of a pair replaced by the other one."""
    table: dict[str, str] = {}
    for one, other in pairs:
        table.setdefault(one, other)
        table.setdefault(other, one)
    pattern = re.compile(r"\b(" + "|".join(sorted(table, key=len, reverse=True)) + r")\b", re.IGNORECASE)

    def exchanged(found: re.Match[str]) -> str:
        word = table.get(found[0].lower(), found[0])  # a dotless i passes for an i, but is in no table
        return word.capitalize() if found[0][0].isupper() else word

    return pattern.sub(exchanged, text)


def kinds(caption: str) -> Comparison:
    """One kind of thing, or two?"""
    headings = {
        "one": "Captions of videos that show one kind of thing:",
        "two": "Captions of videos that show two different things:",
    }
    return among_lists(slot_examples.KINDS, headings, caption, slot_examples.KINDS_CALIBRATION, both_orders=True)


def motion(caption: str) -> Comparison:
    """What kind of motion?"""
    headings = {
        "sideways": "Captions of videos in which something moves to the left or to the right:",
        "none": "Captions of videos without any direction:",
        "rise": "Captions of videos in which something goes up:",
        "fall": "Captions of videos in which something falls down:",
        "route": "Captions of videos in which something goes from corner to corner:",
        "approach": "Captions of videos in which something comes closer:",
        "recede": "Captions of videos in which something goes away:",
        "bounce": "Captions of videos in which something bounces:",
        "jump": "Captions of videos in which something jumps:",
    }
    return among_lists(slot_examples.MOTIONS, headings, caption)


def seen(caption: str) -> Comparison:
    """All the time, or only for a part of it?"""
    headings = {
        "always": "Captions of videos in which everything is seen all the time:",
        "sometimes": "Captions of videos in which something is seen only for a part of the time:",
    }
    return among_lists(slot_examples.SEEN, headings, caption, slot_examples.SEEN_CALIBRATION)


def half(caption: str) -> Comparison:
    """In which half?"""
    early, late = "first half", "second half"
    lines = _alternating(slot_examples.HALVES)
    says = {late: "Yes.", early: "No."}
    contexts = []
    for question, order in itertools.product(_ASKED_OF_HALVES, _orders(lines)):
        shots = "".join(f"Caption: {text}\n{question} {says[answer]}\n\n" for text, answer in order)
        for text, yes, no in ((caption, late, early), (mirror(caption, _TIMES), early, late)):
            prompt = f"{shots}Caption: {text}\n{question}"
            contexts += [Context(answer=yes, prompt=prompt, text=0), Context(answer=no, prompt=prompt, text=1)]
    return Comparison(contexts=tuple(contexts), texts=("Yes.", "No."))


def direction(caption: str) -> Comparison:
    """To which side?"""
    right, left = "to the right", "to the left"
    statements = [
        {right: "Something moves from the left to the right.", left: "Something moves from the right to the left."},
        {right: "Something moves to the right.", left: "Something moves to the left."},
    ]
    return between_mirrors(slot_examples.DIRECTIONS, statements, caption, _SIDES)


def places_named(caption: str) -> tuple[str, ...]:
    """The corners that a caption names, each once, in its words."""
    found: dict[Region, str] = {}
    for match in _PLACE.finditer(caption.lower()):
        found.setdefault(region_of(match[0]), match[0])
    return tuple(found.values())


def region_of(place: str) -> Region:
    """A corner by the name that scenes use."""
    match = _PLACE.fullmatch(place)
    if match is None:
        raise ValueError(f"{place!r} is no corner")
    vertical, side = match["vertical"] or match["vertical_last"], match["side"] or match["side_first"]
    return _CORNERS[vertical in {"upper", "top"}, side]


def route(caption: str, places: Sequence[str]) -> Comparison:
    """In which order are the places reached?"""
    contexts = []
    routes = slot_examples.ROUTES.items()
    for form, joint in (("Path: {}. Caption:", ", "), ("It is first at the {}. Caption:", ", then at the ")):
        shots = "".join(form.format(order.replace(", ", joint)) + f" {text}\n\n" for text, order in routes)
        for order in itertools.permutations(places):
            contexts.append(Context(answer=", ".join(order), prompt=shots + form.format(joint.join(order))))
    return Comparison(contexts=tuple(contexts), texts=(caption,))


def phrases(caption: str, beside: str = "") -> tuple[str, ...]:
    """Word groups of a caption that may name a thing, not the video itself, and share no word with `beside`."""
    taken = set(beside.split()) - _FUNCTION_WORDS
    found: dict[str, None] = {}
    left = _MOST_WORDS
    for part in re.split(r"[.,;:!?()\"]", caption.lower()):
        part_words = re.findall(r"\w[\w'-]*", part)[:left]
        left -= len(part_words)
        for start, count in itertools.product(range(len(part_words)), range(1, _MOST_PHRASE_WORDS + 1)):
            group = part_words[start : start + count]
            inner = group[1:] if group[0] in {"a", "an", "the"} else group
            names = inner and inner[-1] not in _MEDIUM and not _FUNCTION_WORDS & set(inner)
            if len(group) == count and names and not taken & set(group):
                found[" ".join(group)] = None
    return tuple(found)


def one_thing(caption: str) -> Completion:
    """What is shown, if it is one thing?"""
    shots = "".join(f"Caption: {text}\nIt shows {thing}.\n\n" for text, thing in slot_examples.ONE_THING.items())
    return Completion(prompt=f"{shots}Caption: {caption}\nIt shows", choices=phrases(caption), stop=".")


def two_things(caption: str, first: str = "") -> Completion:
    """What is shown, if it is two things? Asked for the first, and then for the second beside it."""
    examples = slot_examples.TWO_THINGS.items()
    shots = "".join(f"Caption: {text}\nIt shows {one} and {two}.\n\n" for text, (one, two) in examples)
    said = f" {first} and" if first else ""
    choices = phrases(caption, first)
    return Completion(prompt=f"{shots}Caption: {caption}\nIt shows{said}", choices=choices, stop="." if first else " and")


def noun(phrase: str) -> Completion:
    """Which word of a phrase is the thing itself?"""
    shots = "".join(f"Phrase: {text}\nNoun: {word}\n\n" for text, word in slot_examples.NOUNS.items())
    choices = tuple(dict.fromkeys(word for word in phrase.split() if word not in _FUNCTION_WORDS))
    return Completion(prompt=f"{shots}Phrase: {phrase}\nNoun:", choices=choices, stop="\n")
