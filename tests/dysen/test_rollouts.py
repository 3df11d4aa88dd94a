"""Rollouts of demonstration choices against an endpoint that plans and imagines as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.dysen.graphs.event_grammar import format_events
from tasks.dysen.policies.demonstration_policy import Choice
from tasks.dysen.policies.policy_settings import RewardTerms
from tasks.dysen.policies.rewards import Reward
from tasks.dysen.policies.rollouts import Rollouts, imagined_ticks
from tasks.llm.model import open_model
from tests.dysen.stages_for_tests import write_gold
from tests.llm.endpoint_for_tests import Answer, ScriptedEndpoint, completion, says, serve, settings

pytestmark = pytest.mark.usefixtures("key")


def terms(planning: float, imagination: float) -> RewardTerms:
    return RewardTerms(planning=planning, imagination=imagination, video=0.0, planning_measure="f1", matching="lemma")


def knowing(queries: Sequence[DynamicSceneGraph], helpful: str) -> Answer:
    """Plans as gold if the last demonstration is the helpful one, badly otherwise; imagines nothing that is right."""
    gold = {query.prompt: format_events(query.events) for query in queries}

    def answer(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
        last, asked = body["messages"][-3]["content"], body["messages"][-1]["content"]
        if not asked.startswith("Caption: "):
            return completion("(sky, is, blue)")
        good = last == f"Caption: {helpful}"
        return completion(gold[asked.removeprefix("Caption: ")] if good else "(moon, rise in, scene, (0v, 7v))")

    return answer


def rewards_of(
    folder: Path, answer: Answer, queries: Sequence[DynamicSceneGraph], candidates: Sequence[DynamicSceneGraph],
    choices: Sequence[Choice], terms_: RewardTerms, ticks: int = 0,
) -> tuple[list[float], int]:  # fmt: skip
    """The rewards of the first query with each choice, asked for twice, and how many calls that took."""

    async def ask(url: str) -> list[float]:
        async with open_model(settings(url), folder / "replies.jsonl") as model:
            rollouts = Rollouts(model, queries, candidates, ("move to",), 7, ticks, Reward(terms_))
            first = await rollouts([0] * len(choices), choices)
            assert await rollouts([0] * len(choices), choices) == first
            return first

    with serve(answer) as server:
        return asyncio.run(ask(server.url)), len(server.bodies)


def test_a_choice_is_worth_what_its_plan_is_worth(tmp_path: Path) -> None:
    sets = write_gold(tmp_path / "gold", candidates=3, train=2)
    answer = knowing(sets["train"], sets["candidates"][2].prompt)
    choices = [(0, 2), (2, 0), (1, 2), (0, 2)]
    rewards, calls = rewards_of(tmp_path, answer, sets["train"], sets["candidates"], choices, terms(1.0, 0.0))
    assert rewards == [1.0, 0.0, 1.0, 1.0]
    assert calls == 3


def test_imagination_counts_with_its_weight(tmp_path: Path) -> None:
    sets = write_gold(tmp_path / "gold", candidates=3, train=2)
    answer = knowing(sets["train"], sets["candidates"][2].prompt)
    found = [
        rewards_of(tmp_path / str(weight), answer, sets["train"], sets["candidates"], [(0, 2)], terms(1.0, weight), ticks)
        for weight, ticks in ((0.0, 0), (1.0, 2))
    ]
    (plain,), (both,) = [rewards for rewards, _ in found]
    assert plain == 1.0
    assert 0.5 <= both <= 1.0
    assert found[1][1] > found[0][1] == 1  # the plan, and its ticks


def test_no_usable_reply_is_worth_nothing(tmp_path: Path) -> None:
    sets = write_gold(tmp_path / "gold", candidates=2, train=1)
    rewards, calls = rewards_of(tmp_path, says("I cannot."), sets["train"], sets["candidates"], [(0, 1)], terms(1.0, 0.0))
    assert rewards == [0.0]
    assert calls == 2


@pytest.mark.parametrize(
    ("count", "ticks", "expected"), [(0, 8, []), (1, 8, [4]), (2, 8, [2, 6]), (9, 2, [0, 1]), (3, 0, [])]
)
def test_imagined_ticks_are_spread(count: int, ticks: int, expected: list[int]) -> None:
    assert imagined_ticks(count, ticks) == expected
