"""From events to scene graphs and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.dysen.graphs.dynamic_scene_graph import Event, SceneGraph, Triplet
from tasks.dysen.graphs.events_to_graphs import events_of, graphs_of
from tests.dysen.graphs_for_tests import (
    DRINK,
    EVENTS,
    GREET,
    LOOK,
    MEET,
    SIT,
    events_of_terms,
    few_terms,
    lasting,
    scene_graphs,
)

many_events = st.lists(events_of_terms(few_terms, latest=9), max_size=8)


def _triplets(graphs: tuple[SceneGraph, ...]) -> list[set[Triplet]]:
    return [set(graph.triplets) for graph in graphs]


def test_the_example_of_the_method() -> None:
    graphs = graphs_of(EVENTS)
    assert _triplets(graphs) == [{SIT}, {SIT, DRINK}, {SIT}, {SIT, LOOK, MEET, GREET}, {SIT, LOOK}, {SIT, LOOK}]
    assert graphs[1].objects == ("chair", "coffee", "lady")
    assert set(events_of(graphs)) == set(EVENTS)


def test_special_sequences() -> None:
    assert graphs_of(()) == ()
    assert _triplets(graphs_of([lasting(SIT, 0, 1)])) == [{SIT}, {SIT}]
    assert _triplets(graphs_of([lasting(SIT, 2, 3)])) == [set(), set(), {SIT}, {SIT}]
    gap = [lasting(SIT, 0, 1), lasting(DRINK, 3, 4)]
    assert _triplets(graphs_of(gap)) == [{SIT}, set(), set(), {DRINK}, {DRINK}]
    equal = [lasting(MEET, 0, 2), lasting(GREET, 0, 2)]
    assert _triplets(graphs_of(equal)) == [{MEET, GREET}] * 3


@given(st.data(), many_events)
def test_the_order_of_events_changes_nothing(data: st.DataObject, events: list[Event]) -> None:
    assert graphs_of(data.draw(st.permutations(events))) == graphs_of(events)


def _touching_as_one(events: list[Event]) -> set[Event]:
    joined: list[Event] = []
    for event in sorted(events, key=lambda event: (*event.triplet.model_dump().values(), event.start)):
        last = joined[-1] if joined else None
        if last and last.triplet == event.triplet and event.start <= last.end:
            joined[-1] = last.model_copy(update={"end": max(last.end, event.end)})
        else:
            joined.append(event)
    return set(joined)


@given(many_events)
def test_graphs_give_their_events_back(events: list[Event]) -> None:
    assert set(events_of(graphs_of(events))) == _touching_as_one(events)


@given(st.lists(scene_graphs, max_size=5))
def test_any_graphs_give_events_that_cover_them(ticks: list[SceneGraph]) -> None:
    again = graphs_of(events_of(ticks))
    for graph, covered in zip(ticks, again, strict=False):
        assert set(graph.triplets) <= set(covered.triplets)
    assert {event.triplet for event in events_of(ticks)} == {triplet for graph in ticks for triplet in graph.triplets}
