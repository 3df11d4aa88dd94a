"""What names tell of entities, and which names mean the same one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.dysen.graphs.dynamic_scene_graph import Event
from tasks.dysen.graphs.entity_attributes import attributes_of, unify_entities
from tests.dysen.graphs_for_tests import events_of_terms, terms


def event(agent: str, predicate: str, target: str, start: int = 0, end: int = 1) -> Event:
    return Event(agent=agent, predicate=predicate, target=target, start=start, end=end)


def names_after(*triplets: str) -> list[str]:
    """The agents and targets of events written "agent, predicate, target", after they were unified."""
    return [
        name for one in unify_entities([event(*line.split(", ")) for line in triplets]) for name in (one.agent, one.target)
    ]


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("red dog", ["red"]),
        ("the red dog", ["red"]),
        ("red car 2", ["red"]),
        ("two red cars", ["red"]),
        ("old wooden chair", ["old", "wooden"]),
        ("big black and white cat", ["big", "black", "white"]),
        ("light blue car", ["light blue"]),
        ("small bottle of cold water", ["small"]),
        ("orange", []),
        ("orange juice", []),
        ("hot dog", []),
        ("dog", []),
        ("scene", []),
        ("upper left", []),
    ],
)
def test_attributes(name: str, attributes: list[str]) -> None:
    found = attributes_of([name])
    assert [item.attribute for item in found] == attributes
    assert {item.object for item in found} <= {name}


@given(st.lists(terms, max_size=5))
def test_any_name_gives_attributes_out_of_its_words(names: list[str]) -> None:
    for item in attributes_of(names):
        assert item.object in names
        assert set(item.attribute.split()) < set(item.object.split())


def test_a_shorter_name_becomes_the_only_longer_one() -> None:
    red = ["red dog", "scene", "red dog", "bone", "red dog", "bone"]
    assert names_after("red dog, run in, scene", "the dog, eat, a bone", "dog, see, bone") == red
    big = ["big red dog", "scene"] * 3
    assert names_after("big red dog, run in, scene", "red dog, bark in, scene", "dog, jump in, scene") == big
    assert names_after("two dogs, run in, scene", "dogs, bark in, scene") == ["two dogs", "scene"] * 2
    assert names_after("man, take, fitness mat", "man, carry, mat") == ["man", "fitness mat"] * 2


@pytest.mark.parametrize(
    "triplets",
    [
        ("red dog, run in, scene", "green dog, run in, scene", "dog, bark in, scene"),
        ("red dog, chase, dog",),
        ("a dog, chase, the dog",),
        ("dog, chase, other dog", "dog, run in, scene"),
        ("his car, hit, her car", "her car, stop in, scene"),
        ("ball, move to, upper left", "ball, move to, left"),
        ("red car 2, stop in, scene", "car 1, stop in, scene"),
        ("two dogs, run in, scene", "dog, run in, scene"),
    ],
)
def test_names_of_different_things_stay(triplets: tuple[str, ...]) -> None:
    assert names_after(*triplets) == [name for line in triplets for name in line.split(", ")[::2]]


def test_events_that_become_the_same_stand_once() -> None:
    events = [
        event("red dog", "run in", "scene"),
        event("the dog", "run in", "scene"),
        event("dog", "run in", "scene", 1, 2),
    ]
    assert unify_entities(events) == (event("red dog", "run in", "scene"), event("red dog", "run in", "scene", 1, 2))
    assert unify_entities([]) == ()


_names = st.sampled_from(
    [
        "dog",
        "the dog",
        "red dog",
        "a red dog",
        "big red dog",
        "green dog",
        "other dog",
        "his dog",
        "her dog",
        "scene",
        "it",
        "left",
    ]
)


@given(st.data(), st.lists(events_of_terms(_names, latest=4), max_size=8))
def test_the_order_of_events_changes_no_name(data: st.DataObject, events: list[Event]) -> None:
    assert set(unify_entities(data.draw(st.permutations(events)))) == set(unify_entities(events))


@given(st.lists(events_of_terms(_names, latest=4), max_size=8))
def test_what_acts_on_something_else_still_does(events: list[Event]) -> None:
    unified = unify_entities(events)
    assert {(one.predicate, one.start, one.end) for one in unified} == {
        (one.predicate, one.start, one.end) for one in events
    }
    if all(one.agent != one.target for one in events):
        assert all(one.agent != one.target for one in unified)


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.lists(events_of_terms(terms, latest=4), max_size=6))
def test_any_names_give_valid_events(events: list[Event]) -> None:
    assert all(Event.model_validate(one.model_dump()) == one for one in unify_entities(events))
