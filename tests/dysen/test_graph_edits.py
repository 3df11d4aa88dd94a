"""Merging imagined triplets, and edits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.dysen.graphs.dynamic_scene_graph import (
    MOST_ITEMS,
    Attribute,
    DynamicSceneGraph,
    Event,
    SceneGraph,
    Triplet,
    scene_graph,
)
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.graphs.graph_edits import Edit, additions, apply_edits, merge
from tests.dysen.graphs_for_tests import (
    EVENTS,
    PROMPT,
    SIT,
    attributes_of,
    events_of_terms,
    few_terms,
    scene_graphs,
    triplets_of,
)

GRAPH = DynamicSceneGraph(prompt=PROMPT, events=EVENTS, ticks=graphs_of(EVENTS), source="planned")
DRESS = Triplet(subject="lady", predicate="in", object="dress")
CUP = Triplet(subject="lady", predicate="holding", object="cup")
CLOTH = Attribute(object="bag", attribute="cloth")
items = triplets_of(few_terms) | attributes_of(few_terms)
edits = st.builds(Edit, operation=st.sampled_from(["add", "remove"]), tick=st.integers(0, 9), item=items) | st.builds(
    Edit, operation=st.just("replace"), tick=st.integers(0, 9), item=items, replacement=items
)


@given(scene_graphs, scene_graphs)
def test_a_merge_is_a_union(first: SceneGraph, second: SceneGraph) -> None:
    both = merge(first, second)
    assert both == merge(second, first) == merge(both, second) == merge(both, both)
    assert set(both.triplets) == {*first.triplets, *second.triplets}
    assert set(both.attributes) == {*first.attributes, *second.attributes}
    assert set(both.objects) == {*first.objects, *second.objects}


@given(st.lists(events_of_terms(few_terms, latest=9), max_size=5), st.lists(edits, max_size=12))
def test_no_edit_removes_what_is_planned(events: list[Event], wanted: list[Edit]) -> None:
    planned = graphs_of(events)
    edited, log = apply_edits(DynamicSceneGraph(prompt="p", events=tuple(events), ticks=planned), wanted)
    assert [entry.edit for entry in log] == wanted
    for before, after in zip(planned, edited.ticks, strict=True):
        assert set(before.triplets) <= set(after.triplets)


def test_edits_are_applied_in_order_and_logged() -> None:
    wanted = [
        *additions(0, [DRESS, CLOTH], "imagined"),
        Edit(operation="replace", tick=0, item=DRESS, replacement=CUP, source="polished"),
        Edit(operation="remove", tick=0, item=CLOTH, source="polished"),
        Edit(operation="remove", tick=0, item=SIT),
        Edit(operation="replace", tick=5, item=SIT, replacement=CUP),
        Edit(operation="remove", tick=0, item=DRESS),
        Edit(operation="add", tick=0, item=CUP),
        Edit(operation="add", tick=6, item=CUP),
    ]
    edited, log = apply_edits(GRAPH, wanted)
    assert [entry.outcome for entry in log] == [*["applied"] * 4, "planned", "planned", "absent", "present", "no-tick"]
    assert edited.ticks == (scene_graph([SIT, CUP]), *GRAPH.ticks[1:])
    assert [entry.edit.source for entry in log][:4] == ["imagined", "imagined", "polished", "polished"]


def test_an_object_that_stood_alone_stays() -> None:
    graph = DynamicSceneGraph(prompt="p", ticks=(scene_graph([DRESS], objects=["table"]),))
    edited, _ = apply_edits(graph, [Edit(operation="remove", tick=0, item=DRESS)])
    assert edited.ticks[0].objects == ("table",)


def test_a_full_graph_takes_no_more() -> None:
    full = scene_graph([], [Attribute(object="bag", attribute=f"a{number}") for number in range(MOST_ITEMS)])
    edited, log = apply_edits(DynamicSceneGraph(prompt="p", ticks=(full,)), additions(0, [CLOTH], "imagined"))
    assert [entry.outcome for entry in log] == ["full"]
    assert edited.ticks == (full,)


def test_an_edit_from_json_is_checked() -> None:
    edit = Edit.model_validate_json('{"operation": "remove", "tick": 0, "item": {"object": "bag", "attribute": "cloth"}}')
    assert edit.item == CLOTH
    with pytest.raises(ValidationError, match="give a replacement"):
        Edit(operation="replace", tick=0, item=DRESS)
    with pytest.raises(ValidationError, match="give a replacement"):
        Edit(operation="add", tick=0, item=DRESS, replacement=CUP)
