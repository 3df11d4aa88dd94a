"""A small contextual bandit: which of ten demonstrations helps depends on the query, and is not the nearest one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tasks.dysen.policies.demonstration_policy import Captions, Choice
from tasks.dysen.policies.policy_settings import PolicyTraining

GROUPS, CANDIDATES, WIDTH = 6, 10, 24
CHANCE = 0.1 + 0.8 * 2 / CANDIDATES
"""Mean reward of two demonstrations at random."""


def units(count: int, width: int, seed: int) -> Tensor:
    """Random unit vectors [count, width]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, width, generator=generator), dim=-1)


def captions(vectors_ND: Tensor, what: str) -> Captions:
    """Features with texts of their own."""
    return Captions(tuple(f"{what} {index}" for index in range(len(vectors_ND))), vectors_ND)


def settings(**changes: Any) -> PolicyTraining:
    """Two demonstrations, a short training."""
    values: dict[str, Any] = {
        "shots": 2, "width": 32, "temperature": 0.2, "epochs": 30, "batch": 20, "learning_rate": 0.01,
        "baseline_decay": 0.9, "entropy_weight": 0.01, "validation_fraction": 0.2,
    }  # fmt: skip
    return PolicyTraining(**{**values, **changes})


class Bandit:
    """Queries in groups; each group has one demonstration that helps.

    Attributes:
        asked: how many rewards were given.
    """

    def __init__(self, queries: int = 60) -> None:
        self.groups = [index % GROUPS for index in range(queries)]
        middles, noise = units(GROUPS, WIDTH, 0), units(queries, WIDTH, 1)
        near = torch.nn.functional.normalize(middles[self.groups] + 0.2 * noise, dim=-1)
        self.queries, self.candidates = captions(near, "query"), captions(units(CANDIDATES, WIDTH, 2), "candidate")
        self.best = [(3 * group + 1) % CANDIDATES for group in self.groups]
        self.asked = 0

    def reward(self, index: int, choice: Choice) -> float:
        """Much with the demonstration that helps, and little else that depends on query and choice alone."""
        return 0.1 + 0.8 * (self.best[index] in choice) + 0.1 * ((7 * index + sum(choice)) % 5) / 4 - 0.05

    def rewards(self, indices: Sequence[int], choices: Sequence[Choice]) -> list[float]:
        self.asked += len(indices)
        return [self.reward(index, choice) for index, choice in zip(indices, choices, strict=True)]
