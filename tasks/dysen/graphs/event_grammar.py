"""Events and triplets from and to text: "(lady, sitting on, chair, (0v, 5v))", "(lady, in, dress)", "(bag, cloth)".

Times count basic time intervals, written v. Replies of language models are read as far as they can be; what cannot be
read is told, and text outside of brackets is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import ValidationError

from tasks.common.quarantine import printable
from tasks.dysen.graphs.bracketed_tuples import MOST_CHARACTERS, TERMS, Tuple, all_times, find_tuples
from tasks.dysen.graphs.dynamic_scene_graph import MOST_EVENTS, MOST_ITEMS, Attribute, Event, SceneGraph, Triplet, as_term

_MOST_PROBLEMS = 64
_MOST_SHOWN = 80
_PLACEHOLDERS = frozenset({"agent", "subject", "predicate", "event-predicate", "relation", "target", "object", "attribute"})


class Problem(NamedTuple):
    """What could not be read.

    Attributes:
        kind: "oversize", "nothing", "terms", "times", "cut-off", "repeated" or "too-many".
        line: of the text, counted from 1.
        detail: what is wrong there.
    """

    kind: str
    line: int
    detail: str


class ParsedEvents(NamedTuple):
    """The events of a text in its order, each once, and what could not be read."""

    events: tuple[Event, ...]
    problems: tuple[Problem, ...]


class ParsedTriplets(NamedTuple):
    """The triplets and attributes of a text in its order, each once, and what could not be read."""

    triplets: tuple[Triplet, ...]
    attributes: tuple[Attribute, ...]
    problems: tuple[Problem, ...]


class _UnreadableError(Exception):
    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def parse_events(text: str) -> ParsedEvents:
    """Reads events: three terms and two times each; never raises, in time linear in the length of the text."""
    events: dict[Event, None] = {}
    problems: list[Problem] = []
    for entry in _with_following_times(find_tuples(text)):
        try:
            event = _event(entry)
            if event in events:
                raise _UnreadableError("repeated", "the same event again")
            if len(events) == MOST_EVENTS:
                raise _UnreadableError("too-many", f"more than {MOST_EVENTS} events")
            events[event] = None
        except _UnreadableError as error:
            problems.append(_problem(entry, error))
    return ParsedEvents(tuple(events), _all_problems(text, problems, found=bool(events)))


def parse_triplets(text: str) -> ParsedTriplets:
    """Reads triplets and attribute pairs; times behind a triplet are dropped. Never raises, in linear time."""
    items: dict[Triplet | Attribute, None] = {}
    problems: list[Problem] = []
    for entry in find_tuples(text):
        try:
            item = _triplet_or_attribute(entry)
            if item not in items and len(items) == MOST_ITEMS:
                raise _UnreadableError("too-many", f"more than {MOST_ITEMS} triplets and attributes")
            items[item] = None
        except _UnreadableError as error:
            problems.append(_problem(entry, error))
    triplets = tuple(item for item in items if isinstance(item, Triplet))
    attributes = tuple(item for item in items if isinstance(item, Attribute))
    return ParsedTriplets(triplets, attributes, _all_problems(text, problems, found=bool(items)))


def _with_following_times(entries: list[Tuple]) -> list[Tuple]:
    """Joins "(lady, sitting on, chair), (0v, 5v)" to one tuple."""
    joined: list[Tuple] = []
    for entry in entries:
        times = all_times(entry.pieces)
        before = joined[-1] if joined else None
        if before and len(before.pieces) == TERMS and not before.times and times:
            joined[-1] = before._replace(times=tuple(times))
        else:
            joined.append(entry)
    return joined


def _terms(entry: Tuple) -> list[str]:
    terms = []
    for number, piece in enumerate(entry.pieces, start=1):
        if "\n" in piece.strip():
            raise _UnreadableError("terms", f"term {number} runs over the end of a line")
        try:
            terms.append(as_term(piece))
        except ValueError as error:
            raise _UnreadableError("terms", f"term {number}: {error}") from None
    if _PLACEHOLDERS.issuperset(terms):
        raise _UnreadableError("terms", "a pattern instead of terms")
    return terms


def _event(entry: Tuple) -> Event:
    if not entry.whole:
        raise _UnreadableError("cut-off", "the last bracket is missing")
    if len(entry.pieces) != TERMS:
        detail = f"{len(entry.pieces)} terms instead of agent, predicate and target, or times that are none"
        raise _UnreadableError("terms", detail)
    agent, predicate, target = _terms(entry)
    if len(entry.times) != 2:
        raise _UnreadableError("times", f"{len(entry.times)} times instead of start and end")
    if not all(number.isdecimal() for number in entry.times):
        raise _UnreadableError("times", "start and end must be whole numbers, 0 or more")
    start, end = map(int, entry.times)
    try:
        return Event(agent=agent, predicate=predicate, target=target, start=start, end=end)
    except ValidationError as error:
        raise _UnreadableError("times", error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _triplet_or_attribute(entry: Tuple) -> Triplet | Attribute:
    if not entry.whole:
        raise _UnreadableError("cut-off", "the last bracket is missing")
    if len(entry.pieces) not in (2, TERMS):
        detail = f"{len(entry.pieces)} terms instead of subject, predicate and object, or object and attribute"
        raise _UnreadableError("terms", detail)
    terms = _terms(entry)
    try:
        if len(terms) == 2:
            return Attribute(object=terms[0], attribute=terms[1])
        return Triplet(subject=terms[0], predicate=terms[1], object=terms[2])
    except ValidationError as error:
        raise _UnreadableError("terms", error.errors()[0]["msg"]) from None


def _problem(entry: Tuple, error: _UnreadableError) -> Problem:
    written = ", ".join([*entry.pieces, *entry.times])
    return Problem(error.kind, entry.line, f"{error}: {printable(' '.join(written[:_MOST_SHOWN].split()))}")


def _all_problems(text: str, problems: list[Problem], found: bool) -> tuple[Problem, ...]:
    if len(text) > MOST_CHARACTERS:
        problems.insert(0, Problem("oversize", 1, f"only the first {MOST_CHARACTERS} characters were read"))
    if not found and not problems and any(character.isalnum() for character in text):
        problems.append(Problem("nothing", 1, "there is nothing in brackets"))
    return tuple(problems[:_MOST_PROBLEMS])


def format_event(event: Event) -> str:
    """An event as `parse_events` reads it."""
    return f"({event.agent}, {event.predicate}, {event.target}, ({event.start}v, {event.end}v))"


def format_events(events: Iterable[Event]) -> str:
    """Events, one a line."""
    return "\n".join(map(format_event, events))


def format_item(item: Triplet | Attribute) -> str:
    """A triplet or attribute as `parse_triplets` reads it."""
    if isinstance(item, Triplet):
        return f"({item.subject}, {item.predicate}, {item.object})"
    return f"({item.object}, {item.attribute})"


def format_graph(graph: SceneGraph) -> str:
    """The triplets and attributes of a scene graph, one a line; an object that has none of them is not shown."""
    items: tuple[Triplet | Attribute, ...] = (*graph.triplets, *graph.attributes)
    return "\n".join(map(format_item, items))
