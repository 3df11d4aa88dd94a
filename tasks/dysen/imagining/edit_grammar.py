"""Edits from and to text: "add 3 (a, b, c)", "remove 0-2 (a, is, b)", "replace 4 (a, b, c) with (a, d, c)".

Replies of language models are read as far as they can be: bullets, any case, other words for the three, "tick 3:" before or
alone above its lines, arrows. What cannot be read is told. Time grows with the length of the text only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tasks.captions.english import lookup, words
from tasks.common.quarantine import printable
from tasks.dysen.graphs.bracketed_tuples import MOST_CHARACTERS
from tasks.dysen.graphs.dynamic_scene_graph import LAST_TICK
from tasks.dysen.graphs.event_grammar import Problem
from tasks.dysen.graphs.graph_edits import Edit, Item
from tasks.dysen.imagining.detail_grammar import format_detail, read_details

MOST_EDITS = 1024
_MOST_PROBLEMS = 64
_MOST_SHOWN = 80
Operation = Literal["add", "remove", "replace", "keep"]
Span = tuple[int, int]

_OPERATIONS: dict[str, Operation] = lookup(
    {
        "add": "add adds added insert inserts include",
        "remove": "remove removes removed delete deletes drop drops erase",
        "replace": "replace replaces replaced change changes swap substitute",
        "keep": "keep keeps kept leave",
    }
)
_ALL_TICKS = words("all every everywhere")
_BESIDE = words("tick ticks at in on from to the graph graphs moment step frame number t sg operation op action type item")
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_MARK = re.compile(r"\s*(?:[-*•·>#+]+\s+)?(?:\d{1,4}[.)]\s+)?")
_TICK_LIST = re.compile(r"\[\s*\d{1,9}v?(?:\s*,\s*\d{1,9}v?)*\s*\]")
_SEPARATOR = re.compile(r"[,;|]")
_TOKEN = re.compile(
    r"(?P<group>[(\[{<][^()\[\]{}<>]*+(?:[)\]}>]|$))|(?P<arrow>[-=–—~]{1,3}>|[→⇒➔])"
    r"|(?P<first>\d{1,9}(?:\.\d{1,9})?)v?(?:[ \t]{0,3}(?:-|–|—|~|to|until|through|\.{2,3})[ \t]{0,3}(?P<last>\d{1,9})v?)?"
    r"|(?P<word>[^\W\d_]+)",
    re.IGNORECASE,
)


class ParsedEdits(NamedTuple):
    """The edits of a text in its order, one for each tick, and what could not be read."""

    edits: tuple[Edit, ...]
    problems: tuple[Problem, ...]


class _UnreadableError(Exception):
    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclass
class _Segment:
    """One operation of a line, with its ticks and brackets."""

    operation: Operation | None = None
    ticks: list[tuple[str, str]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    ticks_first: bool = False
    arrow: bool = False

    def add_ticks(self, first: str, last: str) -> None:
        self.ticks_first |= not self.groups
        self.ticks.append((first, last))

    def takes_ticks(self) -> bool:
        """Whether ticks that follow still belong to it, not to what comes next."""
        return not (self.groups and self.ticks and self.ticks_first)

    def takes_group(self) -> bool:
        """Whether a bracket that follows still belongs to it."""
        halfway = (self.arrow or self.operation == "replace") and len(self.groups) % 2 == 1
        return halfway or not (self.groups and self.ticks and not self.ticks_first)


def parse_edits(text: str, source: str, last_tick: int = LAST_TICK) -> ParsedEdits:
    """Reads edits; never raises, in time linear in the length of the text.

    Args:
        text: of at most `MOST_CHARACTERS`; what comes after is not read.
        source: of the edits.
        last_tick: where "all ticks" and ranges that go on behind it end.
    """
    unthought = _THOUGHTS.sub(lambda thoughts: "\n" * thoughts[0].count("\n"), text[:MOST_CHARACTERS], count=1)
    lines = unicodedata.normalize("NFKC", unthought.replace("\r", "\n")).split("\n")
    reader = _Reader(source, last_tick)
    if len(text) > MOST_CHARACTERS:
        reader.problems.append(Problem("oversize", 1, f"only the first {MOST_CHARACTERS} characters were read"))
    for number, line in enumerate(lines, start=1):
        reader.read(number, line[_mark_end(line) :])
    if not reader.edits and not reader.problems and not reader.kept and any(map(str.isalnum, text)):
        reader.problems.append(Problem("nothing", 1, "there is no operation with something in brackets"))
    return ParsedEdits(tuple(reader.edits), tuple(reader.problems[:_MOST_PROBLEMS]))


def _mark_end(line: str) -> int:
    found = _MARK.match(line)
    return found.end() if found else 0


class _Reader:
    """Goes through lines once; what a line without brackets says holds for the lines below it."""

    def __init__(self, source: str, last_tick: int) -> None:
        self._source, self._last_tick = source, last_tick
        self._heading = _Segment()
        self.edits: list[Edit] = []
        self.problems: list[Problem] = []
        self.kept = False

    def read(self, number: int, line: str) -> None:
        segments, plain = _segments(line)
        self.kept |= any(segment.operation == "keep" for segment in segments)
        told = [segment for segment in segments if segment.groups and segment.operation != "keep"]
        if not told and plain:
            self._take_heading(segments)
        for segment in told:
            segment.operation = segment.operation or ("replace" if segment.arrow else self._heading.operation)
            segment.ticks = segment.ticks or segments[0].ticks or self._heading.ticks
            try:
                self._add(segment)
            except _UnreadableError as error:
                shown = printable(" ".join(line[:_MOST_SHOWN].split()))
                self.problems.append(Problem(error.kind, number, f"{error}: {shown}"))

    def _take_heading(self, segments: Sequence[_Segment]) -> None:
        ticks = [span for segment in segments for span in segment.ticks]
        operations = [segment.operation for segment in segments if segment.operation]
        self._heading = _Segment(operations[-1] if operations else self._heading.operation, ticks or self._heading.ticks)

    def _add(self, segment: _Segment) -> None:
        operation = segment.operation
        if operation is None or operation == "keep":
            raise _UnreadableError("operation", "no add, remove or replace")
        if not segment.ticks:
            raise _UnreadableError("ticks", "no tick")
        spans = [self._span(*ticks) for ticks in segment.ticks]
        items = [_item(group) for group in segment.groups]
        if operation == "replace" and len(items) % 2:
            raise _UnreadableError("terms", "nothing to put in its place")
        pairs = zip(items[::2], items[1::2], strict=True) if operation == "replace" else ((item, None) for item in items)
        for item, replacement in pairs:
            for tick in (tick for first, last in spans for tick in range(first, last + 1)):
                if len(self.edits) == MOST_EDITS:
                    raise _UnreadableError("too-many", f"more than {MOST_EDITS} edits")
                self.edits.append(
                    Edit(operation=operation, tick=tick, item=item, replacement=replacement, source=self._source)
                )

    def _span(self, first: str, last: str) -> Span:
        if not first.isdecimal() or int(first) > LAST_TICK:
            raise _UnreadableError("ticks", f"a tick is a whole number up to {LAST_TICK}")
        if last and int(last) < int(first):
            raise _UnreadableError("ticks", "a range must not end before it begins")
        return int(first), max(int(first), min(int(last or first), self._last_tick))


def _segments(line: str) -> tuple[list[_Segment], bool]:
    """The operations of a line, and whether it has no other words than those of operations and ticks."""
    segments, plain = [_Segment()], True
    for token in _TOKEN.finditer(line):
        current, word = segments[-1], (token["word"] or "").lower()
        if token["group"] and _TICK_LIST.fullmatch(token["group"]):
            for number in re.findall(r"\d+", token["group"]):
                current.add_ticks(number, "")
        elif token["group"] and _SEPARATOR.search(token["group"]):
            if not current.takes_group():
                segments.append(_Segment(current.operation))
            segments[-1].groups.append(token["group"])
        elif token["arrow"]:
            current.arrow = True
        elif token["first"] or word in _ALL_TICKS:
            if not current.takes_ticks():
                segments.append(_Segment(current.operation))
            segments[-1].add_ticks(token["first"] or "0", token["last"] or ("" if token["first"] else str(LAST_TICK)))
        elif word in _OPERATIONS:
            if current.operation or current.groups:
                segments.append(_Segment())
            segments[-1].operation = _OPERATIONS[word]
        else:
            plain = plain and word in _BESIDE
    return segments, plain


def _item(group: str) -> Item:
    whole = group if group[-1] in ")]}>" else f"{group})"
    found = read_details(whole)
    if len(found.items) != 1:
        raise _UnreadableError("terms", found.problems[0].detail if found.problems else "something that relates to itself")
    return found.items[0]


def format_operation(operation: str, ticks: Span, item: Item, replacement: Item | None = None) -> str:
    """An operation as `parse_edits` reads it; `ticks` are the first and the last."""
    span = str(ticks[0]) if ticks[0] == ticks[1] else f"{ticks[0]}-{ticks[1]}"
    end = "" if replacement is None else f" with {format_detail(replacement)}"
    return f"{operation} {span} {format_detail(item)}{end}"


def format_edits(edits: Iterable[Edit]) -> str:
    """Edits, one operation a line; equal ones of ticks in a row become one."""
    return "\n".join(format_operation(*parts) for parts in _runs(edits))


def _runs(edits: Iterable[Edit]) -> Iterator[tuple[str, Span, Item, Item | None]]:
    run: tuple[str, Span, Item, Item | None] | None = None
    for edit in edits:
        if run and (run[0], run[1][1] + 1, *run[2:]) == (edit.operation, edit.tick, edit.item, edit.replacement):
            run = (run[0], (run[1][0], edit.tick), *run[2:])
            continue
        if run:
            yield run
        run = (edit.operation, (edit.tick, edit.tick), edit.item, edit.replacement)
    if run:
        yield run
