"""What kind of motion a clause tells of, and the order of clauses in time."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.captions import english
from tasks.captions.caption_clauses import Clause
from tasks.captions.scene import Motion

TRAVELS = english.words("travel rise sink cross pass chase enter leave reach return circle send")
SPECIAL: dict[str, Motion] = {
    "fall": "fall", "bounce": "bounce", "throw": "bounce", "jump": "jump", "approach": "approach", "recede": "recede",
    "swell": "approach", "shrink": "recede",
}  # fmt: skip
_STANDING = english.words("stand be show wait have hold")


def motion_of(clause: Clause) -> Motion | None:
    """The kind of motion that a clause tells of; none if it tells of none."""
    if clause.negated or clause.state == "still" or clause.aspect == "stop" or clause.kind in {"wait", "stop"}:
        return None
    kind, courses = clause.kind, clause.courses
    if "nearer" in courses:
        return "approach"
    if "farther" in courses or ("away" in courses and (kind in TRAVELS or kind in SPECIAL)):
        return "recede"
    if kind in SPECIAL:
        return _special(clause)
    if kind in TRAVELS or kind == "stir":
        return "travel" if kind not in {"enter", "leave"} or clause.spots else None
    roles = {spot.role for spot in clause.places}
    goes = bool(kind) and kind not in _STANDING and bool(roles & {"to", "toward", "via"})
    comes = "from" in roles and kind in {"appear", "show", ""}
    return "travel" if goes or comes or courses - {"opposite"} else None


def _special(clause: Clause) -> Motion | None:
    verb = clause.verb or clause.inherited
    if clause.kind == "throw" and not (verb and verb.passive):  # who throws does not fly
        return None
    motion = SPECIAL[clause.kind]
    to_object = any(spot.of is not None for spot in clause.places)
    return "travel" if motion in {"approach", "recede"} and to_object else motion


def in_order(clauses: Sequence[Clause]) -> list[Clause]:
    """Clauses in order of the time that they tell of."""
    positions: dict[int, float] = {}
    previous: Clause | None = None
    for clause in clauses:
        positions[id(clause)] = clause.position
        comes = len(clause.places) == len(clause.spots) > 0 and all(spot.role == "from" for spot in clause.places)
        verb = clause.verb
        if comes and previous is not None and verb is not None and (verb.form == "ing" or verb.lemma == "come"):
            positions[id(clause)] = positions[id(previous)] - 0.5  # "..., coming from the left"
        previous = clause
    return sorted(clauses, key=lambda clause: (_rank(clause), positions[id(clause)]))


def _rank(clause: Clause) -> int:
    """-1 for what is told of the beginning, 1 for the end."""
    vague = next((when for when in clause.times if when.vague and when.relation == "in"), None)
    if clause.rank or vague is None or not clause.spots:
        return clause.rank
    return -1 if vague.start == 0 else 1
