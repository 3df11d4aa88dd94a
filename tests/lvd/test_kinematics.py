"""Scenes to boxes: what holds for every scene, and a few scenes that can be checked by eye."""

from __future__ import annotations

import time
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tasks.captions.scene import MOST_COUNT, Motion, Place, Region, SceneDescription, SceneObject, Side, Size, Span
from tasks.lvd.formations import formations
from tasks.lvd.kinematics import lay_out
from tasks.lvd.layout import CANVAS_PIXELS, MOST_OBJECTS, DynamicSceneLayout
from tasks.lvd.layout_sentences import plural

LEFT, RIGHT, TOP, BOTTOM, CENTER = (Place(region=name) for name in ("left", "right", "top", "bottom", "center"))
CORNERS: dict[Region, tuple[float, float]] = {
    "upper left": (0.25, 0.25),
    "upper right": (0.75, 0.25),
    "lower left": (0.25, 0.75),
    "lower right": (0.75, 0.75),
}
REGIONS: dict[Region, tuple[float | None, float | None]] = {
    **CORNERS,
    "left": (0.2, None),
    "right": (0.8, None),
    "top": (None, 0.2),
    "bottom": (None, 0.8),
    "center": (0.5, 0.5),
}
MOTIONS: tuple[Motion, ...] = ("still", "travel", "fall", "bounce", "jump", "approach", "recede")
SIZES: tuple[Size, ...] = ("small", "medium", "large")
SIDES: tuple[Side, ...] = ("left", "right", "above", "below")
SPANS = (Span(), Span(), Span(end=0.5), Span(start=0.5), Span(start=0.3, end=0.6), Span(start=0.5, end=0.51))


@st.composite
def scenes(draw: st.DrawFn, most: int = 6, kinds: int = 4) -> SceneDescription:
    """Scenes of up to `most` things of up to `kinds` kinds, also with places that contradict each other."""
    total = draw(st.integers(0, kinds))
    left = most - total
    objects: list[SceneObject] = []
    for index in range(total):
        others = [number for number in range(total) if number != index]
        place = st.builds(lambda name: Place(region=name), st.sampled_from(list(REGIONS)))
        if others:
            beside = st.builds(lambda side, of: Place(side=side, of=of), st.sampled_from(SIDES), st.sampled_from(others))
            place = st.one_of(place, place, beside)
        count = draw(st.integers(1, min(MOST_COUNT, 1 + max(left, 0))))
        left -= count - 1
        objects.append(
            SceneObject(
                name=f"thing{index}",
                count=count,
                size=draw(st.sampled_from(SIZES)),
                motion=draw(st.sampled_from(MOTIONS)),
                places=tuple(draw(st.lists(place, max_size=3))),
                when=draw(st.sampled_from(SPANS)),
                visible=draw(st.sampled_from(SPANS)),
            )
        )
    return SceneDescription(objects=tuple(objects), background="a park")


def made(*objects: SceneObject, frames: int = 6) -> DynamicSceneLayout:
    return lay_out(SceneDescription(objects=objects, background="a park"), "a prompt", frames, "test")


def boxes(layout: DynamicSceneLayout, identifier: int = 0) -> NDArray[np.float64]:
    """[frames in which it is seen, 4]."""
    return np.array([item.box for frame in layout.frames for item in frame if item.id == identifier])


def middles(layout: DynamicSceneLayout, identifier: int = 0) -> NDArray[np.float64]:
    """[frames in which it is seen, 2] in shares of the canvas."""
    found = boxes(layout, identifier)
    return np.asarray((found[:, :2] + found[:, 2:] / 2) / CANVAS_PIXELS)


def overlaps(layout: DynamicSceneLayout) -> int:
    pairs = [pair for frame in layout.frames for pair in combinations([np.array(item.box) for item in frame], 2)]
    return sum(bool((np.abs(a[:2] + a[2:] / 2 - b[:2] - b[2:] / 2) < (a[2:] + b[2:]) / 2).all()) for a, b in pairs)


def in_region(point: NDArray[np.float64], region: Region) -> bool:
    """In the half or quadrant, and well inside of it."""
    return all(
        wanted is None or (abs(value - wanted) <= 0.22 and (wanted == 0.5 or (value - 0.5) * (wanted - 0.5) > 0.02))
        for value, wanted in zip(point, REGIONS[region], strict=True)
    )


def check_form(layout: DynamicSceneLayout, scene: SceneDescription) -> None:
    """Everything is inside the canvas, on whole pixels, and is listed in the frames in which it is visible."""
    expected: list[set[int]] = [set() for _ in layout.frames]
    names: dict[int, str] = {}
    first = 0
    for item in scene.objects:
        ids = range(first, first + item.count)
        names |= dict.fromkeys(ids, item.label)
        first += item.count
        for number, frame in enumerate(expected):
            if item.visible.start <= (number + 0.5) / len(expected) <= item.visible.end:
                frame |= set(ids)
    assert [{item.id for item in frame} for frame in layout.frames] == expected
    for frame in layout.frames:
        for item in frame:
            x, y, width, height = item.box
            assert item.name == names[item.id]
            assert all(value == int(value) for value in item.box)
            assert 0 <= x <= x + width <= CANVAS_PIXELS
            assert 0 <= y <= y + height <= CANVAS_PIXELS
            assert width == height >= 12


@given(scenes(), st.sampled_from([1, 2, 5, 6, 16]))
def test_every_scene_of_a_few_things_gives_boxes_that_do_not_overlap(scene: SceneDescription, frames: int) -> None:
    layout = lay_out(scene, "a prompt", frames, "test")
    check_form(layout, scene)
    assert overlaps(layout) == 0
    assert (layout.prompt, layout.background, layout.planner) == ("a prompt", scene.background, "test")


@settings(max_examples=10)
@given(scenes(most=30, kinds=9))
def test_crowded_scenes_keep_their_form(scene: SceneDescription) -> None:
    check_form(lay_out(scene, "a prompt", 6, "test"), scene)


@settings(max_examples=30)
@given(scenes())
def test_the_same_scene_gives_the_same_bytes(scene: SceneDescription) -> None:
    copy = SceneDescription.model_validate_json(scene.model_dump_json())
    assert lay_out(scene, "p", 6, "t").model_dump_json() == lay_out(copy, "p", 6, "t").model_dump_json()


@given(st.sampled_from(list(REGIONS)), st.sampled_from(SIZES), st.integers(1, 6), st.sampled_from(["still", "approach"]))
def test_things_are_in_their_region(region: Region, size: Size, count: int, motion: Motion) -> None:
    layout = made(SceneObject(name="cat", count=count, size=size, motion=motion, places=(Place(region=region),)))
    found = np.array([middles(layout, number) for number in range(count)])
    assert np.ptp(found, axis=1).max() == 0
    for point in found[:, 0] if region != "center" else [found[:, 0].mean(axis=0)]:
        assert all(
            wanted is None or wanted == 0.5 or (value - 0.5) * (wanted - 0.5) > 0
            for value, wanted in zip(point, REGIONS[region], strict=True)
        )
    assert in_region(found[:, 0].mean(axis=0), region)


@given(st.lists(st.sampled_from(list(REGIONS)), min_size=2, max_size=4), st.sampled_from([13, 25]), st.integers(1, 3))
def test_travel_leads_straight_from_place_to_place_at_constant_speed(regions: list[Region], frames: int, count: int) -> None:
    places = tuple(Place(region=region) for region in regions)
    layout = made(SceneObject(name="cat", count=count, motion="travel", places=places), frames=frames)
    paths = np.array([middles(layout, number) for number in range(count)])
    legs = (frames - 1) // (len(regions) - 1)
    for leg, (start, end) in enumerate(pairwise(regions)):
        path = paths[:, leg * legs : (leg + 1) * legs + 1]
        assert in_region(path[:, 0].mean(axis=0), start)
        assert in_region(path[:, -1].mean(axis=0), end)
        steps = np.diff(path, axis=1) * CANVAS_PIXELS
        assert np.ptp(steps, axis=1).max() <= 2
        assert ((steps >= 0).all(axis=1) | (steps <= 0).all(axis=1)).all()


@given(scenes(), st.sampled_from([LEFT, RIGHT, TOP, BOTTOM]), st.sampled_from([3, 6, 9]))
def test_travel_to_one_place_comes_from_the_opposite_side_also_among_others(
    scene: SceneDescription, place: Place, frames: int
) -> None:
    traveller = SceneObject(name="car", motion="travel", places=(place,))
    layout = lay_out(SceneDescription(objects=(traveller, *(_shifted(item) for item in scene.objects))), "p", frames, "t")
    axis = 0 if place in (LEFT, RIGHT) else 1
    steps = np.diff(middles(layout)[:, axis])
    assert (steps < 0).all() if place in (LEFT, TOP) else (steps > 0).all()
    assert place.region is not None
    assert in_region(middles(layout)[-1], place.region)


def _shifted(item: SceneObject) -> SceneObject:
    places = [place.model_copy(update={"of": place.of + 1}) if place.of is not None else place for place in item.places]
    return item.model_copy(update={"places": tuple(places)})


def test_travel_without_places_drifts_a_little() -> None:
    path = middles(made(SceneObject(name="cloud", motion="travel")))
    assert (np.diff(path[:, 0]) > 0).all()
    assert 0.15 < np.ptp(path[:, 0]) < 0.4
    assert np.ptp(path[:, 1]) == 0


def test_it_moves_only_while_it_is_to_move() -> None:
    thing = SceneObject(name="cat", motion="travel", places=(LEFT, RIGHT), when=Span(start=0.4, end=0.8))
    across = middles(made(thing, frames=11))[:, 0]
    assert (across[:5] == across[0]).all()
    assert (np.diff(across[4:9]) > 0).all()
    assert (across[8:] == across[-1]).all()


def test_what_is_seen_only_for_a_while_makes_its_whole_way_then() -> None:
    thing = SceneObject(name="cat", motion="travel", places=(LEFT, RIGHT), visible=Span(start=0.5, end=1))
    layout = made(thing, frames=8)
    assert [len(frame) for frame in layout.frames] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert in_region(middles(layout)[0], "left")
    assert in_region(middles(layout)[-1], "right")


@given(st.sampled_from([None, *REGIONS]), st.sampled_from(SIZES), st.integers(1, 4))
def test_what_falls_gets_faster_and_lands_at_the_bottom(region: Region | None, size: Size, count: int) -> None:
    places = () if region is None else (Place(region=region),)
    layout = made(SceneObject(name="apple", count=count, size=size, motion="fall", places=places), frames=16)
    floors = [boxes(layout, number)[-1, 1::2].sum() / CANVAS_PIXELS for number in range(count)]
    assert max(floors) > 0.95
    for number in range(count):
        down = boxes(layout, number)[:, 1]
        steps = np.diff(down)
        assert (steps >= 0).all()
        assert (np.diff(steps) >= -2).all()
        assert steps[-3:].sum() > 2 * steps[:3].sum()
        assert np.ptp(boxes(layout, number)[:, 0]) == 0


def test_a_throw_bounces_on_the_floor_and_loses_energy() -> None:
    layout = made(SceneObject(name="ball", motion="bounce", places=(LEFT, RIGHT)), frames=121)
    path = middles(layout)
    assert np.ptp(np.diff(path[:, 0])) * CANVAS_PIXELS <= 1
    floor = path[:, 1].max()
    hops = [hop for hop in np.split(floor - path[:, 1], np.flatnonzero(path[:, 1] > floor - 0.012)) if hop.max() > 0.03]
    heights = [float(hop.max()) for hop in hops]
    assert len(heights) == 3
    assert heights == sorted(heights, reverse=True)
    assert heights[1] / heights[0] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("region", CORNERS)
def test_a_throw_ends_at_its_last_place(region: Region) -> None:
    layout = made(SceneObject(name="ball", motion="bounce", places=(LEFT, Place(region=region))), frames=25)
    assert in_region(middles(layout)[-1], region)
    assert middles(layout)[:, 1].max() > 0.75


@given(st.sampled_from([None, *REGIONS]), st.sampled_from(SIZES))
def test_a_jump_goes_up_and_comes_back(region: Region | None, size: Size) -> None:
    places = () if region is None else (Place(region=region),)
    path = middles(made(SceneObject(name="frog", size=size, motion="jump", places=places), frames=11))
    assert (path[0] == path[-1]).all()
    assert np.ptp(path[:, 0]) == 0
    assert (np.diff(path[:6, 1]) < 0).all()
    assert (np.diff(path[5:, 1]) > 0).all()


@given(st.sampled_from([None, *REGIONS]), st.sampled_from(SIZES), st.integers(1, 4), st.sampled_from([2, 6, 24]))
def test_what_approaches_grows_about_its_middle(region: Region | None, size: Size, count: int, frames: int) -> None:
    places = () if region is None else (Place(region=region),)
    things = [
        SceneObject(name="bus", size=size, count=count, motion=motion, places=places) for motion in ("approach", "recede")
    ]
    near, far = (made(thing, frames=frames) for thing in things)
    for number in range(count):
        assert np.ptp(middles(near, number), axis=0).max() == 0
        assert (np.diff(boxes(near, number)[:, 2]) >= 0).all()
        assert boxes(near, number)[-1, 2] > 1.5 * boxes(near, number)[0, 2]
        np.testing.assert_array_equal(boxes(far, number), boxes(near, number)[::-1])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("motion", ["still", "approach", "travel"])
@pytest.mark.parametrize("places", [(), (CENTER,), (LEFT,), (TOP,), (BOTTOM,), (LEFT, RIGHT), (BOTTOM, TOP)])
def test_what_is_beside_another_thing_is_beside_it(side: Side, motion: Motion, places: tuple[Place, ...]) -> None:
    other = SceneObject(name="tree", motion="travel" if len(places) > 1 else "still", places=places)
    layout = made(SceneObject(name="cat", motion=motion, places=(Place(side=side, of=1),)), other)
    at = -1 if motion == "travel" else 0
    cat, tree = boxes(layout, 0)[at], boxes(layout, 1)[at]
    first, second = (cat, tree) if side in ("left", "above") else (tree, cat)
    axis = 0 if side in ("left", "right") else 1
    assert first[axis] + first[axis + 2] < second[axis]
    assert overlaps(layout) == 0


def test_a_row_of_things_beside_each_other() -> None:
    names = ("dog", "cat", "bird", "mouse")
    places = [(), *((Place(side="right", of=index),) for index in range(3))]
    layout = made(*(SceneObject(name=name, places=place) for name, place in zip(names, places, strict=True)))
    across = [middles(layout, number)[0, 0] for number in range(4)]
    assert across == sorted(across)
    assert min(np.diff(across)) > 0.15


def test_places_that_lead_round_in_a_circle() -> None:
    sides = [Place(side="left", of=1), Place(side="left", of=2), Place(side="above", of=0)]
    layout = made(*(SceneObject(name=f"thing{index}", places=(place,)) for index, place in enumerate(sides)))
    assert overlaps(layout) == 0
    assert middles(layout, 2)[0, 1] < middles(layout, 0)[0, 1]


def test_natural_sizes() -> None:
    for size, side in (("small", 0.17), ("medium", 0.25), ("large", 0.36)):
        found = boxes(made(SceneObject(name="cat", size=size)))[0]
        np.testing.assert_allclose(found[2:] / CANVAS_PIXELS, side, atol=0.005)


def test_more_than_a_layout_holds_is_cut_fairly_and_told() -> None:
    things = [SceneObject(name=f"cat{index}", count=count) for index, count in enumerate((20, 20, 1, 20, 20))]
    layout = made(*things)
    names = [item.name for item in layout.frames[0]]
    assert len(names) == MOST_OBJECTS
    assert [names.count(f"cat{index}") for index in range(5)] == [16, 16, 1, 16, 15]
    assert "Sixteen of twenty cat0s stay; there is no room for more." in layout.reasoning
    assert overlaps(layout) == 0


@pytest.mark.parametrize("places", [(), (CENTER,), (LEFT, CENTER, RIGHT)])
def test_the_fullest_scene_takes_seconds(places: tuple[Place, ...]) -> None:
    things = [SceneObject(name=f"a{i}", count=20, size="large", motion=MOTIONS[i % 7], places=places) for i in range(20)]
    begin = time.process_time()
    scene = SceneDescription(objects=tuple(things))
    layout = lay_out(scene, "p", 6, "t")
    assert time.process_time() - begin < 10
    assert {len(frame) for frame in layout.frames} == {MOST_OBJECTS}


def test_typical_scenes_take_milliseconds() -> None:
    car = SceneObject(name="car", motion="travel", places=(LEFT, RIGHT))
    cats = SceneObject(name="cat", count=2, places=(LEFT,))
    begin = time.process_time()
    for _ in range(100):
        made(car, cats)
    assert time.process_time() - begin < 2


def test_an_empty_scene_has_empty_frames() -> None:
    layout = made()
    assert (layout.frames, layout.reasoning) == (((),) * 6, "")


@pytest.mark.parametrize("frames", [0, 257])
def test_no_such_number_of_frames(frames: int) -> None:
    with pytest.raises(ValueError, match=r"expected 1\.\.256"):
        made(frames=frames)


def test_sentences() -> None:
    objects = (
        SceneObject(name="kite", attribute="red", count=2, motion="travel", places=(LEFT, TOP, RIGHT)),
        SceneObject(name="dog", places=(Place(side="above", of=0),), visible=Span(end=0.5)),
        SceneObject(name="bus", count=3, motion="approach", places=(CENTER,), when=Span(start=0.25)),
    )
    assert made(*objects).reasoning == (
        "Two red kites travel from the left through the top to the right. "
        "One dog stays above the red kite and is seen from 0% to 50% of the video. "
        "Three buses come nearer in the centre from 25% to 100% of the video."
    )


@pytest.mark.parametrize(
    ("one", "several"),
    [("fire truck", "fire trucks"), ("red berry", "red berries"), ("toy", "toys"), ("old man", "old men"), ("fish", "fish")],
)
def test_plurals(one: str, several: str) -> None:
    assert plural(one) == several


def test_the_longest_words_fit_into_a_layout() -> None:
    place = tuple(Place(side="left", of=0) for _ in range(12))
    things = [SceneObject(name="n" * 80, attribute="a" * 80, motion="travel", places=place if i else ()) for i in range(20)]
    assert len(made(*things).reasoning) <= 20_000


@given(st.integers(1, 20), st.floats(16, 160), st.floats(100, 512), st.floats(100, 512), st.booleans())
def test_formations_hold_their_members_apart(count: int, side: float, width: float, height: float, upright: bool) -> None:
    for formation in formations(count, side, (width, height), 4, upright):
        assert len(formation.offsets) == count
        assert 8 <= formation.half_side <= max(8, side / 2)
        np.testing.assert_allclose(np.abs(formation.offsets).max(axis=0) + formation.half_side, formation.half)
        for a, b in combinations(formation.offsets, 2):
            assert np.abs(a - b).max() >= 2 * formation.half_side
