"""Training a demonstration policy: it learns, resumes to the bit, and stops at what is not a number."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from tasks.common.errors import StageError, UserError
from tasks.common.seeds import item_seed
from tasks.common.training_checkpoints import Checkpoint, Checkpoints
from tasks.dysen.policies.demonstration_policy import Captions, Choice, Chooser, DemonstrationPolicy, at_random, nearest
from tasks.dysen.policies.policy_settings import PolicyTraining
from tasks.dysen.policies.policy_training import TrainedPolicy, train_policy
from tasks.dysen.policies.reinforcement import TRAINING, VALIDATION, Rewards
from tests.dysen.policies_for_tests import CHANCE, Bandit, captions, settings, units


def train(
    bandit: Bandit, plan: PolicyTraining, seed: int = 0, store: Checkpoints | None = None, rewards: Rewards | None = None
) -> TrainedPolicy:
    return asyncio.run(train_policy(bandit.queries, bandit.candidates, rewards or bandit.rewards, plan, seed, store))


def newest(store: Checkpoints) -> Checkpoint:
    found = store.newest()
    assert found is not None
    return found


def helpful_share(trained: TrainedPolicy, bandit: Bandit) -> float:
    """Mean probability that the first draw is the demonstration that helps."""
    scores = trained.policy.scores(bandit.queries, bandit.candidates).softmax(-1)
    return float(scores[range(len(bandit.best)), bandit.best].mean())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_rewarded_becomes_likely(seed: int) -> None:
    bandit, unseen = Bandit(), Bandit(90)
    trained = train(bandit, settings(), seed)
    curve = [point["reward"] for point in trained.curves.points[TRAINING]]
    assert curve[0] is not None
    assert curve[-1] is not None
    assert curve[-1] > curve[0] + 0.3
    assert helpful_share(trained, bandit) > 0.5
    texts, vectors = unseen.queries
    assert vectors is not None
    new = Captions(texts[60:], vectors[60:])

    def reward(chooser: Chooser) -> float:
        choices = chooser.choose(new, unseen.candidates, 2)
        return sum(unseen.rewards(range(60, 90), choices)) / 30

    assert reward(Chooser(trained.policy.scores)) > 0.7
    assert reward(Chooser(at_random(seed))) == pytest.approx(CHANCE, abs=0.15)
    assert reward(Chooser(nearest)) < 0.5


def test_the_best_epoch_on_held_out_queries_is_taken() -> None:
    bandit = Bandit()
    trained = train(bandit, settings(epochs=12))
    rewards = [point["reward"] for point in trained.curves.points[VALIDATION]]
    assert len(rewards) == 13, "the untrained policy is measured too"
    assert all(reward is not None for reward in rewards)
    best = max(reward for reward in rewards if reward is not None)
    assert (trained.epoch, trained.validation_reward, trained.untrained_reward) == (rewards.index(best), best, rewards[0])
    assert bandit.asked == 12 * 48 + 13 * 12
    points = trained.curves.points[TRAINING]
    assert [set(point) for point in points] == [{"step", "reward", "loss", "entropy", "baseline"}] * 12
    last = train(Bandit(), settings(epochs=12, validation_fraction=0.0))
    assert (last.epoch, last.validation_reward, last.untrained_reward) == (12, None, None)


def test_if_nothing_helps_the_untrained_policy_stays() -> None:
    def same(indices: Sequence[int], choices: Sequence[Choice]) -> list[float]:
        return [0.5] * len(indices)

    trained = train(Bandit(), settings(epochs=3), rewards=same)
    assert trained.epoch == 0
    assert all(point["baseline"] == 0.5 for point in trained.curves.points[TRAINING])


def test_steps_follow_the_formula() -> None:
    """The same by a loop of its own: mean of -(reward - baseline) log p - weight times entropy, and a moving baseline."""
    bandit, asked = Bandit(12), list[tuple[Sequence[int], Sequence[Choice]]]()

    def note(indices: Sequence[int], choices: Sequence[Choice]) -> list[float]:
        asked.append((indices, choices))
        return bandit.rewards(indices, choices)

    plan = settings(epochs=3, batch=12, validation_fraction=0.0, entropy_weight=0.3, baseline_decay=0.7)
    trained = train(bandit, plan, seed=4, rewards=note)
    policy = DemonstrationPolicy(24, plan.width, plan.temperature, item_seed(4, "weights"))
    optimiser = torch.optim.Adam(policy.parameters(), lr=plan.learning_rate)
    baseline = None
    assert bandit.queries.vectors_ND is not None
    for (indices, choices), point in zip(asked, trained.curves.points[TRAINING], strict=True):
        rewards = torch.tensor([bandit.reward(index, choice) for index, choice in zip(indices, choices, strict=True)])
        baseline = float(rewards.mean()) if baseline is None else baseline
        allowed = torch.ones(12, 10).bool()
        logs = policy(bandit.queries.vectors_ND[list(indices)], bandit.candidates.vectors_ND, allowed)
        gains = []
        for row, choice, reward in zip(logs, choices, rewards, strict=True):
            second, first = choice
            log_probability = row[first] + row[second] - torch.log(1 - row[first].exp())
            gains.append((reward - baseline) * log_probability - 0.3 * (row.exp() * row).sum())
        loss = -torch.stack(gains).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        baseline = 0.7 * baseline + 0.3 * float(rewards.mean())
        assert point["loss"] == pytest.approx(float(loss.detach()), abs=1e-5)
        assert point["baseline"] == pytest.approx(baseline)
        assert point["reward"] == pytest.approx(float(rewards.mean()))
    torch.testing.assert_close(trained.policy.map_WD, policy.map_WD.detach(), rtol=0, atol=1e-4)


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize(("fraction", "asked"), [(0.2, 300), (0.0, 61)])
def test_resumed_is_the_same_to_the_bit(tmp_path: Path, fraction: float, asked: int) -> None:
    plan = settings(epochs=6, validation_fraction=fraction)
    straight_store, store = Checkpoints(tmp_path / "straight", "key"), Checkpoints(tmp_path / "killed", "key")
    straight = train(Bandit(), plan, store=straight_store)
    first = Bandit()

    def until_killed(indices: Sequence[int], choices: Sequence[Choice]) -> list[float]:
        if first.asked > asked:
            raise Killed
        return first.rewards(indices, choices)

    with pytest.raises(Killed):
        train(first, plan, store=store, rewards=until_killed)
    assert 0 < newest(store).step < 6
    resumed = train(Bandit(), plan, store=store)
    whole, parts = newest(straight_store), newest(store)
    assert whole.tensors.keys() == parts.tensors.keys() >= {"map", "best_map", "optimiser.exp_avg", "optimiser.exp_avg_sq"}
    assert all(torch.equal(tensor, parts.tensors[name]) for name, tensor in whole.tensors.items())
    assert (whole.step, json.dumps(whole.state)) == (parts.step, json.dumps(parts.state))
    assert torch.equal(resumed.policy.map_WD, straight.policy.map_WD)
    assert (resumed.epoch, resumed.curves) == (straight.epoch, straight.curves)
    third = Bandit()
    assert torch.equal(train(third, plan, store=store).policy.map_WD, straight.policy.map_WD)
    assert third.asked == 0, "a finished training asks nothing more"


def test_another_seed_is_another_training_and_the_same_seed_is_not() -> None:
    maps = [train(Bandit(), settings(epochs=2, validation_fraction=0.0), seed).policy.map_WD for seed in (0, 0, 1)]
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])


def test_rewards_may_be_awaited() -> None:
    bandit = Bandit()

    async def later(indices: Sequence[int], choices: Sequence[Choice]) -> list[float]:
        await asyncio.sleep(0)
        return bandit.rewards(indices, choices)

    plan = settings(epochs=2)
    assert torch.equal(train(bandit, plan, rewards=later).policy.map_WD, train(bandit, plan).policy.map_WD)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.001, -0.001])
def test_a_reward_that_is_none_stops_it_and_the_last_good_epoch_is_kept(tmp_path: Path, value: float) -> None:
    bandit, store = Bandit(), Checkpoints(tmp_path, "key")

    def spoilt(indices: Sequence[int], choices: Sequence[Choice]) -> list[float]:
        rewards = bandit.rewards(indices, choices)
        return [*rewards[:-1], value] if bandit.asked > 200 else rewards

    with pytest.raises(StageError, match=r"reward of 'query \d+' is .*, which is no number from 0 to 1") as stopped:
        train(bandit, settings(), store=store, rewards=spoilt)
    assert "\n" not in str(stopped.value)
    kept = newest(store)
    assert kept.step == 3
    assert all(torch.isfinite(tensor).all() for tensor in kept.tensors.values())


def test_too_few_rewards_stop_it() -> None:
    bandit = Bandit()
    with pytest.raises(StageError, match="19 rewards for 20 queries"):
        train(bandit, settings(validation_fraction=0.0), rewards=lambda indices, choices: [0.5] * (len(indices) - 1))


def test_a_training_that_diverges_stops() -> None:
    with pytest.raises(StageError, match="diverged after epoch 0") as stopped:
        train(Bandit(), settings(temperature=1e-44, validation_fraction=0.0))
    assert "\n" not in str(stopped.value)


def test_what_cannot_be_trained_on_is_refused() -> None:
    bandit = Bandit()
    texts, vectors = bandit.queries
    assert vectors is not None
    refused = [
        (Captions(texts, None), bandit.candidates, settings(), "name a text encoder"),
        (Captions(texts, vectors * torch.nan), bandit.candidates, settings(), "NaN or infinite"),
        (bandit.queries, bandit.candidates, settings(shots=11), "only 10 candidates"),
        (Captions((), vectors[:0]), bandit.candidates, settings(), "too few queries"),
        (captions(vectors[:1], "candidate"), captions(units(2, 24, 0), "candidate"), settings(), "only 1 candidates"),
    ]
    for queries, candidates, plan, words in refused:
        with pytest.raises(UserError, match=words) as error:
            asyncio.run(train_policy(queries, candidates, bandit.rewards, plan, 0))
        assert "\n" not in str(error.value)


def test_a_query_that_is_a_candidate_is_not_shown_its_answer() -> None:
    bandit = Bandit()
    shown: set[tuple[int, int]] = set()

    def look(indices: Sequence[int], choices: Sequence[Choice]) -> list[float]:
        shown.update((index, chosen) for index, choice in zip(indices, choices, strict=True) for chosen in choice)
        return [0.5] * len(indices)

    assert bandit.queries.vectors_ND is not None
    pool = Captions(bandit.queries.texts[:10], bandit.queries.vectors_ND[:10])
    asyncio.run(train_policy(bandit.queries, pool, look, settings(epochs=8), 0))
    assert len(shown) > 100
    assert not any(index == chosen for index, chosen in shown)


@pytest.mark.parametrize(
    "change", [{"shots": 0}, {"temperature": 0.0}, {"baseline_decay": 1.0}, {"validation_fraction": 0.6}, {"steps": 1}]
)
def test_settings_have_ranges(change: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        settings(**change)
