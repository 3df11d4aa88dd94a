"""Ways of moving in captions that name no place: "across", "toward the camera", "in circles", "up and down"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_phrases import Course, CourseKind, Found, kind_at, skip_articles, text_at
from tasks.captions.caption_words import Word

_VIEWERS = english.VIEWERS | {"foreground", "front"}
_ENDS = frozenset({"stop", "comma", "conjunction", "preposition", "adverb", "verb", "subordinator"})
_ADVERBS: Mapping[str, CourseKind] = {
    "horizontally": "across",
    "vertically": "vertical",
    "sideways": "shuttle",
    "homeward": "home",
}
_RINGS = english.words("circle circles loop loops ring")
# What may follow "closer" or "smaller".
_COMPARED = english.NEARER | english.FARTHER | _VIEWERS | english.words("and to the away")
_FAR = english.words("distance background horizon")


def read_course(words: Sequence[Word], index: int) -> Found:
    """Ways without a named place."""
    text = text_at(words, index)
    viewed = skip_articles(words, index + 1)
    target = text_at(words, viewed)
    if text in {"to", "toward", "towards", "into", "at"} and (target in _VIEWERS or target in _FAR):
        if text == "at" and target not in {"camera", "viewer", "lens", "us"}:
            return None
        return Course("nearer" if target in _VIEWERS else "farther"), viewed + 1
    if text == "from" and target in _VIEWERS - {"front"}:
        return Course("farther"), viewed + 1
    if text in {"away", "off"}:
        after = skip_articles(words, index + 2)
        if text_at(words, index + 1) == "from" and text_at(words, after) in _VIEWERS:
            return Course("farther"), after + 1
        return (Course("away"), index + 1) if text == "away" and text_at(words, index + 1) != "from" else None
    if text in {"across", "through"} and target in nouns.MEDIA:
        return Course("across"), viewed + 1
    if text in {"into", "inside"} and target in nouns.MEDIA:
        return Course("inside"), viewed + 1
    return _short_course(words, index)


def _short_course(words: Sequence[Word], index: int) -> Found:
    text, after, kind_after = text_at(words, index), text_at(words, index + 1), kind_at(words, index + 1)
    if text == "across" and kind_after in _ENDS:
        return Course("across"), index + 1
    if text == "back" and (kind_after in {"stop", "comma", "conjunction"} or after in {"again", "home"}):
        return Course("home"), index + 1
    if {text, text_at(words, index + 2)} == {"up", "down"} and after == "and":
        return Course("bob"), index + 3
    if text in _ADVERBS:
        return Course(_ADVERBS[text]), index + 1
    if text in english.NEARER | english.FARTHER and kind_after != "noun":
        return Course("nearer" if text in english.NEARER else "farther"), _behind(words, index + 1, _COMPARED)
    start = index + (text == "around" and after == "in")
    ring = skip_articles(words, start + 1)
    if text_at(words, start) in {"in", "around"} and text_at(words, ring) in _RINGS:
        return Course("circle"), ring + 1
    return None


def _behind(words: Sequence[Word], index: int, passed: frozenset[str]) -> int:
    while text_at(words, index) in passed:
        index += 1
    return index
