"""Training a demonstration policy from the rewards of what it draws, kept after each epoch and resumed to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.common.errors import UserError
from tasks.common.progress import track
from tasks.common.seeds import item_seed
from tasks.common.training_checkpoints import Checkpoints
from tasks.common.training_curves import Curves
from tasks.dysen.policies.demonstration_policy import Captions, DemonstrationPolicy
from tasks.dysen.policies.policy_settings import PolicyTraining
from tasks.dysen.policies.reinforcement import Reinforcement, Rewards


@dataclass(frozen=True)
class TrainedPolicy:
    """The policy of the best epoch.

    Attributes:
        policy: in evaluation mode.
        epoch: 0 is the untrained policy.
        validation_reward: mean reward of its best choices on the held-out queries; None without them.
        untrained_reward: the same of the untrained policy.
        curves: `reinforcement.TRAINING` and `reinforcement.VALIDATION`, a point for each epoch.
    """

    policy: DemonstrationPolicy
    epoch: int
    validation_reward: float | None
    untrained_reward: float | None
    curves: Curves


async def train_policy(
    queries: Captions,
    candidates: Captions,
    rewards: Rewards,
    settings: PolicyTraining,
    seed: int,
    checkpoints: Checkpoints | None = None,
    name: str = "policy",
) -> TrainedPolicy:
    """Trains a policy and returns that of the epoch whose best choices do best on held-out queries.

    Args:
        queries: training queries; a part of them is held out.
        candidates: what demonstrations are taken from.
        rewards: asked with a batch of queries at a time; may be async.
        settings: all else that decides the result.
        seed: of the first weights, the held-out part, the order of queries and the draws.
        checkpoints: where each epoch is kept, under a key made of all of the above and of what the rewards depend on; a
            training that was killed goes on after its last whole epoch.
        name: what the progress calls it.

    Raises:
        UserError: there are no features or too few queries, or fewer candidates than `shots` for a query.
        StageError: a reward is no number from 0 to 1, or the loss or its gradient is not finite; the last checkpoint is
            kept.
    """
    held_out, others = _split(queries.texts, settings.validation_fraction, seed)
    training = Reinforcement(queries, candidates, rewards, settings, seed, others, held_out)
    if checkpoints is None:
        return await _trained(training, None, name)
    with checkpoints.locked():
        newest = checkpoints.newest()
        if newest is not None:
            training.restore(newest)
        return await _trained(training, checkpoints, name)


async def _trained(training: Reinforcement, checkpoints: Checkpoints | None, name: str) -> TrainedPolicy:
    if training.epoch == 0:
        await training.validate()
    left = range(training.epoch, training.settings.epochs)
    for _ in track(left, f"{name}: epochs", len(left), training.progress):
        await training.run_epoch()
        await training.validate()
        if checkpoints is not None:
            checkpoints.save(training.checkpoint())
    epoch = training.best_epoch
    rewards = training.held_out_reward(epoch), training.held_out_reward(0)
    return TrainedPolicy(training.best_policy(), epoch, *rewards, training.curves)


def _split(texts: Sequence[str], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices of held-out queries and of the others; equal texts stay together."""
    distinct = sorted(set(texts), key=lambda text: item_seed(seed, f"held out:{text}"))
    held_out = set(distinct[: round(fraction * len(distinct))])
    if len(held_out) == len(distinct):
        raise UserError("too few queries to train a demonstration policy on; give more of them")
    sides = [
        [index for index, text in enumerate(texts) if (text in held_out) == is_held_out] for is_held_out in (True, False)
    ]
    return sides[0], sides[1]
