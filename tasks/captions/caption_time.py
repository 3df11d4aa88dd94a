"""Times in captions: "in the first half of the video", "after two seconds", "until the midpoint"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_phrases import Found, When, kind_at, skip_articles, text_at
from tasks.captions.caption_words import Word

# A caption does not say how long its video is; times in seconds need a length.
SECONDS = 4.0
# How much of the video "the beginning" and "the end" are.
_VAGUE = 0.25
_SOONEST, _LATEST = 0.05, 0.95

Relation = Literal["in", "after", "before", "until", "from"]
_RELATIONS: Mapping[str, Relation] = english.lookup(
    {
        "in": "in during for throughout over within at by on inside around near toward towards when about through",
        "after": "after past following once since as",
        "until": "until till to",
        "before": "before",
        "from": "from",
    }
)
_ORDINALS = MappingProxyType(
    dict.fromkeys(english.words("first initial opening former starting early earlier beginning"), 0)
    | {"second": 1, "third": 2, "fourth": 3}
    | dict.fromkeys(english.words("last final closing latter concluding ending late later"), -1)
)
_PIECES = english.words("part portion section segment stage phase stretch bit moment moments minute minutes")
_STARTS = english.words("beginning start outset onset opening")
_ENDS = english.words("end ending close conclusion finish")
_HALVES = {"first": (0.0, 0.5), "former": (0.0, 0.5), "second": (0.5, 1.0), "latter": (0.5, 1.0)}
_SECONDS = english.words("second seconds sec secs s")
_THROUGH = english.words("of through into in from to")

_Span = tuple[float, float, bool, int]


def read_when(words: Sequence[Word], index: int) -> Found:
    """A preposition and a time, or a time alone."""
    preposition = text_at(words, index)
    relation = _RELATIONS.get(preposition)
    after = index
    if relation is not None:
        after += 1
        while text_at(words, after) in {"only", "just", "in", "at", "during", "around", "about", "by", "exactly"}:
            after += 1
    if preposition == "throughout" and kind_at(words, after) in {"comma", "stop", "conjunction"}:
        return When("in", 0.0, 1.0), after
    rest = _rest(words, after, relation is not None)
    if rest is not None:
        return rest
    span = _span(words, after, relation)
    if span is None:
        return None
    start, end, vague, after = span
    while (
        text_at(words, after) in {"on", "onward", "onwards", "already", "alone", "only"} and text_at(words, after) != "only"
    ):
        after += 1
    if (
        relation is None
        and start == end
        and kind_at(words, index) in {"number", "determiner"}
        and text_at(words, after) in {"later", "in"}
    ):
        return When("after", start, end), after + 1
    if preposition in {"for", "during", "over"} and start == end:
        start = 0.0
    return When(relation or "in", start, end, vague), after


def _rest(words: Sequence[Word], index: int, preceded: bool) -> Found:
    """ "the rest of the video", "the other half": what earlier times leave."""
    after = skip_articles(words, index)
    text = text_at(words, after)
    if preceded and text in {"rest", "remainder"}:
        return When("in", 0.0, 1.0, rest=True), _behind_tail(words, after + 1)
    if text in {"other", "remaining"} and text_at(words, after + 1) in english.SHARES:
        return When("in", 0.0, 1.0, rest=True), _behind_tail(words, after + 2)
    return None


def _span(words: Sequence[Word], index: int, relation: Relation | None) -> _Span | None:
    begin, index = index, skip_articles(words, index)
    text = text_at(words, index)
    if text in {"halfway", "midpoint"}:
        after = index + 1
        while text_at(words, after) in {"point", "mark", "stage", "line"}:
            after += 1
        return 0.5, 0.5, False, _behind_tail(words, after)
    for reader in (_part, _duration, _fraction):
        found = reader(words, index)
        if found is not None:
            return found
    elliptic = kind_at(words, index + 1) in {"comma", "stop", "conjunction", "verb", "subordinator"}
    if elliptic and text in _HALVES and relation is not None and begin < index:  # "not in the first"
        return (*_HALVES[text], False, index + 1)
    if text in {"whole", "entire"} or text in nouns.MEDIA_OF_TIME:
        after = index + (text in {"whole", "entire"})
        if (
            text_at(words, after) in nouns.MEDIA_OF_TIME
            and relation == "in"
            and text_at(words, begin - 1) in {"throughout", "for", "during"}
        ):
            return 0.0, 1.0, False, after + 1
        return None
    return _point(words, begin, index, relation)


def _part(words: Sequence[Word], index: int) -> _Span | None:
    """ "first half", "last third of the clip", "first two seconds", "opening part"."""
    text = text_at(words, index)
    number = _ORDINALS.get(text)
    middle = text in {"middle", "central"}
    if number is None and not middle:
        return None
    noun, after = text_at(words, index + 1), index + 2
    if noun in {"one", "two", "three", "four", "five", "few", "couple"} or noun.isdecimal():
        amount = english.NUMBERS.get(noun) or english.QUANTIFIERS.get(noun) or int(noun[:3])
        if text_at(words, after) == "of":
            after += 1
        length = SECONDS if text_at(words, after) in _SECONDS else 100 if text_at(words, after) in {"percent", "%"} else None
        if length is None:
            return None
        share = min(amount / length, _LATEST)
        after += 1
    elif noun in english.SHARES:
        share = english.SHARES[noun]
    elif noun in _SECONDS and number != 1:
        share = 1 / SECONDS
    elif noun in _PIECES and not (noun == "part" and kind_at(words, index - 1) not in {"determiner", "preposition"}):
        share = 1 / 3 if middle else _VAGUE if noun.startswith("moment") else 0.5
    else:
        return None
    if _is_spatial_tail(words, after):
        return None
    after = _behind_tail(words, after)
    if middle:
        return 1 / 3, 2 / 3, False, after
    start = 1 - share if number == -1 or (number or 0) * share >= 1 else (number or 0) * share
    return start, min(start + share, 1.0), False, after


def _is_spatial_tail(words: Sequence[Word], index: int) -> bool:
    after = skip_articles(words, index + 1)
    return text_at(words, index) in {"of", "in"} and text_at(words, after) in nouns.MEDIA_OF_SPACE


def _behind_tail(words: Sequence[Word], index: int) -> int:
    """The index behind "of the video", if that follows."""
    while text_at(words, index) in {"point", "mark"}:
        index += 1
    if text_at(words, index) in _THROUGH or text_at(words, index) == "over":
        after = skip_articles(words, index + 1)
        if text_at(words, after) in nouns.MEDIA and text_at(words, after) not in nouns.MEDIA_OF_SPACE:
            return after + 1 + (text_at(words, after + 1) in nouns.MEDIA_OF_TIME)
        if text_at(words, index) in {"through", "in"} and kind_at(words, index + 1) in {"comma", "stop", "conjunction"}:
            return index + 1
    return index


def _duration(words: Sequence[Word], index: int) -> _Span | None:
    """ "two seconds", "a second", "30 percent"."""
    text = text_at(words, index)
    amount = english.NUMBERS.get(text) or english.QUANTIFIERS.get(text)
    if text.isdecimal():
        amount = int(text[:4])
    after = index + 1
    if text in _SECONDS and text_at(words, index - 1) in {"a", "one"}:
        amount, after = 1, index
    if amount is None:
        return None
    unit = text_at(words, after)
    if unit in _SECONDS:
        point = amount / SECONDS
    elif unit in {"percent", "%"}:
        point = amount / 100
    else:
        return None
    point = min(max(point, _SOONEST), _LATEST)
    return point, point, False, _behind_tail(words, after + 1)


def _fraction(words: Sequence[Word], index: int) -> _Span | None:
    """ "two thirds of the way through", "half of the video"."""
    text = text_at(words, index)
    amount, after = english.NUMBERS.get(text, 1), index + (text in english.NUMBERS)
    share = english.SHARES.get(text_at(words, after))
    if share is None:
        return None
    after += 1
    if text_at(words, after) == "of" and text_at(words, after + 2) == "way":
        after += 3
    elif _behind_tail(words, after) == after and text_at(words, after) not in nouns.MEDIA_OF_TIME | {"the"}:
        return None
    end = _behind_tail(words, after)
    if end == after:
        end = skip_articles(words, after)
        if text_at(words, end) not in nouns.MEDIA_OF_TIME:
            return None
        end += 1
    point = min(amount * share, _LATEST)
    return point, point, False, end


def _point(words: Sequence[Word], begin: int, index: int, relation: Relation | None) -> _Span | None:
    """The beginning, middle or end, of the video or of one of its parts."""
    text = text_at(words, index)
    if relation is None or (begin == index and text not in {"start", "end"}):
        return None
    after = index + 1
    tail = _behind_tail(words, after)
    if tail == after and text_at(words, after) == "of":
        inner = _part(words, skip_articles(words, after + 1))
        if inner is None:
            return None
        point = {True: inner[0], False: inner[1]}.get(text in _STARTS, 0.5)
        return (point, point, False, inner[3]) if text in _STARTS | _ENDS else None
    if text in _STARTS:
        return 0.0, _VAGUE, True, tail
    if text in _ENDS:
        return 1 - _VAGUE, 1.0, True, tail
    if text in {"middle", "half"} and (
        tail > after or (relation in {"until", "after", "before"} and text_at(words, begin - 1) != "to")
    ):
        if relation == "in" and text != "half":
            return 1 / 3, 2 / 3, False, tail
        return 0.5, 0.5, False, tail
    return None
