"""The spatial half of a text-to-video UNet as a stock 2D UNet, sharing its weights.

ModelScope's 3D UNet is an image UNet with temporal layers between (specs/lvd.md 6.3): without `transformer_in`, `temp_convs`
and `temp_attentions` the rest has the names, shapes and meaning of a UNet2DConditionModel, so adapters train on images.
"""

from __future__ import annotations

import inspect
from typing import Any

from diffusers import UNet2DConditionModel, UNet3DConditionModel
from torch import nn

from tasks.common.errors import UserError

_BLOCKS_2D = {
    "CrossAttnDownBlock3D": "CrossAttnDownBlock2D",
    "DownBlock3D": "DownBlock2D",
    "UpBlock3D": "UpBlock2D",
    "CrossAttnUpBlock3D": "CrossAttnUpBlock2D",
}
_TEMPORAL = ("transformer_in", "temp_convs", "temp_attentions")


def is_temporal(name: str) -> bool:
    """Whether a parameter or module of this dotted name belongs to the temporal half."""
    return any(part in _TEMPORAL for part in name.split("."))


def _config_2d(config: Any) -> dict[str, Any]:
    channels = config.block_out_channels
    head_dims = config.attention_head_dim
    head_dims = [head_dims] * len(channels) if isinstance(head_dims, int) else list(head_dims)
    kept = (name for name in inspect.signature(UNet2DConditionModel).parameters if name in config)
    return {
        **{name: config[name] for name in kept},
        "down_block_types": tuple(_BLOCKS_2D[name] for name in config.down_block_types),
        "up_block_types": tuple(_BLOCKS_2D[name] for name in config.up_block_types),
        # The 2D class calls the number of heads `attention_head_dim`.
        "attention_head_dim": [width // dim for width, dim in zip(channels, head_dims, strict=True)],
        "use_linear_projection": True,
    }


def _share(target: nn.Module, source: nn.Module, name: str = "") -> None:
    """Gives `target` the parameters of `source` of the same names; `target` may not own one that `source` lacks."""
    for key, weight in target._parameters.items():
        shared = source._parameters.get(key)
        if (weight is None) != (shared is None):
            raise UserError(f"the video model has no {name}{key}; it is not built like ModelScope's")
        target._parameters[key] = shared
    children = dict(source.named_children())
    for key, child in target.named_children():
        if key not in children:
            if next(child.parameters(), None) is None:
                continue
            raise UserError(f"the video model has no {name}{key}; it is not built like ModelScope's")
        _share(child, children[key], f"{name}{key}.")


def spatial_unet(unet: UNet3DConditionModel) -> UNet2DConditionModel:
    """A 2D UNet that shares all its weights with `unet`: training one trains the other.

    Raises:
        UserError: the 3D UNet is not an image UNet with temporal layers between.
    """
    unknown = [name for name in (*unet.config.down_block_types, *unet.config.up_block_types) if name not in _BLOCKS_2D]
    if unknown:
        raise UserError(f"{unknown[0]}: no 2D block corresponds to it; expected blocks of UNet3DConditionModel")
    flat = UNet2DConditionModel(**_config_2d(unet.config))
    _share(flat, unet)
    return flat.to(unet.device).train(unet.training)
