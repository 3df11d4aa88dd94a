"""Stage `policy`: which demonstrations a caption wants, learned from how good a language model's plans with them are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from tasks.common import stage
from tasks.common.files import complete, write_json
from tasks.common.provenance import digest, made_by
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, read_graphs
from tasks.dysen.planning.demonstrations import Pool, open_encoder, policy_file, read_candidates
from tasks.dysen.planning.event_prompts import predicates_of
from tasks.dysen.policies.policy_settings import PolicyTraining, RewardTerms
from tasks.llm.model import CachedModel, open_model
from tasks.llm.reply_cache import ReplyCache

if TYPE_CHECKING:
    from tasks.common.training_curves import Curves
    from tasks.dysen.policies.policy_training import TrainedPolicy
    from tasks.dysen.policies.rollouts import Rollouts


class Parameters(PolicyTraining):
    """What the policy sees of a caption, what it is rewarded for, and how often it is trained."""

    encoder: str = Field(
        min_length=1, description="frozen text encoder of captions: a CLIP folder, a diffusers folder, a hub id"
    )
    revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    pooling: Literal["end", "mean"] = Field(description="a caption's features: the end token's state, or the mean of all")
    seeds: list[int] = Field(min_length=1, max_length=100, description="a policy is trained with each")
    rewards: RewardTerms
    imagined_ticks: int = Field(ge=0, le=64, description="ticks of a plan that are imagined for the reward; 0 for none")

    @field_validator("seeds")
    @classmethod
    def _are_seeds(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError("seeds are different whole numbers from 0 on")
        return seeds


@dataclass(frozen=True)
class Paths:
    """Gold graphs in, replies of the language model in and out; policies, curves and metrics out, and a part store."""

    gold: Path
    replies: Path
    out: Path
    provenance: Path
    curves: Path
    metrics: Path
    parts: Path


def _settings(project: Any) -> dict[str, Any]:
    """All that decides the policies besides gold and code."""
    return {
        "policy": project.policy.model_dump(),
        "last_tick": project.events.last_tick,
        "compute": project.compute.model_dump(include={"device", "dtype"}),
        "model": project.llm.model,
        **project.llm.reply_settings(),
    }


async def _train_all(
    project: Any, pool: Pool, queries: Sequence[DynamicSceneGraph], store: Path, replies: Path
) -> dict[int, TrainedPolicy]:
    from tasks.common.training_checkpoints import Checkpoints
    from tasks.dysen.policies.policy_files import candidates_sha256
    from tasks.dysen.policies.policy_training import train_policy

    parameters: Parameters = project.policy
    captions = pool.captions([query.prompt for query in queries])
    candidates = pool.captions([shown.prompt for shown in pool.candidates])
    made = made_by("tasks.dysen.policy", _settings(project))
    key = digest([made, candidates_sha256(pool.candidates), candidates_sha256(queries)])
    trained = {}
    async with open_model(project.llm, replies) as model:
        rollouts = _rollouts(project, pool, queries, model)
        for seed in parameters.seeds:
            checkpoints = Checkpoints(store / f"seed-{seed}", key)
            trained[seed] = await train_policy(
                captions, candidates, rollouts, parameters, seed, checkpoints, f"policy: seed {seed}"
            )
    return trained


def _rollouts(project: Any, pool: Pool, queries: Sequence[DynamicSceneGraph], model: CachedModel) -> Rollouts:
    from tasks.dysen.policies.rewards import Reward
    from tasks.dysen.policies.rollouts import Rollouts

    parameters: Parameters = project.policy
    return Rollouts(
        model=model,
        queries=queries,
        candidates=pool.candidates,
        vocabulary=predicates_of(pool.candidates),
        last_tick=project.events.last_tick,
        imagined_ticks=parameters.imagined_ticks if parameters.rewards.imagination else 0,
        reward=Reward(parameters.rewards),
    )


def _curves(trained: dict[int, TrainedPolicy]) -> Curves:
    """A curve for each measure, a column for each seed."""
    from tasks.common.training_curves import Curves
    from tasks.dysen.policies.reinforcement import TRAINING, VALIDATION

    curves = Curves()
    for name, curve, measure in (
        ("reward_of_draws", TRAINING, "reward"),
        ("reward_of_best_choices_held_out", VALIDATION, "reward"),
        ("entropy_of_draws", TRAINING, "entropy"),
    ):
        columns = {f"seed_{seed}": one.curves.points.get(curve, []) for seed, one in trained.items()}
        for points in zip(*columns.values(), strict=True):
            values = {column: point[measure] for column, point in zip(columns, points, strict=True)}
            curves.add(name, int(points[0]["step"] or 0), **values)
    return curves


def _metrics(trained: dict[int, TrainedPolicy], queries: int, candidates: int) -> stage.Metrics:
    from tasks.dysen.policies.reinforcement import TRAINING

    return {
        "queries": queries,
        "candidates": candidates,
        **{
            f"seed_{seed}": {
                "best_epoch": one.epoch,
                "held_out_reward": one.validation_reward,
                "held_out_reward_untrained": one.untrained_reward,
                "reward_of_first_draws": one.curves.points[TRAINING][0]["reward"],
                "reward_of_last_draws": one.curves.points[TRAINING][-1]["reward"],
            }
            for seed, one in trained.items()
        },
    }


def learn_policies(project: Any, paths: Paths) -> stage.Metrics:
    """Trains a policy for each seed, and writes them with their curves."""
    from tasks.dysen.policies.policy_files import candidates_sha256, save_policy

    parameters: Parameters = project.policy
    ReplyCache(paths.replies).ensure()
    encoder = open_encoder(project)
    pool = Pool(read_candidates(paths.gold / "candidates.jsonl"), encoder, parameters.shots)
    queries = list(read_graphs(paths.gold / "train.jsonl"))
    trained = asyncio.run(_train_all(project, pool, queries, paths.parts, paths.replies))
    with complete(paths.out, folder=True) as folder:
        for seed, one in trained.items():
            save_policy(
                policy_file(folder, seed),
                one.policy,
                encoder=encoder.identity,
                candidates=candidates_sha256(pool.candidates),
                shots=parameters.shots,
                more={"seed": seed, "epoch": one.epoch},
            )
    _curves(trained).write(paths.curves)
    write_json(paths.provenance, made_by("tasks.dysen.policy", _settings(project)))
    return _metrics(trained, len(queries), len(pool.candidates))


if __name__ == "__main__":
    sys.exit(stage.main("policy", Paths, learn_policies))
