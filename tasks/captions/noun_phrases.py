"""Short noun phrases such as "three red kites": how many, which, what."""

from __future__ import annotations

from tasks.captions.english_nouns import singular
from tasks.captions.scene import MOST_COUNT

_DETERMINERS = frozenset(("a", "an", "the", "this", "that", "one", "some", "his", "her", "their", "its"))
_COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBERS = {word: number for number, word in enumerate(_COUNTED, start=1)} | {"both": 2, "twin": 2, "several": 3}


def split_phrase(phrase: str, noun: str) -> tuple[int, str, str]:
    """(count, attribute, name in the singular) of a lower-case phrase with the head `noun`; what follows that is cut off."""
    words = phrase.split()
    before = words[: words.index(noun)] if noun in words else []
    while before and before[0] in _DETERMINERS:
        before = before[1:]
    count = 1
    if before and (before[0] in _NUMBERS or before[0].isdecimal()):
        count = _NUMBERS.get(before[0]) or max(1, min(MOST_COUNT, int(before[0][:4])))
        before = before[1:]
    return count, " ".join(before), (singular(noun) if count > 1 else "") or noun
