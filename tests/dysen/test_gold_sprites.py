"""Exact graphs of sprite clips."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.dysen.checks.graph_verifiers import Limits, verify
from tasks.dysen.gold_sources.gold_sprites import boxes_of_sprites, events_of_sprites, sprite_gold, sprite_golds
from tasks.dysen.gold_sources.gold_ticks import ticks_of
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, Event, Triplet
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.graphs.spatial_predicates import SPATIAL_PREDICATES
from tasks.spriteworld.clips import MOTIONS, Actor, Clip
from tasks.spriteworld.scene import CANVAS_PIXELS

_BY_WORDS = {motion.words: motion for motion in MOTIONS}
_SETS = {"heldout": 40, "candidates": 10, "train": 20}


def _clip(*actors: tuple[str, str, str, list[tuple[float, float] | None]]) -> Clip:
    """Actors by colour, class, words of their motion, and centres in eighths of the canvas."""
    made = []
    for colour, name, words, centres in actors:
        boxes = [(x * 8 - 5, y * 8 - 5, x * 8 + 5, y * 8 + 5) if at else None for at in centres for x, y in [at or (0, 0)]]
        made.append(Actor(name, colour, _BY_WORDS[words], tuple(boxes)))
    return Clip(tuple(made), "plain", 0, 8)


def test_a_clip_becomes_the_graph_that_it_shows() -> None:
    across = [(1.0 + frame * 6 / 7, 6.0) for frame in range(8)]
    late = [None] * 4 + [(2.0, 2.0)] * 4
    clip = _clip(
        ("red", "car", "moving from the left to the right", list(across)),
        ("blue", "dog", "appearing only in the second half", late),
    )
    events = events_of_sprites(clip)
    assert [(event.agent, event.predicate, event.target, event.start, event.end) for event in events] == [
        ("red car", "move to", "right", 0, 7),
        ("blue dog", "appear in", "scene", 4, 5),
        ("blue dog", "stay in", "scene", 4, 7),
    ]
    ticks = ticks_of(events, boxes_of_sprites(clip))
    assert len(ticks) == 8
    move, stay = events[0].triplet, events[2].triplet
    above = Triplet(subject="blue dog", predicate="above", object="red car")
    assert [tick.triplets for tick in ticks[:4]] == [(move,)] * 4
    assert ticks[4].triplets == (above, events[1].triplet, stay, move)
    assert ticks[7].triplets == (Triplet(subject="blue dog", predicate="left of", object="red car"), stay, move)
    assert ticks[0].objects == ("red car", "right")
    assert ticks[0].attributes == (Attribute(object="red car", attribute="red"),)
    assert ticks[4].objects == ("blue dog", "red car", "right", "scene")


def test_what_stays_for_the_first_half_disappears_then() -> None:
    events = events_of_sprites(_clip(("red", "car", "appearing only in the first half", [(2.0, 2.0)] * 4 + [None] * 4)))
    assert [(event.predicate, event.start, event.end) for event in events] == [("stay in", 0, 4), ("disappear from", 4, 5)]
    ticks = ticks_of(events, [{}] * 8)
    assert [len(tick.triplets) for tick in ticks] == [1, 1, 1, 1, 1, 1, 0, 0]


@given(st.integers(0, 2**32), st.integers(2, 64), st.integers(1, 4))
def test_every_clip_has_a_graph_that_the_checks_pass(seed: int, last_tick: int, most_actors: int) -> None:
    clip, graph = sprite_gold("heldout-00000", seed, last_tick, most_actors)
    limits = Limits(longest_gap=64, last_tick=last_tick)
    assert {item.kind for item in verify(graph, limits)} <= {"persistence", "coverage", "order"}  # wrong alarms
    assert len(graph.ticks) == clip.frames == last_tick + 1
    assert {event.agent for event in graph.events} == {actor.name for actor in clip.actors}
    planned = graphs_of(graph.events)
    for tick, (now, boxes) in enumerate(zip(graph.ticks, boxes_of_sprites(clip), strict=True)):
        of_events = set(planned[tick].triplets) if tick < len(planned) else set()
        others = set(now.triplets) - of_events
        assert of_events <= set(now.triplets)
        assert {item.predicate for item in others} <= SPATIAL_PREDICATES
        assert {name for item in others for name in (item.subject, item.object)} <= boxes.keys() <= set(now.objects)
        assert {item.object for item in now.attributes} == {name for name in now.objects if " " in name} - _PLACES


_PLACES = {place for motion in MOTIONS for place in motion.places}


def test_no_caption_stands_twice_in_any_set() -> None:
    sets = sprite_golds(_SETS, seed=3, last_tick=7, most_actors=2)
    captions = Counter(gold.graph.prompt for golds in sets.values() for gold in golds)
    assert {name: len(golds) for name, golds in sets.items()} == _SETS
    assert max(captions.values()) == 1


def test_an_item_depends_on_seed_and_key_alone() -> None:
    sets = sprite_golds(_SETS, seed=3, last_tick=7, most_actors=2)
    more = sprite_golds({"heldout": 60, "candidates": 12, "train": 20}, seed=3, last_tick=7, most_actors=2)
    assert more["heldout"][:40] == sets["heldout"]
    for gold in (*sets["heldout"], *sets["train"]):
        assert sprite_gold(gold.key, 3, 7, 2) == (gold.clip, gold.graph)
    others = sprite_golds(_SETS, seed=4, last_tick=7, most_actors=2)
    assert [gold.graph for gold in others["heldout"]] != [gold.graph for gold in sets["heldout"]]


def test_sets_that_need_more_captions_than_there_are_end_with_a_hint() -> None:
    with pytest.raises(UserError, match=r"lower gold\.candidates, gold\.train or gold\.heldout"):
        sprite_golds({"heldout": 2000}, seed=0, last_tick=7, most_actors=1)


def test_boxes_are_fractions_of_the_canvas() -> None:
    clip, _ = sprite_gold("a", 0, 7, 2)
    boxes = np.array([box for frame in boxes_of_sprites(clip) for box in frame.values()])
    assert boxes.min() >= 0
    assert 10 / CANVAS_PIXELS < boxes.max() <= 1


@pytest.mark.parametrize("name", ["red car", "red car 2"])
def test_a_numbered_thing_has_its_colour_too(name: str) -> None:
    assert ticks_of([], [{name: (0.0, 0.0, 0.2, 0.2)}])[0].attributes == (Attribute(object=name, attribute="red"),)


def test_a_tick_has_what_is_seen_though_nothing_happens_to_it() -> None:
    seen = {"red car": (0.0, 0.0, 0.2, 0.2), "cat": (0.6, 0.0, 0.8, 0.2)}
    ticks = ticks_of([Event(agent="dog", predicate="run in", target="scene", start=0, end=1)], [{}, {}, seen])
    assert [tick.objects for tick in ticks] == [("dog", "scene"), ("dog", "scene"), ("cat", "red car")]
    assert [item.predicate for item in ticks[2].triplets] == ["right of"]
