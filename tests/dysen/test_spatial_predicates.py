"""Directions between the boxes of one frame."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dysen.checks.predicate_conflicts import conflicts
from tasks.dysen.graphs.dynamic_scene_graph import Triplet
from tasks.dysen.graphs.spatial_predicates import LEAST_DISTANCE, SPATIAL_PREDICATES, Box, spatial_triplets

_OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
_NAMES = st.sampled_from(["red car", "blue dog", "green ball", "white cat", "pink bird"])
_BOXES = st.builds(
    lambda x, y, width, height: (x, y, x + width, y + height), *([st.floats(0, 1)] * 2), *([st.floats(0.01, 0.4)] * 2)
)


def _at(x: float, y: float, side: float = 0.2) -> Box:
    return (x - side / 2, y - side / 2, x + side / 2, y + side / 2)


@pytest.mark.parametrize(
    ("first", "second", "predicate"),
    [
        ((0.2, 0.5), (0.8, 0.5), "left of"),
        ((0.8, 0.5), (0.2, 0.5), "right of"),
        ((0.5, 0.2), (0.5, 0.8), "above"),
        ((0.5, 0.8), (0.5, 0.2), "below"),
        ((0.25, 0.25), (0.75, 0.75), "left of"),  # as far down as sideways
        ((0.2, 0.3), (0.5, 0.75), "above"),
        ((0.5, 0.5), (0.625, 0.5), "left of"),
    ],
)
def test_the_larger_difference_of_the_centres_tells_the_direction(
    first: tuple[float, float], second: tuple[float, float], predicate: str
) -> None:
    boxes = {"cat": _at(*second), "ball": _at(*first)}
    assert spatial_triplets(boxes) == (Triplet(subject="ball", predicate=predicate, object="cat"),)


@pytest.mark.parametrize(
    "second", [(0.5, 0.5), (0.56, 0.56), (0.5, 0.59), (math.nan, 0.9), (math.inf, 0.9), (0.5, math.nan)]
)
def test_objects_at_one_place_or_at_none_have_no_direction(second: tuple[float, float]) -> None:
    assert spatial_triplets({"ball": _at(0.5, 0.5), "cat": _at(*second)}) == ()


def test_three_objects_have_three_pairs_in_the_order_of_names() -> None:
    found = spatial_triplets({"c": _at(0.9, 0.5), "a": _at(0.1, 0.5), "b": _at(0.1, 0.1)})
    assert [(item.subject, item.predicate, item.object) for item in found] == [
        ("a", "below", "b"),
        ("a", "left of", "c"),
        ("b", "left of", "c"),
    ]


@given(st.dictionaries(_NAMES, _BOXES, max_size=5), st.randoms())
def test_each_pair_has_one_direction_whatever_the_order_of_the_boxes(boxes: dict[str, Box], random: object) -> None:
    found = spatial_triplets(boxes)
    names = list(boxes)
    random.shuffle(names)  # type: ignore[attr-defined]
    assert spatial_triplets({name: boxes[name] for name in names}) == found
    assert {item.predicate for item in found} <= SPATIAL_PREDICATES
    assert all(item.subject < item.object for item in found)
    assert len({(item.subject, item.object) for item in found}) == len(found) <= len(boxes) * (len(boxes) - 1) / 2
    assert not any(conflicts(one, other) for one in found for other in found)


@given(_BOXES, _BOXES)
def test_boxes_that_change_places_turn_the_direction_round(one: Box, other: Box) -> None:
    there = spatial_triplets({"a": one, "b": other})
    back = spatial_triplets({"a": other, "b": one})
    assert [_OPPOSITE[item.predicate] for item in there] == [item.predicate for item in back]


@given(_BOXES, _BOXES)
def test_only_near_centres_have_no_direction(one: Box, other: Box) -> None:
    apart = math.dist(*((((box[0] + box[2]) / 2), (box[1] + box[3]) / 2) for box in (one, other)))
    assert bool(spatial_triplets({"a": one, "b": other})) == (apart >= LEAST_DISTANCE)
