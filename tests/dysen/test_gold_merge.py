"""Graphs of one prompt from several sources, merged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.dysen.checks.graph_verifiers import verify_plan
from tasks.dysen.checks.predicate_conflicts import conflicts
from tasks.dysen.gold_sources.gold_merge import Merged, merge_sources
from tasks.dysen.gold_sources.gold_origins import Origin, write_origins
from tasks.dysen.gold_sources.gold_ticks import ticks_of
from tasks.dysen.graphs.dynamic_scene_graph import (
    MOST_ITEMS,
    Attribute,
    DynamicSceneGraph,
    Event,
    SceneGraph,
    Triplet,
    scene_graph,
)
from tasks.dysen.graphs.event_grammar import parse_events, parse_triplets
from tests.dysen.graphs_for_tests import attributes_of

_NAMES = st.sampled_from(["cup", "red car", "dog"])
_PREDICATES = st.sampled_from(["left of", "right of", "on", "under", "move to", "sit on"])
_TRIPLETS = st.builds(Triplet, subject=_NAMES, predicate=_PREDICATES, object=_NAMES)


def _event(agent: str, predicate: str, target: str, start: int, end: int) -> Event:
    return Event(agent=agent, predicate=predicate, target=target, start=start, end=end)


def _graph(source: str, events: list[Event], extra: list[SceneGraph]) -> DynamicSceneGraph:
    planned = ticks_of(events, [{}] * len(extra))
    extra = extra + [SceneGraph()] * (len(planned) - len(extra))
    ticks = [
        scene_graph((*a.triplets, *b.triplets), (*a.attributes, *b.attributes), (*a.objects, *b.objects))
        for a, b in zip(planned, extra, strict=True)
    ]
    return DynamicSceneGraph(prompt="a cup", events=tuple(events), ticks=tuple(ticks), source=source)


def _events(latest: int = 5) -> st.SearchStrategy[list[Event]]:
    spans = st.tuples(st.integers(0, latest), st.integers(0, latest)).filter(lambda span: span[0] < span[1])
    return st.lists(
        st.builds(lambda item, span: _event(item.subject, item.predicate, item.object, *span), _TRIPLETS, spans),
        max_size=4,
        unique=True,
    )


_EXTRA = st.lists(
    st.builds(
        scene_graph,
        st.lists(_TRIPLETS, max_size=3),
        st.lists(attributes_of(_NAMES), max_size=2),
        st.lists(_NAMES, max_size=1),
    ),
    max_size=6,
)
_SOURCES = st.builds(
    lambda *parts: [
        _graph(source, *part) for source, part in zip(("spriteworld", "frames", "captions"), parts, strict=True)
    ],
    *[st.tuples(_events(), _EXTRA)] * 3,
)


def _left(subject: str = "red car", target: str = "blue dog") -> SceneGraph:
    return scene_graph([Triplet(subject=subject, predicate="left of", object=target)])


def _kept(merged: Merged, tick: int) -> dict[str, tuple[str, ...]]:
    return {origin.item: origin.sources for origin in merged.origins if origin.tick == tick and origin.outcome == "kept"}


def test_a_merged_graph_has_what_all_sources_tell_and_says_who_told_it() -> None:
    move = _event("red car", "move to", "right", 0, 2)
    frames = _graph("frames", [move], [_left(), _left(), _left()])
    captions = _graph("captions", [move, _event("blue dog", "bark in", "scene", 1, 2)], [])
    merged = merge_sources([frames, captions])
    assert merged.graph.source == "captions+frames"
    assert merged.graph.events == (move, captions.events[1])
    assert [len(tick.triplets) for tick in merged.graph.ticks] == [2, 3, 3]
    assert _kept(merged, 1) == {
        "(blue dog, bark in, scene, (1v, 2v))": ("captions",),
        "(red car, move to, right)": ("frames", "captions"),
        "(red car, left of, blue dog)": ("frames",),
        "(blue dog, bark in, scene)": ("captions",),
        "(red car, red)": ("frames", "captions"),
        "(blue dog, blue)": ("captions",),
    }
    assert {origin.agreement for origin in merged.origins} == {0.5, 1.0}


def test_a_contradiction_is_resolved_towards_the_more_trusted_source() -> None:
    wrong = scene_graph([Triplet(subject="red car", predicate="right of", object="blue dog")])
    merged = merge_sources([_graph("frames", [], [_left(), SceneGraph()]), _graph("captions", [], [wrong, wrong])])
    assert [[item.predicate for item in tick.triplets] for tick in merged.graph.ticks] == [["left of"], ["right of"]]
    assert [
        (origin.item, origin.sources, origin.against) for origin in merged.origins if origin.outcome == "contradiction"
    ] == [("(red car, right of, blue dog)", ("captions",), "(red car, left of, blue dog)")]


def test_the_same_relation_the_other_way_round_is_a_contradiction_too() -> None:
    merged = merge_sources([_graph("frames", [], [_left()]), _graph("captions", [], [_left("blue dog", "red car")])])
    assert merged.graph.ticks[0].triplets == _left().triplets


def test_times_of_an_event_are_those_of_the_most_trusted_source() -> None:
    told = [_event("red car", "move to", "right", 0, 7)], [_event("red car", "move to", "right", 2, 7)]
    merged = merge_sources([_graph("frames", told[1], []), _graph("captions", told[0], [])])
    assert merged.graph.events == tuple(told[1])
    (other,) = (origin for origin in merged.origins if origin.outcome == "other-times")
    assert (other.item, other.against) == (
        "(red car, move to, right, (0v, 7v))",
        "(red car, move to, right, (2v, 7v))",
    )
    assert verify_plan(merged.graph) == []


def test_the_same_at_another_time_is_another_event() -> None:
    told = [_event("red car", "jump in", "scene", 0, 2)], [_event("red car", "jump in", "scene", 4, 7)]
    merged = merge_sources([_graph("frames", told[0], []), _graph("captions", told[1], [])])
    assert merged.graph.events == (*told[0], *told[1])


def test_an_event_that_contradicts_is_left_out_with_a_reason() -> None:
    on, under = _event("cup", "on", "table", 0, 3), _event("cup", "under", "table", 2, 6)
    merged = merge_sources([_graph("frames", [on], []), _graph("captions", [under], [])])
    assert merged.graph.events == (on,)
    refused = {origin.item: origin.against for origin in merged.origins if origin.outcome != "kept"}
    assert refused["(cup, under, table, (2v, 6v))"] == "(cup, on, table)"
    assert verify_plan(merged.graph) == []


def test_a_full_graph_takes_nothing_more_and_says_so() -> None:
    many = scene_graph([], [Attribute(object=f"thing {number}", attribute="red") for number in range(MOST_ITEMS)])
    merged = merge_sources([_graph("frames", [], [many]), _graph("captions", [], [_left(), _left()])])
    assert merged.graph.ticks == (many, _left())
    assert [origin.item for origin in merged.origins if origin.outcome == "full"] == ["(red car, left of, blue dog)"]


@pytest.mark.parametrize("graphs", [("a", "a"), ("a", "b")])
def test_graphs_that_do_not_belong_together_are_refused(graphs: tuple[str, str]) -> None:
    first, second = (_graph(source, [], [_left()]) for source in graphs)
    with pytest.raises(ValueError, match="prompts, and of the sources"):
        merge_sources([first, second.model_copy(update={"prompt": "another" if graphs[0] != graphs[1] else "a cup"})])


def test_origins_are_written_a_line_each(tmp_path: Path) -> None:
    origins = merge_sources([_graph("frames", [], [_left()])]).origins
    write_origins(tmp_path / "origins.jsonl", origins)
    lines = (tmp_path / "origins.jsonl").read_text(encoding="utf-8").splitlines()
    assert [Origin.model_validate_json(line) for line in lines] == list(origins)
    assert list(json.loads(lines[0])) == ["prompt", "tick", "item", "sources", "agreement", "outcome", "against"]


@settings(max_examples=50)
@given(_SOURCES)
def test_a_union_loses_nothing_of_the_most_trusted_source(graphs: list[DynamicSceneGraph]) -> None:
    merged = merge_sources(graphs)
    assert set(graphs[0].events) <= set(merged.graph.events)
    for tick, now in enumerate(graphs[0].ticks):
        assert set(now.triplets) <= set(merged.graph.ticks[tick].triplets)
        assert set(now.attributes) <= set(merged.graph.ticks[tick].attributes)
        assert set(now.objects) <= set(merged.graph.ticks[tick].objects)


@settings(max_examples=50)
@given(_SOURCES)
def test_all_that_is_in_no_contradiction_is_kept_and_nothing_else(graphs: list[DynamicSceneGraph]) -> None:
    merged = merge_sources(graphs)
    for tick, now in enumerate(merged.graph.ticks):
        told = {item for graph in graphs for item in (graph.ticks[tick].triplets if tick < len(graph.ticks) else ())}
        assert set(now.triplets) <= told | {event.triplet for event in merged.graph.events}
        assert all(any(conflicts(item, other) for other in now.triplets) for item in told - set(now.triplets))


@settings(max_examples=50)
@given(_SOURCES)
def test_what_is_planned_is_there(graphs: list[DynamicSceneGraph]) -> None:
    assert verify_plan(merge_sources(graphs).graph) == []


@settings(max_examples=50)
@given(_SOURCES)
def test_each_item_has_one_origin(graphs: list[DynamicSceneGraph]) -> None:
    merged = merge_sources(graphs)
    keys = [(origin.tick, origin.item) for origin in merged.origins]
    assert len(set(keys)) == len(keys)
    for origin in merged.origins:
        assert origin.sources
        assert origin.agreement == round(len(origin.sources) / 3, 4)
    kept = [origin.item for origin in merged.origins if origin.outcome == "kept" and origin.item.count(",") > 2]
    assert {event for text in kept for event in parse_events(text).events} == set(merged.graph.events)


@given(st.tuples(_events(), _EXTRA))
def test_a_graph_alone_stays_as_it_is(parts: tuple[list[Event], list[SceneGraph]]) -> None:
    graph = _graph("frames", *parts)
    if graph.ticks:
        merged = merge_sources([graph])
        assert merged.graph.ticks == graph.ticks
        assert set(merged.graph.events) == set(graph.events)
        assert all(origin.agreement == 1 for origin in merged.origins)
        items = "\n".join(origin.item for origin in merged.origins if origin.tick == 0)
        assert set(parse_triplets(items).triplets) >= set(graph.ticks[0].triplets)
