"""Places and ways in captions: "in the lower left corner", "to the horse's right", "across", "toward the camera"."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_phrases import (
    Course,
    Found,
    Preposition,
    Pronoun,
    Thing,
    Vector,
    Where,
    kind_at,
    skip_articles,
    text_at,
)
from tasks.captions.caption_things import read_thing
from tasks.captions.caption_words import Word
from tasks.captions.english import Role
from tasks.captions.scene import Side

_LEADS = english.words("up down over across out back on in off along around further diagonally away onward onwards")
_SIDE_OF: dict[Vector, Side] = {(-1, 0): "left", (1, 0): "right", (0, -1): "above", (0, 1): "below"}
_OTHER_SIDE = english.words("other opposite")


def read_where(words: Sequence[Word], index: int) -> Found:
    """A preposition with a region or a side of something, or one of these alone."""
    begin = index
    while text_at(words, index) in _LEADS and _opens_place(words, index + 1):
        index += 1
    text = text_at(words, index)
    role = english.ROLES.get(text) if kind_at(words, index) == "preposition" else None
    after = index
    if text in {"up", "down"} and kind_at(words, index + 1) == "determiner" and _region(words, index + 2) is not None:
        return _heading(words, index)
    way = read_thing(words, index + 1) if text in {"up", "down"} else None
    if way is not None and isinstance(way[0], Thing) and way[0].noun in nouns.WAYS:
        return Preposition(text), index + 1
    if role is not None:
        after += 1
        if role in {"to", "from"} and english.ROLES.get(text_at(words, after)) == "at":
            after += 1
        elif text_at(words, after) in english.SIDES:
            return _beside(words, after, role)
    elif text in english.SIDES:
        return _beside(words, index, "at")
    elif begin == index and text in english.HEADINGS and kind_at(words, index) == "adverb":
        return _heading(words, index)
    for reader in (_owned_region, _other_side, _corner_at, _plain_region):
        found = reader(words, after, role)
        if found is not None:
            return found
    return None


def _opens_place(words: Sequence[Word], index: int) -> bool:
    while text_at(words, index) in _LEADS and text_at(words, index + 1) in _LEADS | english.ROLES.keys():
        index += 1
    if kind_at(words, index) != "preposition" or text_at(words, index) in english.SIDES:
        return False
    after = skip_articles(words, index + 1)
    return (
        text_at(words, after) in english.VECTORS
        or text_at(words, after) in english.PLACE_NOUNS
        or text_at(words, after) in english.SIDES
    )


def _heading(words: Sequence[Word], index: int) -> Found:
    """ "leftwards", "up", "up and to the right"."""
    vector = english.HEADINGS[text_at(words, index)]
    return Where("toward", vector, explicit=text_at(words, index) not in {"up", "down"}), index + 1


def _region(words: Sequence[Word], index: int) -> tuple[Vector, bool, int] | None:
    """Region words ("bottom left"), with or without "corner", "side", ..."""
    vector: Vector | None = None
    count = 0
    while text_at(words, index) in english.VECTORS or (count and text_at(words, index) == "-"):
        if text_at(words, index) != "-":
            x, y = english.VECTORS[text_at(words, index)]
            vector = (x or (vector or (0, 0))[0], y or (vector or (0, 0))[1])
            count += 1
        index += 1
    if vector is None or kind_at(words, index - 1) == "verb":
        return None
    named = count > 1
    while text_at(words, index) in english.PLACE_NOUNS | nouns.SCENERY or (
        text_at(words, index) in nouns.MEDIA and kind_at(words, index) == "noun"
    ):
        named = True
        index += 1
    if kind_at(words, index) == "noun" and text_at(words, index) not in nouns.MEDIA | nouns.ABSTRACT and not named:
        return None
    return vector, named, index


def _behind_medium(words: Sequence[Word], index: int) -> int:
    """The index behind "of the frame", if that follows."""
    if text_at(words, index) in {"of", "in", "on"}:
        after = skip_articles(words, index + 1)
        if text_at(words, after) in nouns.MEDIA:
            return after + 1
    return index


def _plain_region(words: Sequence[Word], index: int, role: Role | None) -> Found:
    after = skip_articles(words, index)
    articled = after > index
    found = _region(words, after)
    if found is None:
        return None
    vector, named, after = found
    behind = _behind_medium(words, after)
    if behind > after:
        return Where(role or "at", vector, named=True, explicit=role is not None), behind
    if text_at(words, after) in {"of", "on", "at"} and 0 in vector:
        inner = _region(words, skip_articles(words, after + 1))
        if inner is not None and 0 in inner[0] and bool(inner[0][0]) != bool(vector[0]):
            both = (vector[0] or inner[0][0], vector[1] or inner[0][1])
            return Where(role or "at", both, named=True, explicit=role is not None), _behind_medium(words, inner[2])
    side = _SIDE_OF.get(vector) or (_SIDE_OF[(vector[0], 0)] if vector[0] else None)
    if text_at(words, after) in {"of", "from"} and side is not None:
        owner = _owner(words, after + 1)
        if owner is not None:
            return Where(role or "at", side=side, of=owner[0], named=named, explicit=role is not None), owner[1]
    leads = role is None and text_at(words, after) == "to" and text_at(words, index - 1) not in {"up", "down", "along"}
    goal = _region(words, skip_articles(words, after + 1)) if leads else None
    if goal is not None and (named or not all(part in (0, whole) for part, whole in zip(vector, goal[0], strict=True))):
        return Where("from", vector, named=named), after
    if role is None and not named and articled:
        return (Where("at", vector, explicit=False), after) if text_at(words, after) in {"", ",", ".", "and", "to"} else None
    if role == "at" and vector == (0, 0) and text_at(words, after) == "of":
        return Where(role, vector, named=True), after
    return Where(role or ("at" if named else "toward"), vector, named=named, explicit=role is not None), after


def _owner(words: Sequence[Word], index: int) -> tuple[Thing | Pronoun, int] | None:
    """The thing that a side belongs to; none for the frame itself, scenery and times."""
    if kind_at(words, index) == "pronoun" and text_at(words, index) in english.PRONOUNS:
        return Pronoun(text_at(words, index)), index + 1
    found = read_thing(words, index)
    if found is None or not isinstance(found[0], Thing) or is_no_thing(found[0].noun):
        return None
    return found[0], found[1]


def is_no_thing(noun: str) -> bool:
    """Whether a noun names the medium, the scenery or a place in it rather than an object."""
    return noun in nouns.MEDIA or noun in nouns.SCENERY or noun in english.PLACE_NOUNS or noun in english.VECTORS


def _owned_region(words: Sequence[Word], index: int, role: Role | None) -> Found:
    """ "the horse's left side", "its right", "the frame's top edge"."""
    owner: Thing | Pronoun | None = None
    if kind_at(words, index) == "possessive":
        owner, after = Pronoun(text_at(words, index)), index + 1
    elif kind_at(words, index) in {"determiner", "noun", "adjective"} and text_at(words, index) not in english.VECTORS:
        found = read_thing(words, index)
        if found is None or not isinstance(found[0], Thing) or not found[0].possessor:
            return None
        after = found[1]
        owner = None if found[0].noun in nouns.MEDIA else found[0]
    else:
        return None
    region = _region(words, after)
    if region is None:
        return None
    vector, named, after = region
    side = _SIDE_OF.get(vector)
    if owner is None or side is None:
        return Where(role or "at", vector, named=True, explicit=role is not None), after
    return Where(role or "at", side=side, of=owner, named=named, explicit=role is not None), _behind_medium(words, after)


def _other_side(words: Sequence[Word], index: int, role: Role | None) -> Found:
    after = skip_articles(words, index)
    if (
        role in {"to", "at", "via", "toward"}
        and text_at(words, after) in _OTHER_SIDE
        and text_at(words, after + 1) in english.PLACE_NOUNS
    ):
        return Course("opposite"), _behind_medium(words, after + 2)
    return None


def _corner_at(words: Sequence[Word], index: int, role: Role | None) -> Found:
    """ "in the corner at the top left"."""
    after = skip_articles(words, index)
    if role is None or text_at(words, after) not in english.PLACE_NOUNS:
        return None
    after = _behind_medium(words, after + 1)
    if english.ROLES.get(text_at(words, after)) == "at" or text_at(words, after) in {"to", "of"}:
        found = _plain_region(words, after + 1, role)
        if found is not None and isinstance(found[0], Where) and found[0].vector is not None:
            return found
    return None


def _beside(words: Sequence[Word], index: int, role: Role) -> Found:
    """ "above the sofa", "from below"."""
    side = english.SIDES[text_at(words, index)]
    owner = _owner(words, index + 1)
    if owner is not None:
        return Where(role, side=side, of=owner[0], named=True, explicit=text_at(words, index) != "over"), owner[1]
    if text_at(words, index) in {"above", "below"} and kind_at(words, index + 1) in {
        "stop",
        "comma",
        "conjunction",
        "verb",
        "preposition",
        "adverb",
    }:
        return Where(role, (0, -1) if side == "above" else (0, 1)), index + 1
    return None
