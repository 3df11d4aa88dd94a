"""Policies on disk: the same bits again, and refused for another encoder, other candidates, or damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tasks.common.errors import UserError
from tasks.common.safetensors_facts import facts_metadata
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.policies.demonstration_policy import DemonstrationPolicy
from tasks.dysen.policies.policy_files import candidates_sha256, load_policy, save_policy
from tests.dysen.graphs_for_tests import EVENTS, PROMPT
from tests.dysen.policies_for_tests import captions, units

ENCODER = "ab" * 32
GRAPHS = [
    DynamicSceneGraph(prompt=PROMPT, events=EVENTS, ticks=graphs_of(EVENTS), source="test"),
    DynamicSceneGraph(prompt="a dog", source="test"),
]
CANDIDATES = candidates_sha256(GRAPHS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "models" / "seed-0.safetensors"
    policy = DemonstrationPolicy(8, 6, 0.25, seed=3)
    save_policy(file, policy, encoder=ENCODER, candidates=CANDIDATES, shots=2, more={"reward": 0.5, "encoder": "näme"})
    return file


def refuse(path: Path, encoder: str = ENCODER, candidates: str = CANDIDATES) -> str:
    with pytest.raises(UserError) as refused:
        load_policy(path, encoder=encoder, candidates=candidates)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_a_policy_comes_back_as_it_was(path: Path) -> None:
    policy, facts = load_policy(path, encoder=ENCODER, candidates=CANDIDATES)
    original = DemonstrationPolicy(8, 6, 0.25, seed=3)
    assert torch.equal(policy.map_WD, original.map_WD)
    assert not policy.training
    assert not policy.map_WD.requires_grad
    queries, candidates = captions(units(5, 8, 0), "query"), captions(units(4, 8, 1), "candidate")
    assert torch.equal(policy.scores(queries, candidates), original.scores(queries, candidates))
    assert (facts.shots, facts.temperature, facts.more) == (2, 0.25, {"reward": 0.5, "encoder": "näme"})
    before = path.read_bytes()
    save_policy(path, policy, encoder=ENCODER, candidates=CANDIDATES, shots=2, more=facts.more)
    assert path.read_bytes() == before


def test_the_candidates_are_told_apart_by_all_that_stands_in_them() -> None:
    assert candidates_sha256(tuple(GRAPHS)) == CANDIDATES
    changed = [GRAPHS[0].model_copy(update={"events": EVENTS[:-1]}), GRAPHS[1]]
    assert len({CANDIDATES, candidates_sha256(GRAPHS[::-1]), candidates_sha256(GRAPHS[:1]), candidates_sha256(changed)}) == 4


def test_another_encoder_or_other_candidates_are_refused(path: Path) -> None:
    assert "text encoder abababababab, not of cdcdcdcdcdcd" in refuse(path, encoder="cd" * 32)
    assert "choose from the candidates" in refuse(path, candidates=candidates_sha256(GRAPHS[:1]))


def test_what_is_not_there_or_damaged_is_refused(path: Path) -> None:
    assert "not a whole safetensors file" in refuse(path.parent / "nothing")
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[: len(whole) // 2], b"\xff" * 64):
        path.write_bytes(damaged)
        assert "not a whole safetensors file" in refuse(path)


def _metadata(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        (text,) = file.metadata().values()
        facts: dict[str, Any] = json.loads(text)
        return facts


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda facts: facts.clear(), "encoder: Field required"),
        (lambda facts: facts.update(kind="adapters"), "kind: Input should be 'demonstration policy'"),
        (lambda facts: facts.update(temperature=0.0), "temperature"),
        (lambda facts: facts.update(shots="2"), "shots"),
        (lambda facts: facts.update({"new\nline": 1}), r"new\nline: Extra inputs"),
    ],
)
def test_other_facts_are_refused(path: Path, change: Callable[[dict[str, Any]], None], words: str) -> None:
    facts = _metadata(path)
    change(facts)
    save_file(load_file(path), path, metadata=facts_metadata(facts))
    assert words in refuse(path)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"map": torch.zeros(3)}, "float32 [3], not a float32 matrix"),
        ({"map": torch.zeros(3, 4, dtype=torch.float16)}, "float16 [3, 4]"),
        ({"map": torch.zeros(0, 4)}, "not a float32 matrix"),
        ({"map": torch.full((3, 4), torch.nan)}, "NaN or infinity"),
        ({"other": torch.zeros(3, 4)}, "holds other, not map"),
        ({}, "holds nothing, not map"),
    ],
)
def test_other_tensors_are_refused(path: Path, tensors: dict[str, torch.Tensor], words: str) -> None:
    save_file(tensors, path, metadata=facts_metadata(_metadata(path)))
    assert words in refuse(path)
