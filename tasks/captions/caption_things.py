"""Noun phrases: article, number, adjectives, participles and nouns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_phrases import Found, Thing, arrange, kind_at, number_of, text_at
from tasks.captions.caption_words import Word
from tasks.captions.scene import MOST_COUNT

_DEEPEST = 4  # groups of groups of ...


def read_thing(words: Sequence[Word], index: int, depth: int = 0) -> Found:
    """A noun phrase: article, number, adjectives, nouns."""
    begin = index
    determiner, index = _determiner(words, index)
    count, index = _count(words, index)
    if count is not None and kind_at(words, index) == "determiner":
        index += 1
    found = _group(words, index, determiner, count, depth + 1)
    if found is not None:
        return found
    described = index
    looks, modifiers, index = _modifiers(words, index)
    nouns, plural, index = _nouns(words, index)
    if not nouns:
        nouns, looks = _missing_noun(words, index, looks, begin, depth + 1)
    if not nouns:
        return None
    if text_at(words, begin) == "both" and not plural:  # "both the cat and the dog"
        count = None
    attribute, size, lively = arrange(looks)
    thing = Thing(
        name=" ".join(nouns)[:80],
        noun=nouns[-1],
        attribute=attribute,
        determiner=determiner,
        count=0 if determiner == "no" else count,
        plural=plural,
        size=size,
        modifiers=modifiers,
        lively=lively,
        possessor=kind_at(words, index) == "possession",
        distinguishing="other" in looks or determiner == "another",
        surface=" ".join(w.text for w in words[described:index])[:80].strip(),
    )
    return thing, index + thing.possessor


def _determiner(words: Sequence[Word], index: int) -> tuple[str, int]:
    """The first article or the like, "its" for all possessives."""
    determiner = ""
    while kind_at(words, index) == "determiner":
        determiner = determiner or text_at(words, index)
        index += 1
    if kind_at(words, index) == "possessive":
        return determiner or "its", index + 1
    return determiner, index


def _count(words: Sequence[Word], index: int) -> tuple[int | None, int]:
    """Numbers and vague quantities in a row, multiplied ("two dozen"); "half a dozen"."""
    count: int | None = None
    if text_at(words, index) == "half" and text_at(words, index + 1) == "a" and text_at(words, index + 2) == "dozen":
        return 6, index + 3
    while kind_at(words, index) == "number" or (count is None and text_at(words, index) in english.NUMBERS):
        text = text_at(words, index)
        value = number_of(text)
        if value is not None:
            count = min(value * (count or 1) if text == "dozen" else value, MOST_COUNT)
        index += 1
    return count, index


def _group(words: Sequence[Word], index: int, determiner: str, count: int | None, depth: int) -> Found:
    """A group or kind "of" something: the thing is what follows, "of" may follow a number too."""
    while kind_at(words, index) == "adjective" and text_at(words, index + 1) in english.GROUPS:
        index += 1
    text = words[index].lemma if index < len(words) and depth < _DEEPEST else ""
    of = text_at(words, index + 1) == "of"
    if text in english.GROUPS and of:
        rest = read_thing(words, index + 2, depth)
        amount = english.GROUPS[text]
    elif count is not None and text == "of":
        rest, amount = read_thing(words, index + 1, depth), count
    elif text in {"kind", "type", "sort", "breed"} and of:
        rest, amount = read_thing(words, index + 2, depth), count or 1
    else:
        return None
    if rest is None or not isinstance(rest[0], Thing):
        return None
    inner = rest[0]
    if text in english.GROUPS or text == "of":
        inner = replace(inner, count=inner.count if inner.count is not None else amount)
    return replace(inner, determiner=determiner or inner.determiner), rest[1]


def _modifiers(words: Sequence[Word], index: int) -> tuple[list[str], tuple[str, ...], int]:
    """Adjectives and participles before a noun, with commas or "and" among them."""
    looks: list[str] = []
    verbs: list[str] = []
    while index < len(words):
        word = words[index]
        if _fixed_compound(words, index):
            break
        if word.kind == "adjective" and not (word.text in english.VECTORS and kind_at(words, index + 1) != "noun"):
            looks.append(word.text)
        elif word.kind == "modifier":
            if word.form != "ing" and not word.verb_kind:
                looks.append(word.text)
            verbs.append(word.lemma)
        elif word.kind in {"comma", "conjunction"} and looks and _joins_looks(words, index):
            looks.extend(["and"] * (word.kind == "conjunction"))
        elif not _is_passed_over(words, index, bool(looks)):
            break
        index += 1
    return looks, tuple(verbs), index


_ORDINALS = english.words("first second third fourth last")
_NO_DEGREES = english.MARKS | english.HEADINGS.keys() | {"only"}


def _is_passed_over(words: Sequence[Word], index: int, described: bool) -> bool:
    """Whether a word among adjectives says nothing: "a very small dog", "a high-quality 4k video"."""
    kind, after = kind_at(words, index), kind_at(words, index + 1)
    degree = kind == "adverb" and after in {"adjective", "modifier"} and text_at(words, index) not in _NO_DEGREES
    ordinal = kind == "adverb" and text_at(words, index) in _ORDINALS and after in {"noun", "adjective"}
    return degree or ordinal or (kind == "number" and described and after == "noun")


def _joins_looks(words: Sequence[Word], index: int) -> bool:
    """Whether adjectives and then a noun follow the comma or "and" at `index`."""
    after = index + 1
    while kind_at(words, after) in {"adjective", "modifier"} and text_at(words, after) not in english.VECTORS:
        after += 1 + (kind_at(words, after + 1) in {"comma", "conjunction"} and kind_at(words, after + 2) == "adjective")
    return after > index + 1 and kind_at(words, after) == "noun"


_COMPOUND_STARTS = frozenset(compound[0] for compound in nouns.FIXED_COMPOUNDS)


def _fixed_compound(words: Sequence[Word], index: int) -> int:
    """How many words from `index` on are one of the fixed compounds."""
    if not {word.lemma if word.kind == "noun" else word.text for word in words[index : index + 1]} <= _COMPOUND_STARTS:
        return 0
    for length in (3, 2):
        if tuple(w.lemma if w.kind == "noun" else w.text for w in words[index : index + length]) in nouns.FIXED_COMPOUNDS:
            return length
    return 0


def _nouns(words: Sequence[Word], index: int) -> tuple[list[str], bool, int]:
    nouns: list[str] = []
    plural = False
    fixed = _fixed_compound(words, index)
    while index < len(words) and (words[index].kind == "noun" or fixed > len(nouns) or (nouns and _is_code(words, index))):
        plural = words[index].plural
        nouns.append(
            words[index].text if kind_at(words, index + 1) == "noun" and words[index].plural else words[index].lemma
        )
        index += 1
    if nouns:
        nouns[-1] = words[index - 1].lemma
    return nouns, plural, index


def _is_code(words: Sequence[Word], index: int) -> bool:
    """Whether a word such as "4k" stands within a compound."""
    text = text_at(words, index)
    return (
        kind_at(words, index) == "number"
        and not text.isalpha()
        and not text.isdecimal()
        and kind_at(words, index + 1) == "noun"
    )


def _missing_noun(
    words: Sequence[Word], index: int, looks: list[str], begin: int, depth: int
) -> tuple[list[str], list[str]]:
    """The noun of "a red (and a green apple)", or an adjective that the tagger took a noun for ("an orange")."""
    if not looks or depth > _DEEPEST or kind_at(words, begin) not in {"determiner", "number"}:
        return [], looks
    listed = kind_at(words, index) == "conjunction" or (kind_at(words, index) == "comma" and looks[-1] in english.COLOURS)
    if listed and kind_at(words, index + 1) in {"determiner", "number"}:
        after = read_thing(words, index + 1, depth)
        if after is not None and isinstance(after[0], Thing):
            return after[0].name.split(), looks
        return [], looks
    if text_at(words, begin) in english.DETERMINERS and looks[-1] not in english.VECTORS:
        return [looks[-1]], looks[:-1]
    return [], looks
