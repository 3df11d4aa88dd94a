"""From the times in an object's clauses to the parts of the video in which it is seen and in which it moves."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.captions.caption_clauses import Clause
from tasks.captions.caption_phrases import When
from tasks.captions.clause_motion import in_order, motion_of
from tasks.captions.scene import WHOLE, Span

_SEEN = frozenset({"", "act", "be", "show", "appear", "enter", "stand", "have", "become", "wait", "begin", "hold", "wear"})
_Pair = tuple[float, float]


def visible_span(clauses: Sequence[Clause]) -> Span:
    """The part of the video in which an object can be seen."""
    several_places = sum(len(clause.spots) for clause in clauses) > 1
    several_times = sum(bool(clause.spots and clause.times) for clause in clauses) > 1
    moves = any(motion_of(clause) is not None for clause in clauses)
    told: list[_Pair] = []
    guessed: list[_Pair] = []
    vague: list[_Pair] = []
    for order, clause in enumerate(in_order(clauses)):
        ordering = clause.times and all(when.vague for when in clause.times)
        if clause.spots and several_places and not clause.only and (several_times or ordering or not clause.times):
            continue
        hidden = _tells_hidden(clause) if clause.kind != "wait" or clause.state or not moves else None
        if hidden is None:
            told.extend(_kept(when, event=False) for when in clause.hidden_times)
            continue
        event = clause.kind in {"vanish", "leave"}
        for when in clause.times:
            when = _resolved(when, told)
            (vague if when.vague else told).append(_kept(when, event=event) if hidden else _shown(when))
        told.extend(_kept(when, event=False) for when in clause.hidden_times)
        if not clause.times and not clause.hidden_times:
            if hidden and (event or clause.next or order):
                guessed.append((0.0, 0.5))
            elif clause.next and clause.kind in {"appear", "enter"} and not order:
                guessed.append((0.5, 1.0))
    return _span(_common(told or vague or guessed))


def _tells_hidden(clause: Clause) -> bool | None:
    """Whether a clause says that the object is not seen; none if it is not about being seen."""
    if clause.state in {"shown", "hidden"}:
        return clause.state == "hidden"
    if clause.kind == "hide":
        return not clause.spots
    if clause.kind == "vanish" and motion_of(clause) is not None:
        return None
    if clause.kind == "vanish" or (clause.kind == "leave" and not clause.spots):
        return not clause.negated
    if (
        clause.kind in _SEEN
        and (motion_of(clause) is None or clause.kind in {"appear", "enter"})
        and clause.state != "still"
    ):
        return clause.negated != (clause.aspect == "stop")
    return None


def _resolved(when: When, told: Sequence[_Pair]) -> When:
    """ "The rest" is what earlier times leave."""
    if not when.rest or not told:
        return when
    start, end = told[-1]
    return When("in", end, 1.0) if start == 0 else When("in", 0.0, start)


def _shown(when: When) -> _Pair:
    match when.relation:
        case "after":
            return when.end if when.end < 1 else when.start, 1.0
        case "from":
            return when.start, 1.0
        case "before":
            return 0.0, when.start or when.end
        case "until":
            return 0.0, (when.end if when.vague or not when.start else when.start)
    return (when.start, when.end) if when.start < when.end else (when.start, 1.0)


def _kept(when: When, *, event: bool) -> _Pair:
    """When an object is seen that vanishes (an event) or is absent at a time."""
    if when.relation in {"until", "before"}:
        point = when.start or when.end
        return (0.0, point) if event else (point, 1.0)
    if when.relation == "after":
        return 0.0, when.end if when.end < 1 else when.start
    if when.relation == "from" or when.start > 0:
        return 0.0, when.start
    if event:
        return 0.0, when.end / 2 if not when.vague else when.end
    return when.end, 1.0


def _common(pairs: Sequence[_Pair]) -> _Pair:
    """The common part of spans; what covers all of them if there is none."""
    if not pairs:
        return 0.0, 1.0
    start, end = max(p[0] for p in pairs), min(p[1] for p in pairs)
    return (start, end) if start < end else (min(p[0] for p in pairs), max(p[1] for p in pairs))


def _span(pair: _Pair) -> Span:
    start, end = max(0.0, pair[0]), min(1.0, pair[1])
    return Span(start=start, end=end) if start < end else WHOLE


def moving_span(clauses: Sequence[Clause]) -> Span:
    """The part of the video in which an object moves."""
    told: list[_Pair] = []
    start, end = 0.0, 1.0
    moved = False
    ordered = in_order(clauses)
    several_times = sum(bool(clause.spots and clause.times) for clause in clauses) > 1
    for order, clause in enumerate(ordered):
        times = [when for when in clause.times if not (when.vague and clause.spots)]
        if motion_of(clause) is not None and not (clause.kind in {"appear", "enter"} or clause.state == "shown"):
            told.extend(_shown(when) for when in times if not several_times)
            moved = True
        elif _stops(clause) and moved:
            end = min(end, times[0].start or times[0].end if times else 0.5)
        elif _waits(clause) and any(motion_of(later) for later in ordered[order + 1 :]):
            start = max(
                start, _shown(times[0])[1] if times and times[0].start < times[0].end else times[0].end if times else 0.5
            )
    first, last = (min(p[0] for p in told), max(p[1] for p in told)) if told else (0.0, 1.0)
    return _span((max(first, start), min(last, end)))


def _stops(clause: Clause) -> bool:
    return clause.kind in {"stop", "wait"} or clause.aspect == "stop" or clause.state == "still"


def _waits(clause: Clause) -> bool:
    return clause.kind == "wait" or clause.aspect == "wait" or clause.state == "still"
