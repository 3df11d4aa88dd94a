"""Where objects of one frame stand to each other, as triplets: "red car" "left of" "blue dog"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

from tasks.dysen.graphs.dynamic_scene_graph import Triplet

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) as fractions of the canvas: x grows to the right, y downwards."""

LEAST_DISTANCE = 0.1
SPATIAL_PREDICATES = frozenset({"left of", "right of", "above", "below"})


def spatial_triplets(boxes: Mapping[str, Box]) -> tuple[Triplet, ...]:
    """At most one triplet for each pair of objects, from the one whose name sorts first to the other, in order of names.

    The direction of the larger difference of the centres tells the predicate; sideways if both are equal. Centres closer
    to each other than `LEAST_DISTANCE` have none, and neither has a box with NaN or infinity in it.

    Args:
        boxes: where each object is, by its name.

    Raises:
        ValidationError: a name is no term.
    """
    centres = {name: ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for name, box in sorted(boxes.items())}
    found = []
    for (one, (one_x, one_y)), (other, (other_x, other_y)) in combinations(centres.items(), 2):
        predicate = _predicate(one_x - other_x, one_y - other_y)
        if predicate:
            found.append(Triplet(subject=one, predicate=predicate, object=other))
    return tuple(found)


def _predicate(right: float, down: float) -> str:
    """The predicate of an object this far from another one; an empty string if it is too near."""
    if not LEAST_DISTANCE <= math.hypot(right, down) < math.inf:
        return ""
    if abs(right) >= abs(down):
        return "left of" if right < 0 else "right of"
    return "above" if down < 0 else "below"
