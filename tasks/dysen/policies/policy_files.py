"""Demonstration policies to and from safetensors files, each bound to its text encoder and its candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tasks.common.errors import UserError
from tasks.common.files import complete
from tasks.common.provenance import digest
from tasks.common.quarantine import printable
from tasks.common.safetensors_facts import facts_metadata, read_facts
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.dysen.policies.demonstration_policy import DemonstrationPolicy

_WEIGHT = "map"
_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class PolicyFacts(BaseModel):
    """What a policy was trained for.

    Attributes:
        encoder: `TextFeatures.identity` of the encoder of its features.
        candidates: `candidates_sha256` of what it chooses from.
        temperature: that its scores are divided by.
        shots: demonstrations of a prompt.
        more: provenance and scores, for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Literal["demonstration policy"] = "demonstration policy"
    encoder: _Hash
    candidates: _Hash
    temperature: float = Field(gt=0, le=100, allow_inf_nan=False)
    shots: int = Field(ge=1, le=64)
    more: dict[str, Any] = Field(default_factory=dict)


def candidates_sha256(candidates: Sequence[DynamicSceneGraph]) -> str:
    """Hash of demonstrations in their order, with all that stands in them."""
    return digest([candidate.model_dump(mode="json") for candidate in candidates])


def save_policy(
    path: Path,
    policy: DemonstrationPolicy,
    *,
    encoder: str,
    candidates: str,
    shots: int,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Writes the map's weights in float32, and `PolicyFacts` in the file's metadata.

    Raises:
        ValueError: facts are out of range.
    """
    facts = PolicyFacts(
        encoder=encoder, candidates=candidates, temperature=policy.temperature, shots=shots, more=dict(more or {})
    )
    weights = {_WEIGHT: policy.map_WD.detach().float().cpu().contiguous()}
    with complete(path) as unfinished:
        save_file(weights, unfinished, metadata=facts_metadata(facts.model_dump()))


def load_policy(path: Path, *, encoder: str, candidates: str) -> tuple[DemonstrationPolicy, PolicyFacts]:
    """The policy, in evaluation mode, and its facts.

    Args:
        path: what `save_policy` wrote.
        encoder: `TextFeatures.identity` of the encoder that is to be used.
        candidates: `candidates_sha256` of what is to be chosen from.

    Raises:
        UserError: the file is missing, damaged or holds something else, or the policy belongs to another encoder or to
            other candidates.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = _facts(path, read_facts(path, file.metadata()))
            names = sorted(file.keys())
            if names != [_WEIGHT]:
                raise UserError(
                    f"{path}: holds {printable(', '.join(names) or 'nothing', 100)}, not {_WEIGHT}; run `policy` again"
                )
            weight_WD = file.get_tensor(_WEIGHT)
    except (OSError, SafetensorError) as error:
        reason = printable(" ".join(str(error).split()), 200)
        raise UserError(f"{path}: not a whole safetensors file: {reason}; run the stage `policy` again") from None
    if facts.encoder != encoder:
        raise UserError(
            f"{path}: trained on features of the text encoder {facts.encoder[:12]}, not of {encoder[:12]}; set the encoder "
            "that it was trained with, or run the stage `policy` again"
        )
    if facts.candidates != candidates:
        raise UserError(
            f"{path}: trained to choose from the candidates {facts.candidates[:12]}, not from {candidates[:12]}; give those "
            "that it was trained with, or run the stage `policy` again"
        )
    return _policy(path, weight_WD, facts), facts


def _facts(path: Path, found: dict[str, Any]) -> PolicyFacts:
    try:
        return PolicyFacts.model_validate(found)
    except ValidationError as error:
        problem = error.errors()[0]
        place = printable(".".join(map(str, problem["loc"])), 100)
        raise UserError(
            f"{path}: not a demonstration policy: {place}: {problem['msg']}; name one that `policy` wrote"
        ) from None


def _policy(path: Path, weight_WD: Tensor, facts: PolicyFacts) -> DemonstrationPolicy:
    if weight_WD.ndim != 2 or not weight_WD.numel() or weight_WD.dtype != torch.float32:
        kind = str(weight_WD.dtype).removeprefix("torch.")
        raise UserError(
            f"{path}: its map is {kind} {list(weight_WD.shape)}, not a float32 matrix; run the stage `policy` again"
        )
    if not torch.isfinite(weight_WD).all():
        raise UserError(f"{path}: its map holds NaN or infinity; run the stage `policy` again")
    width, features = weight_WD.shape
    policy = DemonstrationPolicy(features, width, facts.temperature).eval().requires_grad_(False)
    policy.map_WD.copy_(weight_WD)
    return policy
