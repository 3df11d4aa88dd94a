"""Events, scene graphs, and files of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.common.errors import UserError
from tasks.dysen.graphs.dynamic_scene_graph import (
    DynamicSceneGraph,
    Event,
    SceneGraph,
    as_term,
    read_graphs,
    scene_graph,
    write_graphs,
)
from tests.dysen.graphs_for_tests import DRINK, EVENTS, SIT, scene_graphs


@given(st.text(max_size=30))
def test_a_term_stays_as_it_is(text: str) -> None:
    try:
        term = as_term(text)
    except ValueError:
        return
    assert as_term(term) == term
    assert term == term.lower()


@pytest.mark.parametrize(
    ("text", "term"), [(" “Sitting  On” ", "sitting on"), ("- Dog’s bowl.", "dog's bowl"), ("`T-shirt`", "t-shirt")]
)
def test_a_term_is_made_plain(text: str, term: str) -> None:
    assert as_term(text) == term


@pytest.mark.parametrize("text", ["", "...", "a, b", "a (b)", "a" * 101, "a\x00b", 'a": "b', "a\u202eb"])
def test_what_is_no_term_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a term has"):
        as_term(text)


@pytest.mark.parametrize(("start", "end"), [(1, 1), (2, 1), (-1, 1), (0, 65)])
def test_an_event_lasts(start: int, end: int) -> None:
    with pytest.raises(ValidationError):
        Event(agent="a", predicate="b", target="c", start=start, end=end)


def test_a_scene_graph_is_canonical() -> None:
    graph = scene_graph([SIT, DRINK, SIT], objects=["table", "lady"])
    assert graph.triplets == (DRINK, SIT)
    assert graph.objects == ("chair", "coffee", "lady", "table")
    with pytest.raises(ValidationError, match="sorted and distinct"):
        SceneGraph(objects=("chair", "coffee", "lady"), triplets=(SIT, DRINK))
    with pytest.raises(ValidationError, match="every object"):
        SceneGraph(objects=("chair",), triplets=(SIT,))


@given(st.lists(st.lists(scene_graphs, max_size=3), max_size=3), st.text(st.characters(codec="utf-8"), max_size=8))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, ticks: list[list[SceneGraph]], prompt: str
) -> None:
    graphs = [DynamicSceneGraph(prompt=prompt, events=EVENTS, ticks=tuple(entry), source="test") for entry in ticks]
    path = tmp_path_factory.mktemp("graphs") / "graphs.jsonl"
    write_graphs(path, graphs)
    assert list(read_graphs(path)) == graphs


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "graphs.jsonl"
    path.write_text('{"prompt": "p"}\n\n{"prompt": "p", "ticks": [{"objects": ["A"]}]}\n')
    with pytest.raises(UserError, match=r"graphs\.jsonl, line 3: ticks\.0\.objects\.0: .* lower case"):
        list(read_graphs(path))
    path.write_text("{")
    with pytest.raises(UserError, match=r"graphs\.jsonl, line 1: Invalid JSON.*; mend or remove that line"):
        list(read_graphs(path))
    with pytest.raises(UserError, match="No such file"):
        list(read_graphs(tmp_path / "none.jsonl"))
