"""JSON that people and language models put together by hand, of any length, in time that grows with the length only.

Besides JSON it may be a Python literal; commas may be missing or too many, quotes single or not escaped, keys bare, and
there may be prose and code fences around it. What is damaged otherwise is refused with its place: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MOST_DEPTH = 32
_MOST_LOOKS = 2  # in vain at each character of a text, on average
_MOST_STARTS = 10_000
_MOST_TOKENS = 1_000_000
_MOST_NUMBER = 400

_CLOSING = {"[": "]", "(": ")", "{": "}"}
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "\n": ""}
# a quote ends a text only where something that belongs behind a text follows it
_QUOTED = r"""{0}(?:[^{0}\\]++|\\.|{0}(?!\s*+(?:[\[\](){{}}:,"']|\Z)))*+{0}"""
_TOKEN = re.compile(
    rf"""[\s,]*+(?:
        (?:(?P<quoted>{_QUOTED.format('"')}|{_QUOTED.format("'")})|(?P<word>[\w.+-]++))(?P<colon>\s*+:)?+
        |(?P<bracket>[\[\](){{}}])
    )""",
    re.DOTALL | re.VERBOSE,
)
_BLANK = re.compile(r"[\s,]*+")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|U(00(?:0[0-9A-Fa-f]|10)[0-9A-Fa-f]{4})|(.))", re.DOTALL)


class UnreadableError(ValueError):
    """Text that cannot be read.

    Attributes:
        place: how many characters come before what is wrong.
        read: how many characters had been looked at.
    """

    def __init__(self, problem: str, place: int, read: int) -> None:
        super().__init__(problem)
        self.place = place
        self.read = read


@dataclass
class _Open:
    """A list or an object whose end is still to come; `key` waits for its value."""

    value: list[Any] | dict[str, Any]
    closing: str
    key: str | None = None

    def add(self, value: Any, *, is_key: bool = False) -> None:
        """Adds an item, a key or a value.

        Raises:
            ValueError: it does not belong here.
        """
        if is_key != (isinstance(self.value, dict) and self.key is None):
            raise ValueError("a colon too many" if is_key else "a key without a colon and a value")
        if isinstance(self.value, list):
            self.value.append(value)
        elif self.key is not None:
            self.value[self.key] = value
            self.key = None
        elif value in self.value:
            raise ValueError(f"the key {value[:80]!r} comes twice in one object; remove one")
        else:
            self.key = value

    def close(self, bracket: str) -> Any:
        """The whole value.

        Raises:
            ValueError: another bracket is needed, or a value is missing.
        """
        if bracket != self.closing or self.key is not None:
            raise ValueError(f"expected {'a value' if self.key is not None else self.closing}, not {bracket}")
        return self.value


def find_object(text: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """The first object in a text that is the wanted one; objects in others do not count. None if no object is.

    Raises:
        UnreadableError: an object cannot be read or is nested deeper than `MOST_DEPTH`, and the wanted one is not found
            behind it.
    """
    failure: UnreadableError | None = None
    looks, start = _MOST_LOOKS * len(text), text.find("{")
    for _ in range(_MOST_STARTS):
        if start < 0 or looks <= 0:
            break
        try:
            value, end = _read_object(text, start)
            if wanted(value):
                return value
        except UnreadableError as error:
            looks -= error.read - start
            failure = max(failure or error, error, key=lambda item: item.place)
            end = start + 1
        start = text.find("{", end)
    if failure:
        raise failure
    return None


def _read_object(text: str, start: int) -> tuple[dict[str, Any], int]:
    """The object that begins with the bracket at `start`, and where it ends. Numbers become floats."""
    opened: list[_Open] = []
    place = start
    for _ in range(_MOST_TOKENS):
        token = _TOKEN.match(text, place)
        if token is None:
            raise _nothing_to_read(text, place)
        begin = max(token.start("quoted"), token.start("word"), token.start("bracket"))
        try:
            if token["bracket"] is None:
                _add_plain(opened[-1], token)
            elif token["bracket"] in _CLOSING:
                opened.append(_Open({} if token["bracket"] == "{" else [], _CLOSING[token["bracket"]]))
            else:
                value = opened[-1].close(token["bracket"])
                opened.pop()
                if not opened:
                    return value, token.end()
                opened[-1].add(value)
        except ValueError as error:
            raise UnreadableError(str(error), begin, token.end()) from None
        if len(opened) > MOST_DEPTH:  # no honest text; no other object in it is tried
            raise UnreadableError(f"nested more than {MOST_DEPTH} deep", begin, start + _MOST_LOOKS * len(text))
        place = token.end()
    raise UnreadableError(f"more than {_MOST_TOKENS} brackets and values", place, start + _MOST_LOOKS * len(text))


def _nothing_to_read(text: str, place: int) -> UnreadableError:
    begin = _BLANK.match(text, place)
    place = begin.end() if begin else place
    if text[place : place + 1] in ('"', "'"):  # in vain it was read to the end
        return UnreadableError("a text whose closing quote is missing", place, len(text))
    if place == len(text):
        return UnreadableError("ends before its brackets are closed", place, place)
    return UnreadableError(f"{text[place : place + 20]!r} is no text, number or bracket", place, place + 1)


def _add_plain(parent: _Open, token: re.Match[str]) -> None:
    word, is_key = token["word"], token["colon"] is not None
    if word is None:
        parent.add(_unescaped(token["quoted"][1:-1]), is_key=is_key)
    elif is_key:
        parent.add(word, is_key=True)
    elif word in _WORDS:
        parent.add(_WORDS[word])
    else:
        try:
            number = float(word if len(word) <= _MOST_NUMBER else "")
        except ValueError:
            raise ValueError(f"{word[:80]!r} is no number and has no quotes around it") from None
        parent.add(number)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    text = _ESCAPE.sub(_meaning, text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")  # two halves become one character


def _meaning(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    return chr(int(code, 16)) if code else _ESCAPES.get(escape[4], escape[4])
