"""The stage `policy`: it learns which demonstration an endpoint wants, goes on after a kill, and asks nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.common.text_features import TextFeatures
from tasks.dysen import policy
from tasks.dysen.graphs.dynamic_scene_graph import read_graphs
from tasks.dysen.graphs.event_grammar import format_events
from tasks.dysen.planning.demonstrations import Pool, policy_file, read_candidates
from tests.dysen.stages_for_tests import ROOT, endpoint, json_in, made, run, write_gold, write_parameters
from tests.llm.endpoint_for_tests import Answer, ScriptedEndpoint, completion, serve

WRITTEN = ("out", "provenance", "curves", "metrics")
NOTHING = {"planning": 0.0, "imagination": 0.0, "video": 0.0, "planning_measure": "f1", "matching": "lemma"}
TRAINING: dict[str, Any] = {
    "shots": 1, "epochs": 12, "batch": 6, "temperature": 0.3, "learning_rate": 0.05, "validation_fraction": 0.25,
    "seeds": [0, 1], "imagined_ticks": 0, "encoder": str(ROOT / "models" / "sprite" / "text"),
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("key")


def set_up(work: Path, server: ScriptedEndpoint, **changes: Any) -> Answer:
    """Writes gold and parameters; the answer is right if the first candidate is shown, and wrong otherwise."""
    sets = write_gold(work / "gold", candidates=5, train=16)
    write_parameters(work, policy={**TRAINING, **changes}, llm=endpoint(server))
    gold = {graph.prompt: format_events(graph.events) for graph in sets["train"]}
    wanted = sets["candidates"][0].prompt

    def answer(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
        caption = body["messages"][-1]["content"].removeprefix("Caption: ")
        shown = body["messages"][1]["content"].removeprefix("Caption: ")
        return completion(gold[caption] if shown == wanted else "(moon, rise in, scene, (0v, 7v))")

    return answer


def stage(work: Path) -> int:
    return run(policy, "policy", policy.learn_policies, work)


def learnt(work: Path, **changes: Any) -> int:
    """Runs the stage; how many calls it made."""
    with serve(lambda server, body: b"") as server:
        server.script = [set_up(work, server, **changes)]
        assert stage(work) == 0
        return len(server.bodies)


def test_the_demonstration_that_helps_is_found_by_every_seed(tmp_path: Path) -> None:
    calls = learnt(tmp_path)
    metrics = json_in(tmp_path / "metrics")
    assert (metrics["queries"], metrics["candidates"]) == (16, 5)
    for seed in (0, 1):
        assert metrics[f"seed_{seed}"]["held_out_reward"] == 1.0
        assert metrics[f"seed_{seed}"]["reward_of_last_draws"] > metrics[f"seed_{seed}"]["reward_of_first_draws"]
    assert calls <= 16 * 5  # each query with each candidate, at most once
    encoder = TextFeatures(TRAINING["encoder"], None, "cpu", torch.float32, "mean")
    pool = Pool(read_candidates(tmp_path / "gold" / "candidates.jsonl"), encoder, 1, tmp_path / "out")
    chosen = pool.choice("learned", 1)([graph.prompt for graph in read_graphs(tmp_path / "gold" / "train.jsonl")])
    assert sum(shown[-1] == pool.candidates[0] for shown in chosen) >= 14
    heads = (tmp_path / "curves" / "reward_of_draws.tsv").read_text(encoding="utf-8").splitlines()
    assert heads[0].split("\t") == ["step", "seed_0", "seed_1"]
    assert len(heads) == 1 + TRAINING["epochs"]


def test_a_second_run_asks_nothing_and_writes_the_same_bytes(tmp_path: Path) -> None:
    learnt(tmp_path, epochs=2)
    first = made(tmp_path, WRITTEN)
    assert learnt(tmp_path, epochs=2) == 0
    assert made(tmp_path, WRITTEN) == first


def test_other_parameters_train_afresh(tmp_path: Path) -> None:
    learnt(tmp_path, epochs=2)
    first = made(tmp_path, ["out"])
    learnt(tmp_path, epochs=2, learning_rate=0.04)
    assert made(tmp_path, ["out"]) != first


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shots": 6}, "6 demonstrations asked for, but only 5 candidates"),
        ({"seeds": [1, 1]}, "seeds are different whole numbers"),
        ({"rewards": NOTHING}, "at least one weight"),
        ({"encoder": "models/nowhere"}, "models/nowhere"),
    ],
)
def test_what_cannot_be_learnt_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    with serve(lambda server, body: b"") as server:
        server.script = [set_up(tmp_path, server, **changes)]
        assert stage(tmp_path) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / "out").exists()


def test_a_policy_is_kept_for_its_seed(tmp_path: Path) -> None:
    assert policy_file(tmp_path, 3).name == "seed-3.safetensors"
