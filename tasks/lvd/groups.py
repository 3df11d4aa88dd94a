"""From a scene's objects to groups of boxes: who waits for whom, where each is at home, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.captions.scene import Place, SceneDescription, SceneObject
from tasks.lvd.layout import MOST_OBJECTS
from tasks.lvd.places import FREE, REGIONS, SIDES, Axis

_MOST_IN_A_ROW = 4


@dataclass(frozen=True)
class Group:
    """All boxes of one object of the scene.

    Attributes:
        index: which object of the scene it is.
        item: that object.
        count: how many boxes it gets; fewer than `item.count` if the scene has too many.
        places: its places, without those that lead round in a circle.
        home: where it is when no place says so.
        cell: share of the canvas (width, height) that is meant for it then.
        lean: direction (x, y) in which its regions make way for what is to be beside it, -1..1.
    """

    index: int
    item: SceneObject
    count: int
    places: tuple[Place, ...]
    home: tuple[Axis, Axis]
    cell: tuple[float, float]
    lean: tuple[float, float]

    @property
    def waits_for(self) -> set[int]:
        """The objects that it is placed beside."""
        return {place.of for place in self.places if place.of is not None}

    @property
    def freedom(self) -> int:
        """How many axes are left open; what is bound more is placed first."""
        if not self.places:
            return 2
        return max(sum(axis.is_free for axis in REGIONS[place.region]) if place.region else 0 for place in self.places)


def groups_of(scene: SceneDescription) -> list[Group]:
    """The groups in an order in which each comes after those that it is placed beside."""
    places, order = _without_circles(scene.objects)
    counts = _counts(scene.objects)
    needs = _needs(scene.objects, places, order)
    at_home = [index for index, own in enumerate(places) if not own and not any(needs[index])]
    groups = []
    for index, item in enumerate(scene.objects):
        home, cell = _home(needs[index]), (1.0, 1.0)
        if index in at_home:
            home, cell = _cell(at_home.index(index), len(at_home))
        before_x, after_x, before_y, after_y = needs[index]
        lean = (_sign(before_x - after_x), _sign(before_y - after_y))
        groups.append(Group(index, item, counts[index], places[index], home, cell, lean))
    return in_order(groups, [])


def in_order(groups: Sequence[Group], first: Sequence[int]) -> list[Group]:
    """Groups after those that they wait for; the objects in `first` as early as possible, then what is bound more."""
    early = {index: number for number, index in enumerate(first)}
    left = sorted(groups, key=lambda group: (early.get(group.index, len(early)), group.freedom, group.index))
    of_index = {group.index: group for group in groups}
    ordered: list[Group] = []
    done: set[int] = set()

    def add(group: Group) -> None:
        for index in sorted(group.waits_for - done):
            add(of_index[index])
        if group.index not in done:
            done.add(group.index)
            ordered.append(group)

    for group in left:
        add(group)
    return ordered


def _sign(value: float) -> float:
    return float((value > 0) - (value < 0))


def _counts(objects: Sequence[SceneObject]) -> list[int]:
    """Boxes of each object: all, or with more than `MOST_OBJECTS` in the scene, as many as each may have at most."""
    counts = [item.count for item in objects]
    while sum(counts) > MOST_OBJECTS:
        most = max(counts)
        counts[len(counts) - 1 - counts[::-1].index(most)] -= 1
    return counts


def _without_circles(objects: Sequence[SceneObject]) -> tuple[list[tuple[Place, ...]], list[int]]:
    """Places of each object, and an order in which they can be found.

    Where objects wait for each other, the one with the fewest such places loses those that nobody can answer yet.
    """
    places = [item.places for item in objects]
    order: list[int] = []
    while len(order) < len(objects):
        waiting = [index for index in range(len(objects)) if index not in order]
        open_places = {
            index: [place for place in places[index] if place.of is not None and place.of not in order] for index in waiting
        }
        index = min(waiting, key=lambda index: (len(open_places[index]), index))
        places[index] = tuple(place for place in places[index] if place not in open_places[index])
        order.append(index)
    return places, order


def _needs(objects: Sequence[SceneObject], places: Sequence[tuple[Place, ...]], order: Sequence[int]) -> list[list[int]]:
    """How many are to stand in a row to the left, right, above and below each object; a flight needs room above it."""
    needs = [[0, 0, 0, 0] for _ in places]
    for index in reversed(order):
        for place in places[index]:
            if place.of is not None and place.side is not None:
                axis, direction = SIDES[place.side]
                number = 2 * axis + (direction > 0)
                needs[place.of][number] = max(needs[place.of][number], needs[index][number] + 1)
                if objects[index].motion in ("jump", "fall", "bounce"):
                    needs[place.of][2] = max(needs[place.of][2], 1)
    return needs


def _home(needs: Sequence[int]) -> tuple[Axis, Axis]:
    """Anywhere, with room for those that are to be beside it."""
    before_x, after_x, before_y, after_y = needs
    across = (before_x + 0.5) / (before_x + after_x + 1)
    down = (before_y + 0.5) / (before_y + after_y + 1)
    return FREE._replace(target=across), FREE._replace(target=down)


def _cell(number: int, total: int) -> tuple[tuple[Axis, Axis], tuple[float, float]]:
    """The home of one of `total` groups without places, and its share of the canvas: cells of a grid, row by row."""
    columns = total if total <= _MOST_IN_A_ROW else -(-total // -(-total // _MOST_IN_A_ROW))
    rows = -(-total // columns)
    row, column = divmod(number, columns)
    in_row = min(columns, total - row * columns)
    home = FREE._replace(target=(column + 0.5) / in_row), FREE._replace(target=(row + 0.5) / rows)
    return home, (1 / columns, 1 / rows)
