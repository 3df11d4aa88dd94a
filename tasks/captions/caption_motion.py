"""From the clauses of one object to its motion and the places on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.captions.caption_clauses import Clause, Spot
from tasks.captions.caption_way import Station, Way
from tasks.captions.clause_motion import in_order, motion_of
from tasks.captions.scene import Motion

MOST_PLACES = 12
_GOALS = frozenset({"to", "toward"})


def find_way(clauses: Sequence[Clause], modifiers: Sequence[Motion | None]) -> tuple[Motion, list[Station]]:
    """Motion and places of an object.

    Args:
        clauses: all clauses that have it as a subject.
        modifiers: what participles before its name say ("a rolling barrel").
    """
    ordered = in_order(clauses)
    kinds = [kind for kind in [*modifiers, *map(motion_of, ordered)] if kind is not None]
    special = next((kind for kind in reversed(kinds) if kind != "travel"), None)
    spots = [spot for clause in ordered for spot in clause.places]
    aimed = any(spot.role in _GOALS for spot in spots)
    way = Way()
    for number, clause in enumerate(ordered):
        if clause.target is not None and not clause.places and _tells_sides(ordered[number + 1 :], clause.target):
            continue  # "passes a lion, going from its left to its right"
        way.follow(_only_start(clause, way) if special == clause.kind == "fall" else clause)
    if kinds and special not in {"fall", "bounce"}:
        way.close()
    stations = way.stations[:MOST_PLACES]
    match special:
        case "bounce" if aimed and len(stations) == 1:
            return special, [stations[0].opposite, stations[0]]
        case "approach" | "recede":
            only_goals = bool(spots) and all(spot.role in _GOALS for spot in spots)
            return special, [] if only_goals else stations[:1]
        case "jump" if aimed or len(stations) > 1:
            return "travel", stations
        case "fall" if len(stations) > 2:
            return "travel", stations
        case None:
            return ("travel" if kinds or len(stations) > 1 else "still"), stations
    return special, stations


def _tells_sides(clauses: Sequence[Clause], target: int) -> bool:
    return any(spot.of == target for clause in clauses for spot in clause.places)


def _only_start(clause: Clause, way: Way) -> Clause:
    """A fall begins at its first place: where it ends only counts if its start is told too."""
    started = bool(way.stations) or any(spot.role == "from" for spot in clause.places)
    kept: list[Spot] = [spot for spot in clause.places if spot.role in {"from", "at"} or (started and spot.role != "toward")]
    return replace(clause, spots=list(kept))
