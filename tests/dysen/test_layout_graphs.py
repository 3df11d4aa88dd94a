"""Layouts as graph sequences, and captions checked against them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.captions.clause_parser import ClauseParser
from tasks.captions.scene import Place, SceneDescription, SceneObject, Span
from tasks.dysen.explaining.caption_check import Claim, check_caption, check_scene, in_words
from tasks.dysen.explaining.layout_graphs import graph_of_layout, tracks_of
from tasks.dysen.gold_sources.gold_sprites import boxes_of_sprites, sprite_gold
from tasks.dysen.graphs.dynamic_scene_graph import LAST_TICK, MOST_EVENTS, Attribute, DynamicSceneGraph
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.graphs.spatial_predicates import SPATIAL_PREDICATES, Box
from tasks.lvd.kinematics import lay_out
from tasks.lvd.layout import CANVAS_PIXELS, MOST_OBJECTS, DynamicSceneLayout
from tests.lvd.layouts_for_tests import along, boxes_inside, layout, layouts_of, mirrored, only_in, still

NAMES = st.lists(st.sampled_from(["red car", "dog", "left", "scene", "big <cat>"]), min_size=1, max_size=4)
LAYOUTS = layouts_of(NAMES, boxes_inside())
SWAPPED = {"left of": "right of", "right of": "left of"}
PLACES = {"left": "right", "upper left": "upper right", "lower left": "lower right"}
PLACES |= {right: left for left, right in PLACES.items()}


def told(graph: DynamicSceneGraph) -> set[tuple[str, str, str, int, int]]:
    return {(event.agent, event.predicate, event.target, event.start, event.end) for event in graph.events}


def spatial(graph: DynamicSceneGraph) -> list[set[tuple[str, str, str]]]:
    return [
        {(item.subject, item.predicate, item.object) for item in tick.triplets if item.predicate in SPATIAL_PREDICATES}
        for tick in graph.ticks
    ]


def with_frames(given: DynamicSceneLayout, frames: tuple[object, ...]) -> DynamicSceneLayout:
    return DynamicSceneLayout.model_validate({"prompt": given.prompt, "frames": frames})


def test_a_layout_becomes_graphs() -> None:
    graph = graph_of_layout(
        layout(
            ("red car", along(10, 90, 180, 270, 360, 440)), ("dog", only_in({3, 4, 5}, (200, 400, 60, 60))), prompt="a test"
        )
    )
    assert (graph.prompt, len(graph.ticks), graph.source) == ("a test", 6, "layout")
    assert told(graph) == {
        ("red car", "move to", "right", 0, 5),
        ("dog", "appear in", "scene", 3, 4),
        ("dog", "stay in", "scene", 3, 5),
    }
    assert graph.ticks[0].objects == ("red car", "right")
    assert graph.ticks[0].attributes == (Attribute(object="red car", attribute="red"),)
    assert spatial(graph) == [set()] * 3 + [{("dog", "below", "red car")}] * 3


def _object(identifier: int, name: str, box: Box) -> dict[str, object]:
    x0, y0, x1, y1 = (CANVAS_PIXELS * side for side in box)
    return {"id": identifier, "name": name, "box": (x0, y0, x1 - x0, y1 - y0)}


def test_gold_boxes_give_the_gold_graphs() -> None:
    same = 0
    for number in range(40):
        clip, gold = sprite_gold(f"layout-{number}", 0, most_actors=3)
        ids = {actor.name: index for index, actor in enumerate(clip.actors)}
        frames = [[_object(ids[name], name, box) for name, box in boxes.items()] for boxes in boxes_of_sprites(clip)]
        graph = graph_of_layout(DynamicSceneLayout.model_validate({"prompt": gold.prompt, "frames": frames}))
        assert spatial(graph) == spatial(gold)
        same += set(graph.events) == set(gold.events)
    assert same >= 36


def test_objects_of_one_name_are_numbered_and_keep_their_ids() -> None:
    item = layout(("dog", still()), ("dog", still((300, 100, 50, 50))), ("dog 2", still((300, 300, 50, 50))))
    assert list(tracks_of(item)) == ["dog", "dog 3", "dog 2"]
    assert list(tracks_of(layout(("scene", still()), ("left", still())))) == ["scene 2", "left 2"]
    assert list(tracks_of(layout(("({[", still()), ("A  Red-Nosed <Dog>!", still())))) == ["object", "a red-nosed dog"]


def test_what_is_off_the_canvas_is_not_seen() -> None:
    graph = graph_of_layout(
        layout(("car", [(600, 0, 50, 50), (500, 0, 50, 50), (450, 0, 50, 50), (450, 0, 0, 9), None, None]))
    )
    assert {
        tick for boxes in tracks_of(layout(("car", [(600, 0, 50, 50), (500, 0, 50, 50)]))).values() for tick in boxes
    } == {1}
    assert {(predicate, start) for _, predicate, _, start, _ in told(graph)} == {
        ("appear in", 1), ("stay in", 1), ("disappear from", 3)
    }  # fmt: skip


def test_what_comes_again_appears_again() -> None:
    predicates = [event.predicate for event in graph_of_layout(layout(("car", only_in({1, 2, 5})))).events]
    assert sorted(predicates) == ["appear in", "appear in", "disappear from", "stay in", "stay in"]


@pytest.mark.parametrize("frames", [1, 2, 65, 66, 256])
def test_any_length_fits(frames: int) -> None:
    graph = graph_of_layout(layout(("car", [(index, 0, 20, 20) for index in range(frames)])))
    assert len(graph.ticks) == min(frames, LAST_TICK + 1)
    assert all(event.end <= len(graph.ticks) - 1 for event in graph.events)
    assert bool(graph.events) == (frames > 1)


def test_the_fullest_layout_fits() -> None:
    objects = [(f"thing {index}", still((index * 7, index * 5, 40, 40))) for index in range(MOST_OBJECTS)]
    graph = graph_of_layout(layout(*[(name, [*boxes[:3], None, *boxes[4:]]) for name, boxes in objects]))
    assert len(graph.events) == MOST_EVENTS
    assert set(graph.ticks[0].objects) >= {name for name, _ in objects}


@settings(max_examples=60, deadline=None)
@given(LAYOUTS)
def test_graphs_follow_their_events(item: DynamicSceneLayout) -> None:
    graph = graph_of_layout(item)
    for tick, planned in zip(graph.ticks, graphs_of(graph.events), strict=False):
        assert set(planned.triplets) <= set(tick.triplets)
    seen = [{name for name, boxes in tracks_of(item).items() if index in boxes} for index in range(len(graph.ticks))]
    assert all(names <= set(tick.objects) for names, tick in zip(seen, graph.ticks, strict=True))


@settings(max_examples=60, deadline=None)
@given(LAYOUTS)
def test_a_mirror_swaps_left_and_right(item: DynamicSceneLayout) -> None:
    graph, turned = graph_of_layout(item), graph_of_layout(mirrored(item))
    assert spatial(turned) == [
        {(one, SWAPPED.get(word, word), other) for one, word, other in tick} for tick in spatial(graph)
    ]
    assert told(turned) == {
        (agent, predicate, PLACES.get(place, place) if predicate == "move to" else place, start, end)
        for agent, predicate, place, start, end in told(graph)
    }


@settings(max_examples=60, deadline=None)
@given(LAYOUTS)
def test_reversed_frames_swap_appearing_and_disappearing(item: DynamicSceneLayout) -> None:
    def counts(graph: DynamicSceneGraph) -> list[tuple[str, ...]]:
        return sorted((event.agent, event.predicate) for event in graph.events if event.predicate in swapped)

    swapped = {"appear in": "disappear from", "disappear from": "appear in"}
    graph, turned = graph_of_layout(item), graph_of_layout(with_frames(item, item.frames[::-1]))
    assert counts(turned) == sorted((agent, swapped[predicate]) for agent, predicate in counts(graph))
    assert spatial(turned) == spatial(graph)[::-1]


@settings(max_examples=60, deadline=None)
@given(LAYOUTS, st.randoms(use_true_random=False))
def test_the_order_of_objects_changes_nothing(item: DynamicSceneLayout, random: st.DataObject) -> None:
    frames = tuple(tuple(sorted(frame, key=lambda _: random.random())) for frame in item.frames)  # type: ignore[attr-defined]
    assert graph_of_layout(with_frames(item, frames)) == graph_of_layout(item)


# What captions say


def checked(caption: str, item: DynamicSceneLayout | None = None) -> list[Claim]:
    if item is None:
        item = lay_out(ClauseParser().describe(caption), caption, 8, "test")
    item = item.model_copy(update={"prompt": caption})
    return check_caption(item, graph_of_layout(item))


def verdicts(claims: list[Claim], kind: str) -> list[str]:
    return [claim.verdict for claim in claims if claim.kind == kind]


@pytest.mark.parametrize(
    "caption",
    [
        "A red car moves from the left to the right.",
        "A cat sits to the left of a dog, and a bird flies above them.",
        "Three yellow balls on a beach",
        "A ball falls down.",
        "A dog appears only in the second half of the video.",
        "A purple ball moving from the lower left to the lower right and then to the upper right on a plain background.",
    ],
)
def test_the_layout_of_a_caption_holds_its_claims(caption: str) -> None:
    claims = checked(caption)
    assert len(claims) >= 2
    assert {claim.verdict for claim in claims} == {"held"}, claims


def test_what_a_layout_does_otherwise_is_violated_and_where() -> None:
    caption = "A red car moves from the left to the right. A dog sits to the left of a cat."
    item = layout(
        ("blue car", along(10, 90, 180, 270, 360, 440)[::-1]),
        ("dog", still((300, 300, 50, 50))),
        ("cat", [(400, 300, 50, 50)] * 4 + [(100, 300, 50, 50)] * 2),
    )
    found = {(claim.text, claim.verdict, claim.where) for claim in checked(caption, item)}
    assert found >= {
        ("1 × red car", "held", "blue car"),
        ("car is red", "violated", "blue car"),
        ("red car at the left at first", "violated", "tick 0"),
        ("red car at the right in the end", "violated", "tick 5"),
        ("red car moves", "held", "blue car moves to left, tick 0–5"),
        ("dog left of cat", "violated", "tick 4–5: cat left of dog"),
        ("dog stays where it is", "held", "no move across the canvas"),
    }
    assert ("cat stays where it is", "violated") in {(text, verdict) for text, verdict, _ in found}


def test_what_is_not_there_cannot_be_checked() -> None:
    claims = checked("A red car to the left of a dog appears only in the second half.", layout(("dog", still())))
    assert verdicts(claims, "object") == ["violated", "held"]
    assert {verdict for kind in ("attribute", "side", "visibility") for verdict in verdicts(claims, kind)} == {
        "not checkable"
    }
    assert verdicts(claims, "motion")[0] == "not checkable"


def test_things_are_counted() -> None:
    two = layout(("dog", still()), ("dog", still((300, 100, 50, 50))))
    assert verdicts(checked("Two dogs", two), "object") == ["held"]
    for caption in ("A dog", "Three dogs"):
        (claim,) = [claim for claim in checked(caption, two) if claim.kind == "object"]
        assert (claim.verdict, claim.where) == ("violated", "dog, dog 2")
    both = layout(("dog", still()), ("black dog", still((300, 100, 50, 50))))
    assert verdicts(checked("A dog and a black dog", both), "object") == ["held", "held"]
    assert verdicts(checked("A dog and a black dog", both), "attribute") == ["held"]


def test_times_are_checked() -> None:
    caption = "A ball appears only in the second half of the video."
    assert verdicts(checked(caption, layout(("ball", only_in({3, 4, 5})))), "visibility") == ["held"]
    assert verdicts(checked(caption, layout(("ball", only_in({2, 3, 4, 5})))), "visibility") == ["held"]
    (claim,) = [claim for claim in checked(caption, layout(("ball", still()))) if claim.kind == "visibility"]
    assert (claim.verdict, claim.where) == ("violated", "tick 0–1")


@pytest.mark.parametrize(
    ("motion", "boxes", "other"),
    [
        ("fall", [(0, y, 50, 50) for y in range(0, 480, 80)], "recede"),
        ("jump", [(0, y, 50, 50) for y in (400, 300, 250, 250, 300, 400)], "fall"),
        ("bounce", [(0, y, 50, 50) for y in (0, 200, 400, 300, 400, 350)], "approach"),
        ("approach", [(200 - side // 2, 200 - side // 2, side, side) for side in range(40, 280, 40)], "recede"),
        ("recede", [(200 - side // 2, 200 - side // 2, side, side) for side in range(240, 0, -40)], "jump"),
        ("travel", along(0, 40, 80, 120, 160, 400), "still"),
        ("still", still(), "travel"),
    ],
)
def test_motions_are_told_apart(motion: str, boxes: list[tuple[int, int, int, int] | None], other: str) -> None:
    item = layout(("ball", boxes))
    for kind, verdict in ((motion, "held"), (other, "violated")):
        scene = SceneDescription(objects=(SceneObject.model_validate({"name": "ball", "motion": kind}),))
        assert verdicts(check_scene(scene, item, graph_of_layout(item)), "motion") == [verdict]


def test_backgrounds_and_sizes() -> None:
    scene = SceneDescription(objects=(SceneObject(name="ball", size="large"),), background="park")
    item = layout(("ball", still()))
    for background, verdict in (("", "not checkable"), ("A green park", "held"), ("beach", "violated")):
        claims = check_scene(scene, item.model_copy(update={"background": background}), graph_of_layout(item))
        assert verdicts(claims, "background") == [verdict]
        assert verdicts(claims, "size") == ["not checkable"]


def test_captions_without_things_claim_nothing() -> None:
    assert checked("in the beginning", layout(("ball", still()))) == []


@settings(max_examples=60, deadline=None)
@given(LAYOUTS)
def test_a_mirror_swaps_what_is_claimed_of_sides(item: DynamicSceneLayout) -> None:
    def claims(of: DynamicSceneLayout, side: str) -> list[str]:
        here = Place.model_validate({"side": side, "of": 1})
        things = (SceneObject(name="car", attribute="red", places=(here,), visible=Span()), SceneObject(name="dog"))
        return verdicts(check_scene(SceneDescription(objects=things), of, graph_of_layout(of)), "side")

    assert claims(item, "left") == claims(mirrored(item), "right")
    assert claims(item, "above") == claims(mirrored(item), "above")


def test_ticks_in_words() -> None:
    assert in_words([0, 3, 4, 5, 7]) == "tick 0, 3–5, 7"
