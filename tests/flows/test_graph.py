"""The DAG that the runners read is the one that DVC has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from flows.dvc_project import DvcProject
from flows.errors import UsageError
from flows.graph import Graph, StageMeta, StageSpec
from flows.pools import Pools, read_limits
from flows.prefect_runs.dag_picture import draw_dag
from flows.prefect_runs.delegation import StageName
from flows.stage_run import Outcome
from flows.walk import walk
from tests.flows.small_projects import make_project
from tests.pipeline.workspaces import ROOT, dvc


def spec(name: str, upstream: tuple[str, ...] = (), pool: str = "cpu", gpus: int = 1) -> StageSpec:
    return StageSpec(name, "", "", StageMeta(pool=pool, gpus=gpus), ".", upstream, (), (), (), (), ())


def test_the_graph_is_that_of_dvc() -> None:
    dot = dvc(ROOT, "dag", "--dot").stdout
    expected = {(before, after) for before, after in re.findall(r'"([^"]+)" -> "([^"]+)"', dot) if "models/" not in before}
    with DvcProject(ROOT) as project:
        graph = project.graph
    assert {(before, stage.name) for stage in graph for before in stage.upstream} == expected
    assert {stage.name: (stage.system, stage.meta.pool) for stage in graph}["boxes"] == ("corpus", "gpu")
    assert graph["boxes"].metrics == ("reports/boxes.json",)
    assert graph["boxes"].figures == ("reports/figures/boxes.png",)
    assert set(graph["boxes"].uncached) == {"reports/boxes.json", "reports/figures/boxes.png"}
    assert "models/sprite/detector" in graph.outside_inputs()
    assert {path for path in graph.outside_inputs() if path.startswith("data/")} == {"data/prompts"}
    assert {stage.name for stage in graph.select(["corpus"])} == {"spriteworld", "ingest", "boxes", "latents"}
    assert {stage.name for stage in graph.select(["lvd_stage1"])} == {"layouts", "lvd_stage1"}
    dreamframe = {stage.name for stage in graph.select(["dreamframe"])}
    assert dreamframe == {"story", "style", "keyframes", "qa", "instructions", "storyboard"}
    dysen = {stage.name for stage in graph.select(["dysen"])}
    assert dysen == {"gold", "policy", "events", "dsg", "enrich", "dsg_eval", "graph_view"}
    others = dreamframe | dysen | {"report"}
    assert {stage.name for stage in graph.select(["lvd"])} == {stage.name for stage in graph} - others


def test_every_stage_can_be_given_to_a_worker() -> None:
    names = TypeAdapter(StageName)
    with DvcProject(ROOT) as project:
        for stage in project.graph:
            assert names.validate_python(stage.name) == stage.name
    for hostile in ("", "../up", "a/b", "a b", "a;b", "a\n"):
        with pytest.raises(ValidationError):
            names.validate_python(hostile)


def test_a_matrix_is_selected_as_a_whole_or_by_instance(tmp_path: Path) -> None:
    pipeline = (
        "stages:\n  part:\n    matrix: {which: [one, two]}\n    cmd: python stage.py part data/${item.which}.txt\n"
        "    deps: [stage.py]\n    outs: ['data/${item.which}.txt']\n"
    )
    with DvcProject(make_project(tmp_path / "project", pipeline)) as project:
        assert sorted(stage.name for stage in project.graph.select(["part"])) == ["part@one", "part@two"]
        assert [stage.name for stage in project.graph.select(["part@two"])] == ["part@two"]
        with pytest.raises(UsageError, match="did you mean `part@two`"):
            project.graph.select(["part@too"])


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 12))
    stages = []
    for number in range(count):
        before = draw(st.sets(st.integers(0, max(0, number - 1)), max_size=3)) if number else set()
        stages.append(
            spec(f"s{number}", tuple(f"s{other}" for other in sorted(before)), draw(st.sampled_from(["cpu", "gpu"])))
        )
    return Graph(stages)


@given(graphs(), st.integers(1, 3), st.sets(st.integers(0, 11)), st.booleans())
def test_a_walk_respects_order_limits_and_failures(graph: Graph, limit: int, bad: set[int], keep_going: bool) -> None:
    from flows.errors import RunError

    running: dict[str, int] = {"cpu": 0, "gpu": 0}
    most = dict(running)
    done: set[str] = set()

    def work(stage: StageSpec, environment: object) -> Outcome:
        assert done.issuperset(stage.upstream)
        running[stage.meta.pool] += 1
        most[stage.meta.pool] = max(most[stage.meta.pool], running[stage.meta.pool])
        running[stage.meta.pool] -= 1
        if int(stage.name[1:]) in bad:
            raise RunError("bad")
        done.add(stage.name)
        return Outcome(stage.name, "Ran")

    pools = Pools(graph, {"cpu": limit, "gpu": limit})
    ends = walk(graph, work, pools, keep_going=keep_going, done=lambda outcome: None, stop=lambda: None)
    assert [end.stage for end in ends] == list(graph.stages)
    assert all(number <= limit for number in most.values())
    states = {end.stage: end.state for end in ends}
    for stage in graph:
        if any(states[name] != "Ran" for name in stage.upstream):
            assert states[stage.name] == "Skipped"
        elif keep_going:
            assert states[stage.name] == ("Failed" if int(stage.name[1:]) in bad else "Ran")
    assert ("Failed" in states.values()) == any(int(name[1:]) in bad for name in states if states[name] != "Skipped")


def test_gpu_stages_get_cards_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    one, two, three = spec("one", pool="gpu"), spec("two", pool="gpu", gpus=2), spec("three", pool="gpu")
    pools = Pools(Graph([one, two, three]), {})
    assert pools.take(one) == {"CUDA_VISIBLE_DEVICES": "4"}
    assert pools.take(two) == {"CUDA_VISIBLE_DEVICES": "5,6"}
    assert pools.take(three) is None
    pools.give_back(one)
    assert pools.take(three) == {"CUDA_VISIBLE_DEVICES": "4"}


@pytest.mark.parametrize("text", ["gpu", "gpu=0", "gpu=many", "=1"])
def test_wrong_limits_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="such as gpu=1"):
        read_limits((text,))


def test_the_picture_shows_every_stage_and_edge_and_escapes_names() -> None:
    graph = Graph([spec("one"), spec("two<script>", ("one",)), spec("three", ("one",))])
    picture = draw_dag(graph, [Outcome("one", "Ran"), Outcome("three", "Failed")])
    assert picture.count("<path") == 2
    assert picture.count("<rect") == 4
    assert "two&lt;script&gt;" in picture
    assert "cpu · Failed" in picture
