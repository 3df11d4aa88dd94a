"""The published rules with their oddities, and the strict ones without."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.lvd import rules, strict_rules
from tasks.lvd.expectations import (
    Attribution,
    Expectation,
    Numeracy,
    OneDirection,
    Quadrant,
    Side,
    TwoDirections,
    Visibility,
)
from tasks.lvd.expectations import Sequence as Tour
from tasks.lvd.layout import DynamicSceneLayout
from tests.lvd.layouts_for_tests import (
    Box,
    along,
    boxes_anywhere,
    boxes_inside,
    layout,
    layouts_of,
    mirrored,
    only_in,
    still,
)

Objects = Sequence[tuple[str, Sequence[Box | None]]]
BOX = (100, 100, 50, 50)
OTHER_BOX = (300, 100, 50, 50)
EMPTY = (100, 100, 0, 50)
OUTSIDE = (600, 100, 50, 50)
LEFT_OUTSIDE = (-50, 100, 50, 50)


def verdicts(expectation: Expectation, objects: Objects) -> tuple[bool, bool]:
    """Published and strict."""
    found = layout(*objects)
    return rules.passes(expectation, found), strict_rules.passes(expectation, found)


TWO_CARS = Numeracy(object="car", count=2)


@pytest.mark.parametrize(
    ("objects", "published", "strict"),
    [
        ([("car 1", still()), ("car 2", still(OTHER_BOX))], True, True),
        ([("moving car", still()), ("Cars", still(OTHER_BOX))], True, True),
        ([("car", still())], False, False),
        ([("car", still())] * 3, False, False),
        ([], False, False),
        ([("car", still()), ("cat", still(OTHER_BOX))], True, False),
        ([("car", still()), ("car", still()), ("cat", still(OTHER_BOX))], False, True),
        ([("car", still()), ("car", only_in({0, 1, 2, 3}))], True, True),
        ([("car", still()), ("car", only_in({0, 1, 2}))], False, False),
        ([("car", still()), ("car", still()), ("car", only_in({0, 1, 2}))], True, False),
        ([("car", still()), ("car", still(EMPTY))], True, False),
        ([("car", still()), ("car", still(OUTSIDE))], True, False),
        ([("car", still()), ("car", still(LEFT_OUTSIDE))], False, False),
        ([("car", still()), ("car", still((511, 511, 50, 50)))], True, True),
        ([("car", still()), ("car", still((511, 100, 1, 1)))], True, True),
    ],
)
def test_numeracy(objects: Objects, published: bool, strict: bool) -> None:
    assert verdicts(TWO_CARS, objects) == (published, strict)


def test_ties_in_counts_go_to_the_smaller_number() -> None:
    objects = [("car", still()), ("car", only_in({0, 1, 2}, OTHER_BOX))]
    assert verdicts(Numeracy(object="car", count=1), objects) == (True, False)


RED_CAR, BLUE_DOG = ("red car", still()), ("blue dog", still(OTHER_BOX))


@pytest.mark.parametrize(
    ("objects", "published", "strict"),
    [
        ([RED_CAR, BLUE_DOG], True, True),
        ([("a red car", still()), ("Blue dog 1", still(OTHER_BOX))], False, True),
        ([("shared car", still()), BLUE_DOG], True, False),
        ([RED_CAR], False, False),
        ([("red cat", still()), BLUE_DOG], False, False),
        ([("blue car", still()), ("red dog", still(OTHER_BOX))], False, False),
        ([RED_CAR, ("blue dog", only_in({0, 2, 4}, OTHER_BOX))], True, True),
        ([RED_CAR, ("blue dog", only_in({0, 4}, OTHER_BOX))], False, False),
        ([RED_CAR, BLUE_DOG, ("red dog", still((0, 0, 9, 9)))], True, False),
        ([RED_CAR, BLUE_DOG, ("red car", still((0, 0, 9, 9)))], True, False),
        ([RED_CAR, BLUE_DOG, ("tree", still((0, 0, 9, 9)))], True, True),
        ([RED_CAR, BLUE_DOG, ("red dog", still(OUTSIDE))], True, True),
        ([RED_CAR, ("blue dog", still(BOX))], True, False),
        ([RED_CAR, ("blue dog", still(OUTSIDE))], True, False),
        ([("red car and blue dog", still())], True, False),
    ],
)
def test_attribution(objects: Objects, published: bool, strict: bool) -> None:
    expectation = Attribution(pairs=(("red", "car"), ("blue", "dog")))
    assert verdicts(expectation, objects) == (published, strict)
    assert verdicts(expectation, list(reversed(objects))) == (published, strict)


def test_two_of_a_class_in_two_colours() -> None:
    expectation = Attribution(pairs=(("red", "car"), ("blue", "car")))
    assert verdicts(expectation, [RED_CAR, ("blue car", still(OTHER_BOX))]) == (True, True)
    assert verdicts(expectation, [RED_CAR, ("red car", still(OTHER_BOX))]) == (False, False)


@pytest.mark.parametrize(
    ("objects", "published", "strict"),
    [
        ([("cat", only_in({3, 4, 5}))], True, True),
        ([("cat", only_in({2, 3, 4, 5}))], True, True),
        ([("cat", only_in({5}))], True, True),
        ([("cat", only_in({2, 4, 5}))], True, False),
        ([("cat", only_in({4}))], True, True),
        ([("cat", only_in({1, 2, 3, 4, 5}))], False, False),
        ([("cat", only_in({2, 3}))], False, False),
        ([("cat", still())], False, False),
        ([("dog", only_in({3, 4, 5}))], False, False),
        ([("cat", only_in({3, 4, 5}, OUTSIDE))], True, False),
        ([("cat", [OUTSIDE, OUTSIDE, OUTSIDE, BOX, BOX, BOX])], False, True),
    ],
)
def test_visibility(objects: Objects, published: bool, strict: bool) -> None:
    assert verdicts(Visibility(object="cat", half="second"), objects) == (published, strict)
    backwards = [(name, list(reversed(boxes))) for name, boxes in objects]
    assert verdicts(Visibility(object="cat", half="first"), backwards) == (published, strict)


def test_of_two_cats_the_published_rule_sees_the_first() -> None:
    goes_and_another_comes = [("cat", only_in({0, 1})), ("cat", only_in({4, 5}))]
    assert verdicts(Visibility(object="cat", half="first"), goes_and_another_comes) == (True, False)
    one_takes_over = [("cat", only_in({2, 3})), ("cat", only_in({4, 5}))]
    assert verdicts(Visibility(object="cat", half="second"), one_takes_over) == (False, True)


@pytest.mark.parametrize(
    ("objects", "published", "strict"),
    [
        ([("ball", along(0, 90, 180, 270, 360, 450))], True, True),
        ([("ball", along(0, 400, 10, 300, 5, 1))], True, True),
        ([("ball", still())], False, False),
        ([("football", along(0, 1, 2, 3, 4, 5))], True, False),
        ([("balls", along(0, 1, 2, 3, 4, 5))], False, True),
        ([("BALL 1", along(0, 1, 2, 3, 4, 5))], False, True),
        ([("ball1", along(0, 1, 2, 3, 4, 5))], True, True),
        ([("ball", along(0, 90, 180, 270, 360, 600))], True, False),
        ([("ball", [BOX, *only_in({1}, OTHER_BOX)[1:5], None])], False, False),
        ([("ball", [None, *along(1, 2, 3, 4, 5)])], False, False),
        ([("ball", along(-40, 0, 0, 0, 0, -39))], True, True),
        ([("ball", [(0, 0, 9, 9), BOX, BOX, BOX, BOX, EMPTY])], True, False),
    ],
)
def test_one_direction(objects: Objects, published: bool, strict: bool) -> None:
    assert verdicts(OneDirection(object="ball", to="right"), objects) == (published, strict)


def test_an_object_off_the_canvas_at_the_left_is_there_by_the_published_rule() -> None:
    objects = [("ball", along(-600, 0, 0, 0, 0, 100))]
    assert verdicts(OneDirection(object="ball", to="right"), objects) == (True, False)
    # right edge exactly at 0
    objects = [("ball", along(-50, 0, 0, 0, 0, 100))]
    assert verdicts(OneDirection(object="ball", to="right"), objects) == (False, False)


@pytest.mark.parametrize(
    ("objects", "published", "strict"),
    [
        ([("cat", along(0, 90, 180, 270, 360, 450)), ("dog", still((200, 9, 50, 50)))], True, True),
        ([("cat", along(210, 90, 180, 270, 360, 450)), ("dog", still((200, 9, 50, 50)))], False, False),
        ([("cat", along(0, 90, 180, 270, 360, 190)), ("dog", still((200, 9, 50, 50)))], False, False),
        ([("cat", along(0, 90, 180, 270, 360, 450))], False, False),
        ([("cat", along(0, 90, 180, 270, 360, 450)), ("dog", only_in({0, 1, 2, 3, 4}))], False, False),
        ([("cat", along(0, 90, 180, 270, 360, 520)), ("dog", still((200, 9, 50, 50)))], True, False),
        ([("cat", still((200, 9, 50, 50))), ("dog", along(450, 300, 200, 100, 50, 0))], True, True),
        ([("cat dog", along(0, 90, 180, 270, 360, 450))], False, False),
    ],
)
def test_two_directions(objects: Objects, published: bool, strict: bool) -> None:
    assert verdicts(TwoDirections(object="cat", other="dog", to="right"), objects) == (published, strict)


PLACES: dict[Quadrant, tuple[int, int]] = {
    "upper left": (50, 50),
    "upper right": (400, 50),
    "lower left": (50, 400),
    "lower right": (400, 400),
}
TOUR: tuple[Quadrant, Quadrant, Quadrant] = ("lower left", "lower right", "upper right")


def tour(*places: tuple[int, int]) -> Objects:
    """An owl at three places, in frames 1, 4 and 6."""
    start, middle, end = ((x, y, 60, 60) for x, y in places)
    return [("owl", [start, start, None, middle, None, end])]


@pytest.mark.parametrize("quadrant", PLACES)
def test_sequential(quadrant: Quadrant) -> None:
    expectation = Tour(object="owl", quadrants=TOUR)
    for position in range(3):
        visited = [*TOUR[:position], quadrant, *TOUR[position + 1 :]]
        objects = tour(*(PLACES[each] for each in visited))
        assert verdicts(expectation, objects) == ((quadrant == TOUR[position]),) * 2


def test_the_middle_line_belongs_to_no_quadrant() -> None:
    expectation = Tour(object="owl", quadrants=TOUR)
    assert verdicts(expectation, tour((50, 400), (400, 400), (400, 226))) == (False, False)
    assert verdicts(expectation, tour((50, 400), (400, 400), (400, 225))) == (True, True)


def test_sequences_look_for_the_object_in_frames_1_4_and_6() -> None:
    expectation = Tour(object="owl", quadrants=TOUR)
    (_, boxes), *_ = tour(*(PLACES[each] for each in TOUR))
    for missing in (0, 3, 5):
        gone = [None if index == missing else box for index, box in enumerate(boxes)]
        assert verdicts(expectation, [("owl", gone)]) == (False, False)
    assert verdicts(expectation, [("fowl", list(boxes))]) == (True, False)
    assert verdicts(expectation, tour((50, 400), (400, 400), (600, 50))) == (True, False)


@pytest.mark.parametrize("name", ["car", "Car", "car 1", "car2", "2 cars", "red_car", "a car's door", "sports-car"])
def test_names_that_are_a_car(name: str) -> None:
    assert strict_rules.is_named(name, "car")


@pytest.mark.parametrize("name", ["", "12", "cat", "carpet", "scar", "racecar", "c ar", "кар"])
def test_names_that_are_no_car(name: str) -> None:
    assert not strict_rules.is_named(name, "car")


def test_names_of_several_words() -> None:
    assert strict_rules.is_named("two red fire trucks", "fire truck")
    assert strict_rules.is_named("puppies", "puppy")
    assert strict_rules.is_named("boxes", "box")
    assert not strict_rules.is_named("fire and truck", "fire truck")
    assert not strict_rules.is_named("fire", "fire truck")


def test_longer_layouts_are_sampled_at_six_moments() -> None:
    expectation = OneDirection(object="car", to="right")
    for frames in (7, 16, 24):
        found = layout(("car", along(*range(0, 10 * frames, 10))))
        assert rules.passes(expectation, found)
        assert strict_rules.passes(expectation, found)
        backwards = layout(("car", along(*range(10 * frames, 0, -10))))
        assert not rules.passes(expectation, backwards)
        assert not strict_rules.passes(expectation, backwards)
    half: list[Box | None] = [None] * 8 + [BOX] * 8
    assert rules.passes(Visibility(object="car", half="second"), layout(("car", half)))
    assert strict_rules.passes(Visibility(object="car", half="second"), layout(("car", half)))


SIDES = st.sampled_from(("left", "right"))
OPPOSITE: dict[Side, Side] = {"left": "right", "right": "left"}
ONE_OF_EACH = st.permutations(["red bird", "blue ball", "dog"])


def _directions(side: Side) -> tuple[Expectation, Expectation]:
    return OneDirection(object="car", to=side), TwoDirections(object="car", other="cat", to=side)


@given(layouts_of(st.just(["car", "cat"]), boxes_inside()), SIDES)
def test_mirrored_layouts_move_the_other_way(given_layout: DynamicSceneLayout, side: Side) -> None:
    for one, other in zip(_directions(side), _directions(OPPOSITE[side]), strict=True):
        assert rules.passes(one, given_layout) == rules.passes(other, mirrored(given_layout))


@given(layouts_of(st.just(["car", "cat"]), boxes_anywhere()), SIDES)
def test_strict_rules_mirror_even_off_the_canvas(given_layout: DynamicSceneLayout, side: Side) -> None:
    for one, other in zip(_directions(side), _directions(OPPOSITE[side]), strict=True):
        assert strict_rules.passes(one, given_layout) == strict_rules.passes(other, mirrored(given_layout))


@given(layouts_of(st.just(["car", "cat"]), boxes_anywhere()))
def test_nothing_moves_both_ways(given_layout: DynamicSceneLayout) -> None:
    for one, other in zip(_directions("left"), _directions("right"), strict=True):
        for passes in (rules.passes, strict_rules.passes):
            assert not (passes(one, given_layout) and passes(other, given_layout))


def _all_expectations() -> list[Expectation]:
    tours = [Tour(object="car", quadrants=quadrants) for quadrants in itertools.product(PLACES, repeat=3)]
    halves = [Visibility(object="cat", half=half) for half in ("first", "second")]
    attribution = Attribution(pairs=(("red", "bird"), ("blue", "ball")))
    return [attribution, *halves, *_directions("left"), *_directions("right"), *tours]


@settings(max_examples=40)
@given(layouts_of(ONE_OF_EACH.map(lambda names: ["car", "cat", *names]), boxes_inside()))
def test_a_strict_pass_of_a_tidy_layout_is_a_published_one(given_layout: DynamicSceneLayout) -> None:
    for expectation in _all_expectations():
        assert rules.passes(expectation, given_layout) or not strict_rules.passes(expectation, given_layout), expectation


@given(layouts_of(st.lists(st.just("car"), max_size=5), boxes_inside()))
def test_a_strict_number_of_tidy_objects_is_a_published_one(given_layout: DynamicSceneLayout) -> None:
    for count in range(1, 6):
        expectation = Numeracy(object="car", count=count)
        assert rules.passes(expectation, given_layout) or not strict_rules.passes(expectation, given_layout)


@given(layouts_of(ONE_OF_EACH.map(lambda names: ["car", "cat", *names]), boxes_anywhere()))
def test_verdicts_do_not_depend_on_the_order_of_objects(given_layout: DynamicSceneLayout) -> None:
    turned = given_layout.model_copy(update={"frames": tuple(frame[::-1] for frame in given_layout.frames)})
    expectations: list[Expectation] = [
        *_directions("left"),
        Visibility(object="cat", half="second"),
        Attribution(pairs=(("red", "bird"), ("blue", "ball"))),
    ]
    for expectation in expectations:
        for passes in (rules.passes, strict_rules.passes):
            assert passes(expectation, given_layout) == passes(expectation, turned)
