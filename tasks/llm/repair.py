"""JSON in a language model's text: read strictly, or found among prose and mended, in bounded time whatever the text is."""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any

import json_repair
import pydantic_core

MOST_TEXT = 1_000_000
"""Characters of a text in which JSON is searched; longer ones are given up."""
MOST_DEPTH = 64
"""Brackets that may be open at once."""
_MOST_MENDED = 50_000
_MOST_LOOKS = 300_000  # mending real replies takes three looks at each character; hostile ones cost the library its square
_MOST_PARTS = 8
_MOST_STARTS = 64
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_BRACKET = re.compile(r"[{}\[\]]")
_DECODER = json.JSONDecoder()


class _TooManyLooks(Exception):
    """The text keeps the mender too busy."""


class _Metered(str):
    """Text that can be looked at only so often, because `json_repair` needs minutes for some short texts."""

    looks: list[int]

    def __new__(cls, text: str, looks: list[int]) -> _Metered:
        metered = super().__new__(cls, text)
        metered.looks = looks
        return metered

    def __getitem__(self, place: Any) -> str:
        found = super().__getitem__(place)
        self.looks[0] -= len(found)
        if self.looks[0] < 0:
            raise _TooManyLooks
        return _Metered(found, self.looks) if isinstance(place, slice) else found

    def __add__(self, other: str) -> str:
        return _Metered(super().__add__(other), self.looks)


def read_json(text: str) -> Any:
    """The value of a text that is JSON and nothing else.

    Raises:
        ValueError: it is not, it is nested too deep, or a number in it is not finite.
    """
    value = pydantic_core.from_json(text, allow_inf_nan=False)
    if not is_finite(value):
        raise ValueError("a number is too large")
    return value


def is_finite(value: Any) -> bool:
    """Whether no number in nested lists and mappings is NaN, infinite, or an integer beyond the range of floats."""
    if isinstance(value, dict):
        return all(is_finite(item) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return all(is_finite(item) for item in value)
    if isinstance(value, int):
        return value.bit_length() <= 1023
    return not isinstance(value, float) or math.isfinite(value)


def repair_json(text: str) -> Any | None:
    """The object or array that a text holds among prose, fences and slips such as trailing commas; None if there is none.

    Fenced parts come first; of several whole values the longest counts. Text longer than `MOST_TEXT` or nested deeper than
    `MOST_DEPTH` is given up, and so is what would keep the mender busy; the outcome never depends on the machine's pace.
    """
    if len(text) > MOST_TEXT:
        return None
    text = _THOUGHTS.sub("", text, count=1)
    looks = [_MOST_LOOKS]
    for part in [*text.split("```")[1 : 2 * _MOST_PARTS : 2], text]:
        if not _is_too_deep(part):
            value = _longest_value(part) or _mended(part, looks)
            if value is not None:
                return value
    return None


def _longest_value(text: str) -> Any | None:
    """The longest whole object or array that no other bracket encloses; one without content does not count."""
    longest, size, position = None, 0, 0
    for _ in range(_MOST_STARTS):
        opening = _OPENING.search(text, position)
        if opening is None:
            break
        start = opening.start()
        try:
            value, position = _DECODER.raw_decode(text, start)
        except ValueError:
            position = _end_of_group(text, start)
            continue
        if value and is_finite(value) and position - start > size:
            longest, size = value, position - start
    return longest


def _end_of_group(text: str, start: int) -> int:
    """Behind the bracket that closes the one at `start`."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "[{" else -1
        if depth == 0:
            return bracket.end()
    return len(text)


def _mended(text: str, looks: list[int]) -> Any | None:
    """What `json_repair` makes of the text from its first bracket on."""
    opening = _OPENING.search(text)
    if opening is None or len(text) - opening.start() > _MOST_MENDED:
        return None
    try:
        value = json_repair.loads(_Metered(text[opening.start() :], looks), skip_json_loads=True)
    except Exception:  # noqa: BLE001 - a large parser meets hostile text; whatever it raises, there is no value
        return None
    return value if isinstance(value, dict | list) and value and is_finite(value) else None


def _is_too_deep(text: str) -> bool:
    """Counts brackets in strings too: a parser that meets broken quotes cannot tell them apart either."""
    steps = (1 if bracket[0] in "[{" else -1 for bracket in _BRACKET.finditer(text))
    return max(accumulate(steps, lambda depth, step: max(depth + step, 0)), default=0) > MOST_DEPTH
