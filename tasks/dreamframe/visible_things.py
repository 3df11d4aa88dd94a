"""What a prompt shows: things with their number and colour, and the nouns of any text."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_phrases import Thing, Where
from tasks.captions.caption_reader import read_phrases
from tasks.captions.caption_tokens import read_words

_LOOKS_OF_FACES = english.words("smile smiles grin frown expression laugh tear tears")
_NOT_SHOWN = frozenset().union(
    *(nouns.PARTS, nouns.COLOUR_NOUNS, nouns.SCENERY, nouns.MEDIA, nouns.ABSTRACT, nouns.TIMES_OF_DAY, nouns.NO_THINGS),
    _LOOKS_OF_FACES,
)
_OF_COLOURS = english.COLOURS | english.SHADES | {"and"}
_REMEMBERED = 20_000


@dataclass(frozen=True)
class VisibleThing:
    """Things of one kind in one place.

    Attributes:
        count: how many; None for a plural without a number.
        colour: such as "white" or "dark green"; "" if none is told.
        noun: in the singular, such as "dog" or "fire truck".
        mention: how the prompt writes it, without article and number, in lower case: "red balls".
    """

    count: int | None
    colour: str
    noun: str
    mention: str


@functools.lru_cache(maxsize=_REMEMBERED)
def visible_things(prompt: str) -> tuple[VisibleThing, ...]:
    """The countable things that a prompt names, in its order; parts of bodies, clothes and landscapes are left out.

    Raises:
        UserError: spaCy's English pipeline is not installed.
    """
    return tuple(_visible(thing) for thing in _things(prompt) if thing.noun not in _NOT_SHOWN)


@functools.lru_cache(maxsize=_REMEMBERED)
def nouns_in(text: str) -> tuple[str, ...]:
    """The nouns of a text in the singular and in lower case, each once."""
    return tuple(dict.fromkeys(thing.noun for thing in _things(text)))


def _things(text: str) -> Iterator[Thing]:
    for words in read_words([text]):
        for phrase in read_phrases(words):
            thing = phrase.of if isinstance(phrase, Where) else phrase
            if isinstance(thing, Thing):
                yield thing


def _visible(thing: Thing) -> VisibleThing:
    words = thing.attribute.split()
    first = next((place for place in range(len(words)) if _OF_COLOURS.issuperset(words[place:])), len(words))
    colour = " ".join(words[first:]) if english.COLOURS.intersection(words[first:]) else ""
    count = thing.count if thing.count is not None else None if thing.plural else 1
    return VisibleThing(count, colour, thing.name.replace("_", "-"), thing.surface.replace("_", "-"))
