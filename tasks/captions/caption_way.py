"""The way of an object: places in order of time, collected clause by clause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.captions.caption_clauses import Clause, Spot
from tasks.captions.caption_phrases import Course, Vector
from tasks.captions.clause_motion import motion_of
from tasks.captions.scene import Side

_IMPLIED: dict[str, Vector] = {"rise": (0, -1), "sink": (0, 1)}
_OPPOSITE: dict[Side, Side] = {"left": "right", "right": "left", "above": "below", "below": "above"}
_AROUND: tuple[Side, ...] = ("above", "right", "below", "left", "above")
_LOOPS: dict[str, tuple[Vector, ...]] = {
    "shuttle": ((-1, 0), (1, 0), (-1, 0)),
    "bob": ((0, 1), (0, -1), (0, 1)),
    "vertical": ((0, 1), (0, -1)),
    "circle": ((0, -1), (1, 0), (0, 1), (-1, 0), (0, -1)),
}


@dataclass(frozen=True)
class Station:
    """A place on the way: a region, or a side of the object with the number `of`."""

    vector: Vector | None = None
    side: Side | None = None
    of: int | None = None

    @property
    def opposite(self) -> Station:
        """The place across from it."""
        if self.vector is not None:
            return Station((-self.vector[0], -self.vector[1]))
        return replace(self, side=_OPPOSITE[self.side or "left"])


class Way:
    """Collects `stations`, the places of an object."""

    def __init__(self) -> None:
        self.stations: list[Station] = []
        self._open = ""  # the kind of the clause that only said where it comes "from"

    def follow(self, clause: Clause) -> None:
        """Adds the places of one clause, those that it comes from first."""
        around = "circle" in clause.courses or (clause.kind == "circle")
        spots = _of_same(sorted(clause.spots, key=lambda spot: not (isinstance(spot, Spot) and spot.role == "from")))
        if clause.kind == "pass" or (clause.target is not None and (not around or clause.places)):
            self._pass(clause.target, [spot for spot in spots if isinstance(spot, Spot)])
            return
        if clause.kind == "circle" and "circle" not in clause.courses:
            self._course(Course("circle"), clause)
        rails = [
            spot.vector for spot in spots if isinstance(spot, Spot) and spot.role == "along" and spot.vector is not None
        ]
        moving = motion_of(clause) is not None
        across = "across" in clause.courses or clause.kind == "cross"
        aimed = False
        for spot in spots:
            if isinstance(spot, Course):
                aimed |= self._course(spot, clause)
            elif spot.role != "along" or len(spots) == 1:
                aimed |= self._place(spot, clause, rails, moving=moving, across=across)
        if across and not aimed:
            self._cross()
        if clause.kind in _IMPLIED and moving and not aimed:
            self._imply(_IMPLIED[clause.kind], placed=bool(spots))

    def close(self) -> None:
        """A way that only has a start leads to the other side, or to the centre if it only enters."""
        if self._open and len(self.stations) == 1:
            last = self.stations[-1]
            inside = self._open in {"enter", "appear", "show"} and last.vector is not None
            self._append(Station((0, 0)) if inside else last.opposite)

    def _append(self, *stations: Station) -> None:
        for station in stations:
            if not self.stations or self.stations[-1] != station:
                self.stations.append(station)

    def _place(self, spot: Spot, clause: Clause, rails: Sequence[Vector], *, moving: bool, across: bool) -> bool:
        """Adds a place; tells whether it is one that the clause leads to."""
        station = Station(_railed(spot.vector, rails), spot.side, spot.of)
        goal = spot.role in {"to", "toward", "via"} or (spot.role == "along" and moving)
        goal &= moving or clause.kind not in {"be", "show", "have", "wait"}
        if rails and spot.role == "toward" and not self.stations and spot.vector is not None:  # "down the right edge"
            self._append(Station(_railed((-spot.vector[0], -spot.vector[1]), rails)))
        if goal and across and not self.stations and spot.role != "via":
            self._append(station.opposite)
        self._go(station, spot, goal=goal, moving=moving)
        if spot.role == "from":
            self._open = clause.kind or "travel"
        elif goal:
            self._open = ""
        return goal or (moving and (len(self.stations) > 1 or spot.of is not None))

    def _go(self, station: Station, spot: Spot, *, goal: bool, moving: bool) -> None:
        last, vector = self.stations[-1] if self.stations else None, station.vector
        if last is not None and vector is not None:
            if last.vector is None:
                if goal and not spot.named and vector[0]:  # "from the left of a horse to the right"
                    station = Station(None, "left" if vector[0] < 0 else "right", last.of)
            elif goal:
                station = Station(_turned(last.vector, vector, spot))
            elif _contains(last.vector, vector) and (spot.role == "from" or not moving):
                return
        self._append(station)

    def _pass(self, target: int | None, spots: Sequence[Spot]) -> None:
        """From one side of the passed object to the other."""
        of = target if target is not None else next((spot.of for spot in spots if spot.of is not None), None)
        if of is None:
            for spot in spots:
                self._go(Station(spot.vector), spot, goal=True, moving=True)
            return
        told = [side for spot in spots if (side := _side(spot)) is not None]
        if len(told) > 1:
            first, last = told[0], told[-1]
        elif told:
            coming = any(spot.role == "from" for spot in spots)
            first, last = (told[0], _OPPOSITE[told[0]]) if coming else (_OPPOSITE[told[0]], told[0])
        else:
            first, last = "left", "right"
        self._append(Station(None, first, of), Station(None, last, of))

    def _course(self, course: Course, clause: Clause) -> bool:
        """Adds the places of a way without a named place; tells whether there are any."""
        if course.kind == "opposite":
            self._append(self.stations[-1].opposite if self.stations else Station((1, 0)))
        elif course.kind == "home" and self.stations:
            if len(self.stations) == 1:
                self.stations.insert(0, self.stations[0].opposite)
            self._append(self.stations[0])
        elif course.kind == "circle" and clause.target is not None:
            self._append(*(Station(None, side, clause.target) for side in _AROUND))
        elif course.kind in _LOOPS and not (course.kind == "bob" and clause.kind in {"jump", "bounce"}):
            self._append(*map(Station, _LOOPS[course.kind]))
        else:
            return False
        return True

    def _cross(self) -> None:
        last = self.stations[-1] if self.stations else Station((-1, 0))
        x, y = last.vector or (0, 0)
        self._append(last, Station((-x, y)) if x else last.opposite)
        self._open = ""

    def _imply(self, heading: Vector, *, placed: bool) -> None:
        """Adds where a verb such as "rises" leads."""
        last = self.stations[-1].vector if self.stations else None
        if last is None:
            self._append(Station(heading))
            return
        x, y = last
        level = placed and not self._open and y == 0 and len(self.stations) == 1
        if level:  # "rises on the left": all along the left
            self.stations[-1] = Station((x, -heading[1]))
        self._append(Station((x, -y if placed and self._open and y else heading[1])))
        self._open = ""


def _side(spot: Spot) -> Side | None:
    if spot.vector is None or not spot.vector[0]:
        return spot.side
    return "left" if spot.vector[0] < 0 else "right"


def _of_same(spots: Sequence[Spot | Course]) -> list[Spot | Course]:
    """In "from the left to the right of a horse" both are sides of the horse."""
    of = next((s.of for s in spots if isinstance(s, Spot) and s.of is not None and s.side in {"left", "right"}), None)
    found: list[Spot | Course] = []
    for spot in spots:
        if (
            of is not None
            and isinstance(spot, Spot)
            and spot.role == "from"
            and spot.of is None
            and not spot.named
            and _side(spot)
        ):
            spot = replace(spot, vector=None, side=_side(spot), of=of)
        found.append(spot)
    return found


def _railed(vector: Vector | None, rails: Sequence[Vector]) -> Vector | None:
    """A place along an edge: the left of the bottom edge is the lower left."""
    if vector is None or not rails:
        return vector
    return (vector[0] or rails[0][0], vector[1] or rails[0][1])


def _contains(corner: Vector, part: Vector) -> bool:
    """Whether a region lies within another, such as the upper left within the left."""
    return part != (0, 0) and all(p in (0, c) for c, p in zip(corner, part, strict=True))


def _turned(last: Vector, goal: Vector, spot: Spot) -> Vector:
    """Where a heading leads from a place: to the right of the lower left is the lower right."""
    straight = (goal[0] == 0) != (goal[1] == 0)
    if straight and not spot.named and (spot.role == "toward" or all(last)):
        return (goal[0] or last[0], goal[1] or last[1])
    return goal
