"""The stage `events`: the parser beside a language model with chosen demonstrations, fallbacks, quarantine, second runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tasks.dysen import events
from tasks.dysen.planning.planner_names import choosing_of, needs_features
from tests.dysen.stages_for_tests import endpoint, graphs_in, json_in, made, run, write_gold, write_parameters
from tests.llm.endpoint_for_tests import Answer, ScriptedEndpoint, completion, says, serve

WRITTEN = ("out", "quarantine", "provenance", "metrics")
REPLY = "(dog, chase, cat, (0v, 7v))"
CAPTIONS = ("A dog chases a cat.", "A bird sings.", "A dog chases a cat.")


pytestmark = pytest.mark.usefixtures("key")


def set_up(work: Path, server: ScriptedEndpoint, planners: list[str], /, **changes: Any) -> None:
    write_gold(work / "gold", heldout=2, candidates=4)
    (work / "prompts").mkdir(exist_ok=True)
    (work / "prompts" / "mine.txt").write_text("\n".join(CAPTIONS), encoding="utf-8")
    write_parameters(work, events={"sets": ["mine"], "planners": planners, **changes}, llm=endpoint(server))


def stage(work: Path) -> int:
    return run(events, "events", events.read_events, work)


def shown_in(body: dict[str, Any]) -> list[str]:
    """The captions of the demonstrations of a question."""
    return [turn["content"] for turn in body["messages"][1:-1] if turn["role"] == "user"]


def test_each_caption_has_its_events_in_order_and_each_is_asked_once(tmp_path: Path) -> None:
    with serve(says(REPLY)) as server:
        set_up(tmp_path, server, ["llm-fixed", "parser"])
        assert stage(tmp_path) == 0
        assert len(server.bodies) == 2
    graphs = graphs_in(tmp_path, "llm-fixed", "mine")
    assert [graph.prompt for graph in graphs] == list(CAPTIONS)
    assert {graph.source for graph in graphs} == {"llm-fixed"}
    assert graphs[0].events == graphs[2].events
    parsed = graphs_in(tmp_path, "parser", "mine")
    assert (parsed[0].events[0].agent, parsed[0].events[0].target) == ("dog", "cat")
    assert json_in(tmp_path / "metrics")["llm-fixed"]["mine"] == {
        "captions": 3, "events": 3, "fallbacks": 0, "quarantined": 0,
    }  # fmt: skip


def test_demonstrations_are_those_of_the_planner(tmp_path: Path) -> None:
    shown = {}
    for planner in ("llm-none", "llm-fixed", "llm-random-0", "llm-random-1", "llm-nearest"):
        work = tmp_path / planner
        work.mkdir()
        with serve(says(REPLY)) as server:
            set_up(work, server, [planner])
            assert stage(work) == 0
            shown[planner] = [shown_in(body) for body in server.bodies]
    assert {planner: [len(set(captions)) for captions in found] for planner, found in shown.items()} == {
        planner: [0, 0] if planner == "llm-none" else [2, 2] for planner in shown
    }
    assert shown["llm-fixed"][0] == shown["llm-fixed"][1]
    assert shown["llm-random-0"] != shown["llm-random-1"]


def test_the_parser_reads_what_the_model_cannot(tmp_path: Path) -> None:
    with serve(says("no idea")) as server:
        set_up(tmp_path, server, ["llm-none"])
        assert stage(tmp_path) == 0
    graphs = graphs_in(tmp_path, "llm-none", "mine")
    assert {graph.source for graph in graphs} == {"llm-none, parser as fallback"}
    assert json_in(tmp_path / "metrics")["llm-none"]["mine"]["fallbacks"] == 3


def only_dogs(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
    return completion(REPLY if "dog" in body["messages"][1]["content"] else "no idea")


def test_without_fallback_it_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    with serve(only_dogs) as server:
        set_up(tmp_path, server, ["llm-none"], fallback=False, max_bad_fraction=0.5)
        assert stage(tmp_path) == 0
    assert [graph.prompt for graph in graphs_in(tmp_path, "llm-none", "mine")] == [CAPTIONS[0], CAPTIONS[2]]
    lines = (tmp_path / "quarantine").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert "A bird sings." in lines[1]


@pytest.mark.parametrize(
    ("script", "changes", "said"),
    [
        (says("no idea"), {"fallback": False}, "max_bad_fraction"),
        (says(REPLY), {"sets": ["nowhere"]}, "events.sets: no set 'nowhere'"),
        (says(REPLY), {"planners": ["llm-learned-0"]}, "policies"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], script: Answer, changes: dict[str, Any], said: str
) -> None:
    with serve(script) as server:
        set_up(tmp_path, server, ["llm-none"], **changes)
        assert stage(tmp_path) in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert said in lines[-1]
    assert not (tmp_path / "out").exists()


def test_a_second_run_asks_nothing_and_writes_the_same_bytes(tmp_path: Path) -> None:
    with serve(says(REPLY)) as server:
        set_up(tmp_path, server, ["llm-nearest", "parser"])
        assert stage(tmp_path) == 0
        first, asked = made(tmp_path, WRITTEN), len(server.bodies)
        assert stage(tmp_path) == 0
        assert len(server.bodies) == asked
    assert made(tmp_path, WRITTEN) == first


def test_sets_of_gold_are_known_by_name(tmp_path: Path) -> None:
    with serve(says(REPLY)) as server:
        set_up(tmp_path, server, ["parser"], sets=["heldout"])
        assert stage(tmp_path) == 0
        assert server.bodies == []
    assert len(graphs_in(tmp_path, "parser", "heldout")) == 2


def test_planners_tell_how_they_choose() -> None:
    values = YAML(typ="safe").load((Path(__file__).resolve().parents[2] / "params.yaml").read_text(encoding="utf-8"))
    planners = [planner for planner in values["events"]["planners"] if planner != "parser"]
    assert {choosing_of(planner) for planner in planners} >= {("none", 0), ("random", 2), ("learned", 1)}
    assert {planner for planner in planners if needs_features(planner)} >= {"llm-learned-0", "llm-nearest"}
