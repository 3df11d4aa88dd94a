"""Cuts the words of a caption into phrases, trying one reader after the other at each word."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.captions import english
from tasks.captions.caption_courses import read_course
from tasks.captions.caption_phrases import Found, Looks, Mark, Phrase, Preposition, Pronoun, Reader, kind_at, text_at
from tasks.captions.caption_places import read_where
from tasks.captions.caption_things import read_thing
from tasks.captions.caption_time import read_when
from tasks.captions.caption_verbs import read_verb
from tasks.captions.caption_words import Word

_LOOKS = (
    english.COLOURS | english.SHADES | english.HIDDEN | english.SHOWN | english.STILL | english.LIVELY | english.SIZES.keys()
)
_PREDICATES = (english.HIDDEN | english.SHOWN) - {"here", "out", "away"}
_NO_DEGREES = english.MARKS | english.HEADINGS.keys()
_MARKS = {
    "negation": "not", "conjunction": "and", "comma": "comma", "stop": "stop", "colon": "colon", "relative": "relative",
}  # fmt: skip


def read_phrases(words: Sequence[Word]) -> list[Phrase]:
    """All phrases of a caption, in order; words that no reader knows are left out."""
    found: list[Phrase] = []
    index = 0
    while index < len(words):
        phrase = next((p for reader in _READERS if (p := reader(words, index)) is not None), None)
        if phrase is None:
            index += 1
        else:
            found.append(phrase[0])
            index = max(phrase[1], index + 1)
    return found


def _read_looks(words: Sequence[Word], index: int) -> Found:
    """Adjectives, or a number, without a noun."""
    if kind_at(words, index) == "number":
        return Looks((text_at(words, index),)), index + 1
    looks: list[str] = []
    while index < len(words):
        text, kind, after = text_at(words, index), kind_at(words, index), kind_at(words, index + 1)
        known = (kind in {"noun", "verb"} and text in _LOOKS) or (kind == "adverb" and text in _PREDICATES)
        if kind == "adjective" or known:
            looks.append(text)
        elif looks and kind == "conjunction" and after == "adjective":
            looks.append("and")
        elif kind != "adverb" or text in _NO_DEGREES or after != "adjective":
            break
        index += 1
    return (Looks(tuple(looks)), index) if looks else None


def _read_time_mark(words: Sequence[Word], index: int) -> Found:
    """Words such as "then", "finally" and "initially" that put clauses in order."""
    text = text_at(words, index)
    for kind, marks in (
        ("next", english.NEXT_MARKS),
        ("first", english.FIRST_MARKS),
        ("last", english.LAST_MARKS),
        ("earlier", english.EARLIER_MARKS),
    ):
        if text in marks and kind_at(words, index + 1) != "noun" and kind_at(words, index - 1) != "determiner":
            return Mark(kind), index + 1
    return None


def _read_mark(words: Sequence[Word], index: int) -> Found:
    text, kind = text_at(words, index), kind_at(words, index)
    if text in {"only", "just"}:
        return Mark("only"), index + 1
    if kind == "subordinator":
        return Mark(text), index + 1
    if text == "whose":
        return Mark(text), index + 1
    return (Mark(_MARKS[kind]), index + 1) if kind in _MARKS else None


def _read_pronoun(words: Sequence[Word], index: int) -> Found:
    text, kind = text_at(words, index), kind_at(words, index)
    if kind == "pronoun" or (
        text in {"one", "another"} and kind_at(words, index + 1) not in {"noun", "adjective", "modifier", "number"}
    ):
        return Pronoun(text), index + 1
    if text in {"other", "others"} and kind_at(words, index + 1) not in {"noun", "adjective"}:
        return Pronoun("other"), index + 1
    if text == "the" and text_at(words, index + 1) in {"other", "others", "second", "first"}:
        counted = kind_at(words, index + 2) == "number" and kind_at(words, index + 3) == "verb"
        if counted:
            return Pronoun("other"), index + 3
        if (
            kind_at(words, index + 2) not in {"noun", "adjective", "modifier", "number"}
            and text_at(words, index + 2) not in english.SHARES
        ):
            return Pronoun("other" if text_at(words, index + 1) != "first" else "one"), index + 2
    return None


def _read_preposition(words: Sequence[Word], index: int) -> Found:
    return (Preposition(text_at(words, index)), index + 1) if kind_at(words, index) == "preposition" else None


def _read_noun_phrase(words: Sequence[Word], index: int) -> Found:
    return read_thing(words, index) if kind_at(words, index) != "verb" else None


_READERS: tuple[Reader, ...] = (
    read_when,
    _read_time_mark,
    read_course,
    read_where,
    _read_pronoun,
    read_verb,
    _read_noun_phrase,
    _read_mark,
    _read_looks,
    _read_preposition,
)
