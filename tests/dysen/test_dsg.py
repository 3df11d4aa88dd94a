"""The stage from events to scene graphs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import StageError, UserError
from tasks.dysen.dsg import Parameters, Paths, graph_of_events, make_graphs
from tasks.dysen.graphs.attributed_ticks import attributed_ticks
from tasks.dysen.graphs.dynamic_scene_graph import (
    Attribute,
    DynamicSceneGraph,
    Event,
    read_graphs,
    scene_graph,
    write_graphs,
)
from tasks.dysen.graphs.entity_attributes import attributes_of
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tests.dysen.graphs_for_tests import DRINK, EVENTS, GREET, LOOK, MEET, PROMPT, SIT, events_of_terms

names = st.sampled_from(["lady", "red dog", "the dog", "dog", "chair", "big chair", "scene"])
many_events = st.lists(events_of_terms(names, latest=9), max_size=8)
RUN = Event(agent="red dog", predicate="run in", target="scene", start=0, end=2)
BARK = Event(agent="the dog", predicate="bark at", target="old wooden chair", start=1, end=3)


def planned(events: tuple[Event, ...], prompt: str = "a prompt", source: str = "parser") -> DynamicSceneGraph:
    return DynamicSceneGraph(prompt=prompt, events=events, source=source)


def paths_in(folder: Path) -> Paths:
    return Paths(*(folder / name for name in ("events", "graphs", "quarantine.jsonl", "provenance.json", "metrics.json")))


def run(
    folder: Path, sets: dict[str, list[DynamicSceneGraph]], most_bad: float = 0.0
) -> dict[str, dict[str, dict[str, float]]]:
    for name, graphs in sets.items():
        write_graphs(folder / "events" / f"{name}.jsonl", graphs)
    metrics: dict[str, dict[str, dict[str, float]]] = make_graphs(
        SimpleNamespace(dsg=Parameters(max_bad_fraction=most_bad)), paths_in(folder)
    )
    return metrics


def result(folder: Path, name: str) -> list[DynamicSceneGraph]:
    return list(read_graphs(folder / "graphs" / f"{name}.jsonl"))


# ---- graphs


@given(many_events)
def test_graphs_are_those_of_the_rule_with_attributes(events: list[Event]) -> None:
    wanted = tuple(scene_graph(graph.triplets, attributes_of(graph.objects)) for graph in graphs_of(events))
    assert attributed_ticks(events) == wanted


@given(st.data(), many_events)
def test_the_order_of_events_changes_nothing(data: st.DataObject, events: list[Event]) -> None:
    shuffled = data.draw(st.permutations(events))
    assert graph_of_events(planned(tuple(shuffled))).ticks == graph_of_events(planned(tuple(events))).ticks


@given(many_events)
def test_the_last_graph_is_not_empty(events: list[Event]) -> None:
    ticks = graph_of_events(planned(tuple(events))).ticks
    assert len(ticks) == max((event.end + 1 for event in events), default=0)
    assert not ticks or ticks[-1].triplets


@given(many_events)
def test_results_are_valid_and_of_the_same_prompt(events: list[Event]) -> None:
    graph = graph_of_events(planned(tuple(events), "what was asked", "someone"))
    assert DynamicSceneGraph.model_validate_json(graph.model_dump_json()) == graph
    assert (graph.prompt, graph.source) == ("what was asked", "someone")


def test_entities_have_one_name_and_attributes_while_they_are_there() -> None:
    graph = graph_of_events(planned((BARK, RUN)))
    red, old, wooden = (
        Attribute(object=name, attribute=look)
        for name, look in (("red dog", "red"), ("old wooden chair", "old"), ("old wooden chair", "wooden"))
    )
    assert [tick.objects for tick in graph.ticks] == [
        ("red dog", "scene"),
        ("old wooden chair", "red dog", "scene"),
        ("old wooden chair", "red dog"),
        ("old wooden chair", "red dog"),
    ]
    assert [tick.attributes for tick in graph.ticks] == [(red,), *[(old, wooden, red)] * 3]


# ---- the stage


def test_the_example_of_the_method_in_the_stage(tmp_path: Path) -> None:
    run(tmp_path, {"llm-none/heldout": [planned(EVENTS[::-1], PROMPT)]})
    (graph,) = result(tmp_path, "llm-none/heldout")
    ticks = [set(tick.triplets) for tick in graph.ticks]
    assert ticks == [{SIT}, {SIT, DRINK}, {SIT}, {SIT, LOOK, MEET, GREET}, {SIT, LOOK}, {SIT, LOOK}]


def test_every_planner_and_set_keeps_its_order(tmp_path: Path) -> None:
    sets = {
        "parser/heldout": [planned((RUN,), "one"), planned((), "two"), planned((RUN, BARK), "three")],
        "parser/everyday": [planned((BARK,), "four")],
        "llm-none/heldout": [planned((), "one", "llm-none")],
    }
    metrics = run(tmp_path, sets)
    for name, graphs in sets.items():
        assert [graph.prompt for graph in result(tmp_path, name)] == [graph.prompt for graph in graphs]
    assert [len(graph.ticks) for graph in result(tmp_path, "parser/heldout")] == [3, 0, 4]
    assert metrics["parser"]["heldout"] == {
        "graphs": 3,
        "without_events": 1,
        "ticks": pytest.approx(7 / 3),
        "objects": pytest.approx(5 / 3),
        "attributes": pytest.approx(4 / 3),
        "triplets": 1.0,
        "ticks_of_an_object": pytest.approx((3 + 4 + 3) / 3),
    }
    assert metrics["llm-none"]["heldout"]["without_events"] == 1
    assert json.loads((tmp_path / "quarantine.jsonl").read_text()) == {"quarantined": 0}
    assert json.loads((tmp_path / "provenance.json").read_text())["stage"] == "tasks.dysen.dsg"


def test_a_second_run_gives_the_same_bytes(tmp_path: Path) -> None:
    sets = {"parser/heldout": [planned((RUN, BARK)), planned(EVENTS, PROMPT)]}
    first = run(tmp_path, sets)
    before = (tmp_path / "graphs" / "parser" / "heldout.jsonl").read_bytes()
    assert run(tmp_path, sets) == first
    assert (tmp_path / "graphs" / "parser" / "heldout.jsonl").read_bytes() == before


def _too_large() -> DynamicSceneGraph:
    looks = "red old new wet dry hot cold big tall fat thin soft hard"
    events = (Event(agent=f"{looks} a{n}", predicate="see", target=f"{looks} b{n}", start=0, end=1) for n in range(64))
    return planned(tuple(events), "too much")


def test_what_is_too_large_is_set_aside_but_keeps_its_place(tmp_path: Path) -> None:
    sets = {"parser/heldout": [_too_large(), planned((RUN,), "after")]}
    run(tmp_path, sets, most_bad=0.5)
    large, after = result(tmp_path, "parser/heldout")
    assert (large.ticks, len(large.events), len(after.ticks)) == ((), 64, 3)
    counted, line = map(json.loads, (tmp_path / "quarantine.jsonl").read_text().splitlines())
    assert (counted["quarantined"], line["item"], line["reason"]) == (1, "parser heldout 0", "too-large")
    with pytest.raises(StageError, match="1 of 2 items are bad"):
        run(tmp_path, sets, most_bad=0.4)


def test_wrong_input_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no PLANNER/SET\.jsonl in it"):
        make_graphs(SimpleNamespace(dsg=Parameters(max_bad_fraction=0.0)), paths_in(tmp_path))
    (tmp_path / "events" / "parser").mkdir(parents=True)
    (tmp_path / "events" / "parser" / "bad.jsonl").write_text('{"prompt": 3}\n')
    with pytest.raises(UserError, match=r"bad\.jsonl, line 1: prompt"):
        make_graphs(SimpleNamespace(dsg=Parameters(max_bad_fraction=0.0)), paths_in(tmp_path))
    assert not (tmp_path / "graphs").exists()
