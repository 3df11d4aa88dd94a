"""The ticks of actions: those of a group share the time of the video in the order of their steps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.captions.caption_clauses import Clause
from tasks.captions.caption_phrases import Verb, When
from tasks.captions.caption_spans import visible_span
from tasks.dysen.clauses.clause_actions import Action
from tasks.dysen.clauses.clause_predicates import changes_posture, is_mere_place, is_state, is_visibility, legs_of

Ticks = tuple[int, int]


class Presence(NamedTuple):
    """Where an agent is seen: from tick `start` on, up to the one before `end`; and whether it comes and goes then."""

    start: int
    end: int
    appears: bool
    vanishes: bool


class Timing:
    """Times of the actions of one caption; the video lasts from tick 0 to `last`."""

    def __init__(self, actions: Sequence[Action], last: int) -> None:
        self.last = last
        self.actions = [action for action in actions if action.agents and not action.negated]
        self._seen = self._told_presence(actions)
        self._members: dict[int, set[int]] = {}
        self._turns: dict[tuple[int, int], list[Action]] = {}
        self._movers: set[int] = set()
        for action in sorted(self.actions, key=lambda action: action.step):
            self._members.setdefault(action.group, set()).update(action.agents)
            if changes_posture(action):
                for agent in action.agents:
                    self._turns.setdefault((action.group, agent), []).append(action)
            if legs_of(action):
                self._movers.update(action.agents)
        self._slots = self._find_slots()

    # ---- when agents are there

    def _told_presence(self, actions: Iterable[Action]) -> dict[int, Presence]:
        """The presence of agents of which a caption tells at what times they are seen."""
        told: dict[int, list[Clause]] = {}
        for action in actions:
            if is_visibility(action) and (action.times or action.hidden_times):
                for agent in action.agents:
                    told.setdefault(agent, []).append(_clause(action))
        ticks = self.last + 1
        found = {}
        for agent, clauses in told.items():
            span = visible_span(clauses)
            start = min(int(ticks * span.start), self.last - 1)
            end = max(int(ticks * span.end), start + 1)
            found[agent] = Presence(start, end, start > 0, end <= self.last)
        return found

    def presence(self, agent: int, actions: Iterable[Action]) -> Presence:
        """When an agent is seen: as told, or from where it appears to where it disappears in the order of its actions."""
        if agent in self._seen:
            return self._seen[agent]
        found = Presence(0, self.last + 1, False, False)
        for action in actions:
            if is_visibility(action) and action.kind in {"appear", "vanish"}:
                at = self._step_ticks(action, agent)[0]
                if action.kind == "appear":
                    found = found._replace(start=at, appears=True)
                else:
                    found = found._replace(end=at or (self.last + 1) // 2, vanishes=True)
        return found

    def within(self, agent: int, start: int, end: int) -> Ticks:
        """A span of at least one tick, while the agent is there."""
        first, last = self._range(agent)
        start = min(max(start, first), last - 1)
        return start, max(min(end, last), start + 1)

    def _range(self, agent: int) -> Ticks:
        seen = self._seen.get(agent)
        return (seen.start, min(seen.end, self.last)) if seen else (0, self.last)

    # ---- when they act

    def _find_slots(self) -> dict[int, list[float]]:
        """The steps of each group that share its time: a state that nothing precedes or ends has all of it instead."""
        slots: dict[int, set[float]] = {}
        acted: set[tuple[int, int]] = set()
        for action in sorted(self.actions, key=lambda action: action.step):
            keys = [(action.group, agent) for agent in action.agents]
            lasting = is_state(action) or is_visibility(action)
            ordered = action.follows or any(key in acted or self._next_turn(action, key[1]) for key in keys)
            if not action.times and action.group >= 0 and (ordered or not lasting):
                slots.setdefault(action.group, set()).add(action.step)
                acted.update(keys)
        return {group: sorted(steps) for group, steps in slots.items()}

    def _next_turn(self, action: Action, agent: int) -> Action | None:
        """The next action that ends this one, if this is a posture."""
        if action.kind != "stand":
            return None
        turns = self._turns.get((action.group, agent), [])
        place = bisect_right(turns, action.step, key=lambda turn: turn.step)
        return turns[place] if place < len(turns) else None

    def _step_ticks(self, action: Action, agent: int) -> Ticks:
        """An equal share of the time for the action's step, or all if it has no step of its own."""
        alone = len(self._members.get(action.group, ())) == 1
        start, end = self._range(agent) if alone else (0, self.last)
        steps = self._slots.get(action.group, [])
        place = bisect_left(steps, action.step)
        if place < len(steps) and steps[place] == action.step:
            length = end - start
            start, end = start + round(length * place / len(steps)), start + round(length * (place + 1) / len(steps))
        return self.within(agent, start, end)

    def _timed(self, action: Action, agent: int) -> Ticks:
        if not action.times:
            return self._step_ticks(action, agent)
        spans = [_span(when) for when in action.times]
        start, end = max(span[0] for span in spans), min(span[1] for span in spans)
        return self.within(agent, round(self.last * start), round(self.last * end))

    def ticks(self, action: Action, agent: int) -> Ticks:
        """When an agent does what the action tells."""
        start, end = self._timed(action, agent)
        if is_mere_place(action) and agent in self._movers:
            return start, start + 1
        if is_state(action) and not action.times:
            turn = self._next_turn(action, agent)
            end = self._range(agent)[1] if turn is None else self._timed(turn, agent)[0]
        return start, max(end, start + 1)


def _clause(action: Action) -> Clause:
    """An action as the reader of visible spans wants it."""
    verb = action.verb
    if verb is None or verb.kind == "show":
        verb = Verb("be", "be", "finite", negated=action.negated)
    state = action.state if action.state in {"shown", "hidden"} else ""
    times, hidden = list(action.times), list(action.hidden_times)
    return Clause(list(action.agents), verb=verb, times=times, hidden_times=hidden, state=state, negated=action.negated)


def _span(when: When) -> tuple[float, float]:
    """The part of the video that a time means."""
    match when.relation:
        case "after" | "from":
            return (when.end if when.relation == "after" and when.end < 1 else when.start), 1.0
        case "before" | "until":
            return 0.0, when.start or when.end
    return when.start, when.end
