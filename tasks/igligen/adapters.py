"""GLIGEN's grounding adapters in image and video UNets: phrases appear in their boxes (specs/lvd.md 4.4, 4.6).

The position net turns every (phrase, box) into a grounding token. A gated self-attention layer, the `fuser`, between
self-attention and cross-attention of every spatial transformer block lets the picture look at these tokens. The gates start
at 0, so new adapters change nothing. Parameters have the names of diffusers' UNet2DConditionModel(attention_type="gated"),
hence of the released checkpoints, in both kinds of UNet: adapters trained on images fit the video model as they are.

Layout of tensors: B images, or videos x frames (video-major, frame-minor); S grounding slots; W text width.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from diffusers import UNet2DConditionModel, UNet3DConditionModel
from diffusers.models.attention import GatedSelfAttentionDense
from diffusers.models.embeddings import GLIGENTextBoundingboxProjection
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from torch import Tensor, nn

Unet: TypeAlias = UNet2DConditionModel | UNet3DConditionModel

MOST_VIDEO_SLOTS = 30
"""Grounding slots per frame in generation."""

_POSITION_NET = "position_net"
_FUSER = "fuser"


def is_adapter(name: str) -> bool:
    """Whether a parameter of this dotted name belongs to the adapters."""
    return name.startswith(f"{_POSITION_NET}.") or f".{_FUSER}." in name


def has_adapters(unet: Unet) -> bool:
    """Whether the UNet has adapters already."""
    return hasattr(unet, _POSITION_NET)


def _new_adapters(unet: Unet) -> dict[str, nn.Module]:
    """Fresh adapter modules by the names they have in the UNet."""
    width = unet.config.cross_attention_dim
    adapters: dict[str, nn.Module] = {_POSITION_NET: GLIGENTextBoundingboxProjection(positive_len=width, out_dim=width)}
    for name, module in unet.named_modules():
        if isinstance(module, Transformer2DModel):
            for index, block in enumerate(module.transformer_blocks):
                adapters[f"{name}.transformer_blocks.{index}.{_FUSER}"] = GatedSelfAttentionDense(
                    block.dim, width, block.num_attention_heads, block.attention_head_dim
                )
    return adapters


def adapter_shapes(unet: Unet) -> dict[str, torch.Size]:
    """Shapes of the parameters that adapters of this UNet have, whether they are there yet or not."""
    with torch.device("meta"):
        adapters = _new_adapters(unet)
    return {f"{at}.{name}": weight.shape for at, module in adapters.items() for name, weight in module.named_parameters()}


def _without_grounding(
    _module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Hides grounding tokens from a temporal transformer: its blocks have no fuser and would fail on them."""
    options = named.get("cross_attention_kwargs") or {}
    kept = {key: value for key, value in options.items() if key != "gligen"}
    return inputs, {**named, "cross_attention_kwargs": kept}


def add_adapters(unet: Unet) -> None:
    """Adds adapters to every spatial transformer block; the UNet's outputs stay the same to the bit.

    Initial weights come from torch's random state; device, precision and mode are the UNet's. An image UNet is from then on
    what diffusers calls "gated", also when saved and loaded; of a saved video UNet diffusers itself loads the base only.

    Raises:
        ValueError: the UNet has adapters already.
    """
    if has_adapters(unet):
        raise ValueError("the UNet has adapters already")
    for name, module in _new_adapters(unet).items():
        unet.set_submodule(name, module.to(unet.device, unet.dtype).train(unet.training))
    if isinstance(unet, UNet2DConditionModel):
        unet.register_to_config(attention_type="gated")
    for module in unet.modules():
        if isinstance(module, TransformerTemporalModel):
            module.register_forward_pre_hook(_without_grounding, with_kwargs=True)


def adapter_parameters(unet: Unet) -> dict[str, nn.Parameter]:
    """The adapters' parameters by their names in released checkpoints; empty without adapters."""
    return {name: parameter for name, parameter in unet.named_parameters() if is_adapter(name)}


def fusers(unet: Unet) -> dict[str, GatedSelfAttentionDense]:
    """The gated self-attention layers by their names."""
    return {name: module for name, module in unet.named_modules() if isinstance(module, GatedSelfAttentionDense)}


def set_adapters_enabled(unet: Unet, enabled: bool) -> None:
    """Lets all fusers act or pass the picture through untouched; holds until the next call."""
    for fuser in fusers(unet).values():
        fuser.enabled = enabled


def gates(unet: Unet) -> dict[str, tuple[float, float]]:
    """How far each fuser is open: tanh(alpha_attn), tanh(alpha_dense), from -1 to 1, both 0 at the start."""
    return {name: (fuser.alpha_attn.tanh().item(), fuser.alpha_dense.tanh().item()) for name, fuser in fusers(unet).items()}


def grounding_kwargs(unet: Unet, boxes_BS4: Tensor, phrases_BSW: Tensor, mask_BS: Tensor) -> dict[str, Any]:
    """What to pass to the UNet as `cross_attention_kwargs` so that it puts phrases into boxes.

    Every image or frame sees its own slots only. Slots where the mask is 0 become the learnt null token whatever finite
    box and phrase they hold; a row of them is the unconditional half of classifier-free guidance.

    Args:
        unet: with adapters.
        boxes_BS4: left, top, right, bottom in 0..1 of the picture.
        phrases_BSW: phrase embeddings (phrase_embeddings.PhraseEmbedder).
        mask_BS: 1 where a slot holds an object, else 0.
    """
    inputs = {"boxes": boxes_BS4, "masks": mask_BS, "positive_embeddings": phrases_BSW}
    if isinstance(unet, UNet2DConditionModel):  # its forward pass runs the position net itself
        return {"gligen": {name: value.to(unet.device, unet.dtype) for name, value in inputs.items()}}
    # bfloat16 would put the highest Fourier features of a box off by up to 0.2.
    weights = {name: weight.float() for name, weight in unet.position_net.named_parameters()}
    inputs = {name: value.to(unet.device, torch.float32) for name, value in inputs.items()}
    objs_BSW = torch.func.functional_call(unet.position_net, weights, kwargs=inputs)
    return {"gligen": {"objs": objs_BSW.to(unet.dtype)}}
