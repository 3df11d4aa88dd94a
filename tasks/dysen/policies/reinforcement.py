"""REINFORCE for a demonstration policy: exact log-probabilities, a moving-average baseline, an entropy bonus.

Legend: B queries at once, Q queries, C candidates, K demonstrations of a prompt, D width of the features, W of the map.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Awaitable, Callable, Sequence

import torch
from torch import Tensor

from tasks.common.errors import StageError, UserError
from tasks.common.seeds import item_seed
from tasks.common.training_checkpoints import Checkpoint
from tasks.common.training_curves import Curves
from tasks.dysen.policies.demonstration_policy import (
    Captions,
    Choice,
    Chooser,
    DemonstrationPolicy,
    allowed_candidates,
    as_choices,
    draw,
    draw_log_probability,
    entropy,
)
from tasks.dysen.policies.policy_settings import PolicyTraining

Rewards = Callable[[Sequence[int], Sequence[Choice]], Sequence[float] | Awaitable[Sequence[float]]]
"""From indices of queries, and a choice for each, to rewards from 0 to 1; the same question has the same answer."""

TRAINING, VALIDATION = "training", "validation"
"""Curves: reward, loss, entropy and baseline of an epoch's draws; and the reward of the best choices on held-out queries."""

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Reinforcement:
    """A policy on its way, after `epoch` epochs."""

    def __init__(
        self,
        queries: Captions,
        candidates: Captions,
        rewards: Rewards,
        settings: PolicyTraining,
        seed: int,
        training: Sequence[int],
        held_out: Sequence[int],
    ) -> None:
        """Takes queries, of which those with the indices `training` are learned from.

        Raises:
            UserError: there are no features, or they are not finite, or a query has fewer candidates than `shots`.
        """
        self.settings, self._seed, self._rewards = settings, seed, rewards
        self._queries, self._candidates = queries, candidates
        self._queries_QD, self._candidates_CD = _features(queries), _features(candidates)
        self._allowed_QC = allowed_candidates(queries.texts, candidates.texts, settings.shots)
        self._training, self._held_out = list(training), list(held_out)
        width = self._candidates_CD.shape[-1]
        self.policy = DemonstrationPolicy(width, settings.width, settings.temperature, item_seed(seed, "weights"))
        self._map_WD = self.policy.map_WD
        self._optimiser = torch.optim.Adam([self._map_WD], lr=settings.learning_rate)
        self.epoch, self.best_epoch = 0, 0
        self.curves = Curves()
        self._best_WD = self._map_WD.detach().clone()
        self._baseline: float | None = None

    def held_out_reward(self, epoch: int) -> float | None:
        """Mean reward of an epoch's best choices on the held-out queries; None if it was not measured."""
        points = self.curves.points.get(VALIDATION, [])
        return next((point["reward"] for point in points if point["step"] == epoch), None)

    def progress(self) -> str:
        """The newest rewards."""
        newest = {"reward": self.curves.last(TRAINING, "reward"), "held out": self.curves.last(VALIDATION, "reward")}
        return ", ".join(f"{name} {value:.4f}" for name, value in newest.items() if value is not None)

    async def _rewards_of(self, indices: Sequence[int], choices: Sequence[Choice]) -> list[float]:
        answer = self._rewards(indices, choices)
        values = list(await answer if inspect.isawaitable(answer) else answer)
        if len(values) != len(indices):
            raise StageError(f"there are {len(values)} rewards for {len(indices)} queries, after epoch {self.epoch}")
        for index, value in zip(indices, values, strict=True):
            if not 0 <= value <= 1:
                raise StageError(
                    f"after epoch {self.epoch}: the reward of {self._queries.texts[index][:60]!r} is {value}, which is no "
                    "number from 0 to 1; the last good checkpoint is kept"
                )
        return [float(value) for value in values]

    async def run_epoch(self) -> None:
        """Draws for every training query once, in random order, and takes a step after each batch."""
        generator = torch.Generator().manual_seed(item_seed(self._seed, f"epoch:{self.epoch}"))
        order = torch.tensor(self._training)[torch.randperm(len(self._training), generator=generator)]
        sums = dict.fromkeys(("reward", "loss", "entropy"), 0.0)
        for start in range(0, len(order), self.settings.batch):
            batch_B = order[start : start + self.settings.batch]
            for measure, value in (await self._step(batch_B, generator)).items():
                sums[measure] += value * len(batch_B)
        self.epoch += 1
        means = {measure: total / len(order) for measure, total in sums.items()}
        self.curves.add(TRAINING, self.epoch, **means, baseline=self._baseline)

    async def _step(self, batch_B: Tensor, generator: torch.Generator) -> dict[str, float]:
        settings = self.settings
        logs_BC = self.policy(self._queries_QD[batch_B], self._candidates_CD, self._allowed_QC[batch_B])
        drawn_BK = draw(logs_BC.detach(), settings.shots, generator)
        rewards = await self._rewards_of(batch_B.tolist(), as_choices(drawn_BK))
        mean = math.fsum(rewards) / len(rewards)
        baseline = mean if self._baseline is None else self._baseline
        entropy_B = entropy(logs_BC)
        gains_B = (torch.tensor(rewards) - baseline) * draw_log_probability(logs_BC, drawn_BK)
        loss = -(gains_B + settings.entropy_weight * entropy_B).mean()
        self._update(loss)
        self._baseline = baseline + (1 - settings.baseline_decay) * (mean - baseline)
        return {"reward": mean, "loss": float(loss.detach()), "entropy": float(entropy_B.detach().mean())}

    def _update(self, loss: Tensor) -> None:
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient_WD = self._map_WD.grad
        is_finite = gradient_WD is not None and bool(torch.isfinite(loss) and torch.isfinite(gradient_WD).all())
        if is_finite:
            self._optimiser.step()
        if not is_finite or not torch.isfinite(self._map_WD).all():
            raise StageError(
                f"the training of the policy diverged after epoch {self.epoch}: NaN or infinity in loss, gradient or "
                "the weights; the last good checkpoint is kept. Lower the learning rate or raise the temperature"
            )

    async def validate(self) -> None:
        """Measures the best choices on the held-out queries, if any; weights are kept if no earlier ones did as well."""
        best = self.held_out_reward(self.best_epoch)
        reward = None
        if self._held_out:
            texts = tuple(self._queries.texts[index] for index in self._held_out)
            held_out = Captions(texts, self._queries_QD[self._held_out])
            choices = Chooser(self.policy.scores).choose(held_out, self._candidates, self.settings.shots)
            reward = math.fsum(await self._rewards_of(self._held_out, choices)) / len(self._held_out)
            self.curves.add(VALIDATION, self.epoch, reward=reward)
        if reward is None or best is None or reward > best:
            self.best_epoch, self._best_WD = self.epoch, self._map_WD.detach().clone()

    def best_policy(self) -> DemonstrationPolicy:
        """A copy of the policy as it was after the best epoch so far."""
        best = copy.deepcopy(self.policy).eval().requires_grad_(False)
        best.map_WD.copy_(self._best_WD)
        return best

    def checkpoint(self) -> Checkpoint:
        """All that the next epoch depends on, as copies; an epoch's draws have a generator of their own."""
        moments = self._optimiser.state_dict()["state"][0]
        tensors = {"map": self._map_WD, "best_map": self._best_WD}
        tensors.update({f"optimiser.{moment}": moments[moment] for moment in _MOMENTS})
        copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        state = {"baseline": self._baseline, "best_epoch": self.best_epoch, "curves": self.curves.to_json()}
        return Checkpoint(self.epoch, copies, copy.deepcopy(state))

    @torch.no_grad()
    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on where `checkpoint` was taken, by a training of the same queries, candidates, settings and seed."""
        tensors, state = checkpoint.tensors, checkpoint.state
        self._map_WD.copy_(tensors["map"])
        self._best_WD, self.best_epoch = tensors["best_map"].clone(), state["best_epoch"]
        moments = {moment: tensors[f"optimiser.{moment}"].clone() for moment in _MOMENTS}
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": {0: moments}})
        self.epoch, self._baseline = checkpoint.step, state["baseline"]
        self.curves = Curves.from_json(copy.deepcopy(state["curves"]))


def _features(captions: Captions) -> Tensor:
    """[N, D] float32 on the CPU."""
    if captions.vectors_ND is None:
        raise UserError("a demonstration policy is trained on features of captions; name a text encoder")
    vectors_ND = captions.vectors_ND.float().cpu()
    if not torch.isfinite(vectors_ND).all():
        raise UserError("features of captions are NaN or infinite; set compute.dtype to float32 or name another encoder")
    return vectors_ND
