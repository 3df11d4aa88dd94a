"""Latents of one shard in one safetensors file: tensor `latents` [N, C, h, w] float16, and facts beside it.

All facts are one JSON text under one metadata key: the format keeps several keys in random order, and equal inputs must give
equal bytes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

_KEY = "groundreel"


@dataclass(frozen=True)
class LatentFacts:
    """Where latents come from; `keys[n]` names row n; `scaling_factor` is already applied."""

    keys: list[str]
    autoencoder: str
    revision: str | None
    scaling_factor: float
    resolution: int
    posterior: str


def save_latents(path: Path, latents_NChw: torch.Tensor, facts: LatentFacts) -> None:
    """Writes the file; the tensor is stored as it is, contiguous."""
    metadata = {_KEY: json.dumps(asdict(facts), sort_keys=True)}
    save_file({"latents": latents_NChw.contiguous()}, path, metadata=metadata)


def load_latents(path: Path) -> tuple[torch.Tensor, LatentFacts]:
    """(latents [N, C, h, w], facts) of a file that `save_latents` wrote."""
    with safe_open(path, framework="pt") as file:
        return file.get_tensor("latents"), LatentFacts(**json.loads(file.metadata()[_KEY]))
