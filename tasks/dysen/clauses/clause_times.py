"""From actions in their order to what each agent does from which tick to which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tasks.dysen.clauses.clause_actions import Action
from tasks.dysen.clauses.clause_entities import Entity
from tasks.dysen.clauses.clause_predicates import APPEAR, DISAPPEAR, SCENE, STAY, Part, is_visibility, legs_of, parts_of
from tasks.dysen.clauses.clause_steps import Presence, Ticks, Timing


class TimedPart(NamedTuple):
    """What an agent does in the ticks from `start` to `end`."""

    agent: str
    part: Part
    start: int
    end: int


def timed_parts(actions: Sequence[Action], entities: Sequence[Entity], last: int) -> Iterator[TimedPart]:
    """What is told of each agent of a video from tick 0 to `last`; an agent of which nothing is told stays in the scene."""
    timing = Timing(actions, last)
    acting: dict[int, list[Action]] = {}
    for action in timing.actions:
        for agent in action.agents:
            acting.setdefault(agent, []).append(action)
    for agent, told in acting.items():
        name = entities[agent].name
        presence = timing.presence(agent, told)
        doing = [timed for action in told for timed in _doing(action, agent, entities, timing, presence)]
        coming = _coming(presence, last, staying=not doing)
        yield from (TimedPart(name, part, *ticks) for part, ticks in (*doing, *coming))


def _doing(
    action: Action, agent: int, entities: Sequence[Entity], timing: Timing, presence: Presence
) -> Iterator[tuple[Part, Ticks]]:
    start, end = timing.ticks(action, agent)
    if is_visibility(action) and action.kind in {"appear", "vanish"}:
        at = presence.start if action.kind == "appear" else presence.end
        start = min(at, timing.last - 1)
        end = start + 1
    for part in parts_of(action, entities):
        yield part, (start, end)
    legs = legs_of(action)
    for number, leg in enumerate(legs):
        begin, reached = (start + round((end - start) * passed / len(legs)) for passed in (number, number + 1))
        yield leg, timing.within(agent, begin, reached)


def _coming(presence: Presence, last: int, *, staying: bool) -> Iterator[tuple[Part, Ticks]]:
    """Appearing, staying and disappearing; each takes one tick at least, within the video."""
    start, end = presence.start, min(presence.end, last - 1 if presence.vanishes else last)
    if presence.appears:
        yield Part(APPEAR, SCENE), (start, start + 1)
    if staying and start < end:
        yield Part(STAY, SCENE), (start, end)
    if presence.vanishes:
        yield Part(DISAPPEAR, SCENE), (end, end + 1)
