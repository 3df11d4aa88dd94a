"""Finds tuples such as "(lady, sitting on, chair, (0v, 5v))" in a language model's reply, however they are written.

Brackets of any kind, of mixed kinds or missing; text around them; bullets, numbers, quotes and code fences. What is in a
tuple is not checked here; `tasks.dysen.graphs.event_grammar` does that. Time grows with the length of the text only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_CHARACTERS = 100_000
TERMS = 3  # of an event or triplet, before its times

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_ZERO_WIDTH = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_READ_AS = str.maketrans({"\r": "\n", "\u2028": "\n", "、": ",", **dict.fromkeys(_ZERO_WIDTH, "")})
_TOKEN = re.compile(r"[-=]{1,3}>|[()\[\]{}<>,;|\n]|[-=]|[^()\[\]{}<>,;|\n=-]+")
_OPENING = frozenset("([{<")
_CLOSING = frozenset(")]}>")
_SEPARATORS = frozenset(",;|")
_LINE_MARK = re.compile(r"[-*•>#]+|\d{1,4}[.:)]")
_NEXT_MARK = re.compile(r"[-*•>#]*|\d{1,4}[.:)]?")
_NUMBER = r"([+-]?\d{1,9}(?:\.\d{1,9})?) ?v?"
_TIMES = re.compile(rf"{_NUMBER}(?: ?(?:-|–|—|~|to|until|\.\.) ?{_NUMBER})?", re.IGNORECASE)
_EDGES = " \t\"'`*_“”‘’."


class Tuple(NamedTuple):
    """One tuple of a text.

    Attributes:
        line: where it begins, counted from 1.
        pieces: its parts as written, without the times.
        times: the numbers of its times, as written.
        whole: whether its last bracket, or that of its times, is there; one that the next tuple follows counts as whole.
    """

    line: int
    pieces: tuple[str, ...]
    times: tuple[str, ...]
    whole: bool


@dataclass
class _Group:
    """What has been read of an open bracket, or of a line outside of brackets."""

    line: int
    place: int
    pieces: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    worded: int = 0
    pending_word: bool = False
    inner: int = 0

    def add(self, text: str) -> None:
        self.pending.append(text)
        self.pending_word = self.pending_word or _has_words(text)

    def end_piece(self) -> None:
        text = _without_next_mark("".join(self.pending))
        self.pieces.append(text)
        self.worded += _has_words(text)
        self.forget()

    def forget(self) -> None:
        self.pending.clear()
        self.pending_word = False

    def words(self) -> int:
        """How many pieces have words in them, with the one that is being read."""
        return self.worded + self.pending_word

    def as_tuple(self, whole: bool) -> Tuple:
        pieces = self.pieces
        while len(pieces) > TERMS and not _has_words(pieces[-1]):
            pieces.pop()
        flat = all_times(pieces[TERMS:])
        kept = tuple(pieces[:TERMS] if flat else pieces)
        return Tuple(self.line, kept, (*flat, *self.times), whole or len(self.times) == 2)


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _without_next_mark(text: str) -> str:
    """A piece without the bullet or number of the next line, which follows if its own bracket is missing."""
    head, line_end, mark = text.rpartition("\n")
    return head if line_end and _has_words(head) and _NEXT_MARK.fullmatch(mark.strip()) else text


def _times_of(piece: str) -> tuple[str, ...]:
    """The one or two numbers of a piece such as "5v" or "0v-5v"; none if it is something else."""
    found = _TIMES.fullmatch(" ".join(piece[:100].split()).strip(_EDGES))
    return tuple(number for number in found.groups() if number) if found else ()


def all_times(pieces: Sequence[str]) -> list[str]:
    """The numbers of one or two pieces that are times; none if there is anything else."""
    found = [_times_of(piece) for piece in pieces] if len(pieces) <= 2 else [()]
    return [number for numbers in found for number in numbers] if all(found) else []


class _Scanner:
    """Goes through the tokens of a text once."""

    def __init__(self) -> None:
        self.line = 1
        self.place = 0
        self.found: list[tuple[int, Tuple]] = []
        self.stack = [_Group(1, 0)]

    def read(self, part: str) -> None:
        self.place += 1
        group = self.stack[-1]
        if part in _OPENING:
            self._open(group)
        elif part in _CLOSING:
            self._close(group)
        elif part in _SEPARATORS or part.endswith(">"):
            group.end_piece()
        elif part == "\n":
            self.line += 1
            self._end_line(group)
        else:
            group.add(part)

    def finish(self) -> list[Tuple]:
        """All tuples in the order of the text."""
        while len(self.stack) > 1:
            group = self.stack.pop()
            group.end_piece()
            if group.words() >= 2 or group.times:
                self._add(group, whole=False)
        self._end_line(self.stack[0])
        return [entry for _, entry in sorted(self.found, key=lambda found: found[0])]

    def _add(self, group: _Group, whole: bool) -> None:
        self.found.append((group.place, group.as_tuple(whole)))

    def _open(self, group: _Group) -> None:
        if len(self.stack) > 1 and group.words() >= TERMS and len(group.times) == 2:
            self._drop()
        self.stack.append(_Group(self.line, self.place))

    def _drop(self) -> None:
        """Ends a bracket that was never closed but has all that it needs."""
        group = self.stack.pop()
        group.end_piece()
        self._add(group, whole=True)

    def _close(self, group: _Group) -> None:
        if len(self.stack) == 1:
            group.forget()
            return
        self.stack.pop()
        outer = self.stack[-1]
        group.end_piece()
        times = all_times(group.pieces)
        if times and outer.words() >= TERMS:
            outer.times += times
        elif (len(group.pieces) > 1 and not group.inner) or group.words() > 1:
            self._add(group, whole=True)
            outer.inner += 1
            while len(self.stack) > 1 and self.stack[-1].words() >= TERMS:
                self._drop()

    def _end_line(self, group: _Group) -> None:
        if len(self.stack) > 1:
            group.add("\n")
            return
        group.end_piece()
        if not _has_words(group.pieces[0]) and len(group.pieces) > TERMS:
            group.pieces.pop(0)
        group.pieces[0] = _bare(group.pieces[0])
        entry = group.as_tuple(whole=True)
        if len(entry.pieces) == TERMS and len(entry.times) == 2:
            self.found.append((group.place, entry))
        self.stack[0] = _Group(self.line, self.place)


def _bare(piece: str) -> str:
    """The first piece of a line without brackets, without what introduces it: "2. lady", "output: lady"."""
    piece = piece.rpartition(":")[2].strip()
    mark, _, rest = piece.partition(" ")
    return rest if rest and _LINE_MARK.fullmatch(mark) else piece


def find_tuples(text: str) -> list[Tuple]:
    """The tuples of a text in its order: whatever has two pieces or more in brackets, and lines with three and two times.

    Args:
        text: of at most `MOST_CHARACTERS`; what comes after is not read.
    """
    unthought = _THOUGHTS.sub(lambda thoughts: "\n" * thoughts[0].count("\n"), text[:MOST_CHARACTERS], count=1)
    plain = unicodedata.normalize("NFKC", unthought.replace("\r\n", "\n"))
    scanner = _Scanner()
    for part in _TOKEN.findall(plain.translate(_READ_AS)):
        scanner.read(part)
    return scanner.finish()
