"""From actions to predicates and targets, in the words of events: "put" a bottle, "put in" a bag, "stay in" the scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.captions import english
from tasks.captions.caption_phrases import Vector
from tasks.dysen.clauses.clause_actions import Action
from tasks.dysen.clauses.clause_entities import Entity

SCENE = "scene"
STAY, APPEAR, DISAPPEAR = "stay in", "appear in", "disappear from"
_ARRIVALS = english.words("arrive pop surface reveal arise depart")
_STATES = english.words("stand wear have be hide hold wait")
_POSTURES = english.words("travel stand rise sink fall jump enter leave bounce cross approach return")
_TO = {"to": "to", "toward": "to", "via": "through", "along": "along"}
_WHOLE_WAYS = frozenset({"across", "into", "in"})


class Part(NamedTuple):
    """A predicate and its target; parts of one action hold at the same time, but for its legs, which follow each other."""

    predicate: str
    target: str


def is_visibility(action: Action) -> bool:
    """Whether it tells when something is seen, rather than what it does."""
    if action.state in {"shown", "hidden"}:
        return True
    if action.kind == "show" and action.verb is not None and (action.verb.passive or action.lemma == "show"):
        return not action.relations and not action.objects
    return action.kind in {"appear", "vanish"} and (bool(action.times) or action.lemma not in _ARRIVALS)


def is_state(action: Action) -> bool:
    """Whether it lasts beside what else its agent does: "sitting", "wearing"."""
    return (action.verb is None or action.kind in _STATES or action.state == "still") and not (
        action.particle and action.kind == "stand"
    )


def changes_posture(action: Action) -> bool:
    """Whether it ends what its agent's posture was: who walks away sits no more."""
    return action.kind in _POSTURES or (action.particle == "up" and action.kind == "become")


def is_mere_place(action: Action) -> bool:
    """Whether it only tells in which region something is."""
    return bool(action.places) and _base(action) == ""


def place_name(vector: Vector) -> str:
    """A region of the canvas: "right", "upper left"."""
    return english.REGIONS[vector]


def parts_of(action: Action, entities: Sequence[Entity]) -> list[Part]:
    """What an action tells of each of its agents, but for its legs."""
    base = _base(action)
    parts = [Part(base or "be", entities[index].name) for index in action.objects]
    parts += [Part(f"{base} {preposition}".strip(), entities[index].name) for preposition, index in action.relations]
    for place in action.places:
        if place.role == "at" and place.vector is not None:
            preposition = _at(place.vector) if place.explicit or not base else ""  # "reaches the left edge"
            parts.append(Part(f"{base} {preposition}".strip(), place_name(place.vector)))
    if is_visibility(action) or base == "" or parts or legs_of(action):
        return parts
    return [Part(base if action.particle in _WHOLE_WAYS else f"{base} in", SCENE)]


def legs_of(action: Action) -> list[Part]:
    """The regions that an action leads to, in order; where it comes from only if that is all that is told."""
    base = _base(action)
    if not base:
        return []
    led = [place for place in action.places if place.role != "at"]
    reached = [place for place in led if place.role != "from"]
    return [
        Part(f"{base} {_TO.get(place.role, 'from')}", place_name(place.vector))
        for place in reached or led
        if place.vector is not None
    ]


def _base(action: Action) -> str:
    """The verb of a predicate; empty for mere being."""
    if action.state == "still":
        return "stay"
    verb = action.verb
    if verb is None or (verb.kind == "be" and verb.aspect == ""):
        return ""
    lemma = verb.aspect if verb.aspect in {"stop", "wait"} else verb.lemma
    return f"{lemma} {action.particle}".strip()


def _at(vector: Vector) -> str:
    x, y = vector
    return "in" if bool(x) == bool(y) else "on" if x else "at"
