"""Recording where chosen layers of a diffusion UNet look for each token of the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from tasks.common.errors import UserError

LVD_LAYERS = (
    "down_blocks.1.attentions.0",
    "down_blocks.2.attentions.0",
    "down_blocks.2.attentions.1",
    "up_blocks.1.attentions.0",
    "up_blocks.1.attentions.1",
    "up_blocks.2.attentions.2",
)
"""The layers that LLM-grounded video diffusion guides (specs/lvd.md 4.3)."""

_FIRST_BLOCK = ".transformer_blocks.0.attn2"
_SHOWN = 4


class _AllRecorded(Exception):
    """Ends a forward pass of which no more is wanted."""


class AttentionRecorder:
    """Within `with`, records the cross-attention of some layers; afterwards the UNet is as it was.

    The layers keep their processors: the recorder looks at what goes into a layer and works out the probabilities itself, in
    float32, so the UNet's output does not change. With gradient checkpointing, take gradients within the `with`, too.

    Args:
        unet: a diffusers `UNet3DConditionModel` or `UNet2DConditionModel`.
        layer_names: "down_blocks.1.attentions.0.transformer_blocks.0.attn2", or for short "down_blocks.1.attentions.0".

    Raises:
        UserError: no layers are named, or one that is no cross-attention of this UNet.
    """

    def __init__(self, unet: nn.Module, layer_names: Sequence[str]) -> None:
        self._unet = unet
        self._layers = _cross_attention(unet, layer_names)
        self._handles: list[RemovableHandle] = []
        self._maps: dict[str, Tensor] | None = None
        self._stops = False

    def __enter__(self) -> AttentionRecorder:
        for name, layer in self._layers.items():
            self._handles.append(layer.register_forward_pre_hook(partial(self._look, name), with_kwargs=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._handles:
            self._handles.pop().remove()

    def record(self, **inputs: Any) -> dict[str, Tensor]:
        """Runs the UNet up to the last of the layers only.

        Args:
            inputs: what the UNet takes, `sample`, `timestep`, `encoder_hidden_states` and others.

        Returns:
            Of each layer, by the name given and in the order given, probabilities [batch * frames, heads, cells, tokens]
            in float32, with their graph where gradients are enabled.
        """
        return self._run(inputs, stops=True)[1]

    def run(self, **inputs: Any) -> tuple[Any, dict[str, Tensor]]:
        """Runs the whole UNet: what it returns, and the maps as of `record`."""
        return self._run(inputs, stops=False)

    def _run(self, inputs: dict[str, Any], stops: bool) -> tuple[Any, dict[str, Tensor]]:
        if not self._handles:
            raise RuntimeError("attention is recorded within `with AttentionRecorder(...) as recorder:` only")
        output = None
        self._maps, self._stops = {}, stops
        try:
            output = self._unet(**inputs)
        except _AllRecorded:
            pass
        finally:
            maps, self._maps, self._stops = self._maps, None, False
        return output, {name: maps[name] for name in self._layers}

    def _look(self, name: str, layer: Any, args: tuple[Any, ...], inputs: dict[str, Any]) -> None:
        """Before a layer runs. Checkpointing runs it again for gradients, and then needs the same work, kept or not."""
        if self._maps is None and not torch.is_grad_enabled():
            return
        probabilities = _probabilities(layer, *args, **inputs)
        if self._maps is not None:
            self._maps[name] = probabilities
            if self._stops and len(self._maps) == len(self._layers):
                raise _AllRecorded


def _cross_attention(unet: nn.Module, layer_names: Sequence[str]) -> dict[str, Any]:
    known = {
        name: module
        for name, module in unet.named_modules()
        if isinstance(module, Attention) and name.endswith(".attn2") and module.is_cross_attention
    }
    full_names = {name: name if name in known else name + _FIRST_BLOCK for name in layer_names}
    unknown = [name for name, full in full_names.items() if full not in known]
    if unknown or not layer_names:
        shown = ", ".join(name.removesuffix(_FIRST_BLOCK) for name in list(known)[:_SHOWN]) or "none"
        wrong = ", ".join(unknown[:_SHOWN]) or "none given"
        raise UserError(
            f"attention layers {wrong}: not among the {len(known)} layers of this UNet that read a prompt: {shown}, ..."
        )
    return {name: known[full] for name, full in full_names.items()}


def _probabilities(
    layer: Any,
    hidden_states: Tensor,
    encoder_hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    **_others: Any,
) -> Tensor:
    """[batch, heads, cells, tokens], as the layer works them out, but in float32."""
    count, tokens, _ = encoder_hidden_states.shape
    mask = layer.prepare_attention_mask(attention_mask, tokens, count)
    prompt = layer.norm_encoder_hidden_states(encoder_hidden_states) if layer.norm_cross else encoder_hidden_states
    query = layer.head_to_batch_dim(layer.to_q(hidden_states)).float()
    key = layer.head_to_batch_dim(layer.to_k(prompt)).float()
    probabilities: Tensor = layer.get_attention_scores(query, key, None if mask is None else mask.float())
    return probabilities.reshape(count, layer.heads, *probabilities.shape[1:])
