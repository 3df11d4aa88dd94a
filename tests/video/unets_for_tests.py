"""Small random text-to-video UNets of the two shapes that matter: the sprite model's and ModelScope's."""

from __future__ import annotations

import copy
from functools import cache

import torch
from diffusers import UNet3DConditionModel
from diffusers.models.resnet import TemporalConvLayer
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from torch import Tensor, nn

from tests.video.tiny_text_to_video import TEXT_WIDTH, tiny_unet

WIDTHS = {"sprite": TEXT_WIDTH, "modelscope": 24}
FUSERS = {"sprite": 7, "modelscope": 16}


@cache
def _pristine(kind: str, seed: int) -> UNet3DConditionModel:
    torch.manual_seed(seed)
    unet = tiny_unet(seed) if kind == "sprite" else _modelscope_like()
    for module in unet.modules():
        for layer in _outputs_of_temporal(module):
            nn.init.normal_(layer.weight, std=0.05)
            nn.init.normal_(layer.bias, std=0.05)
    return unet.eval()


def small_unet(kind: str, seed: int = 0) -> UNet3DConditionModel:
    """A UNet of its own with random weights, temporal layers included, in evaluation mode."""
    return copy.deepcopy(_pristine(kind, seed))


def _modelscope_like() -> UNet3DConditionModel:
    return UNet3DConditionModel(
        sample_size=8, block_out_channels=(8, 16, 16, 16), layers_per_block=2, norm_num_groups=4, attention_head_dim=8,
        cross_attention_dim=WIDTHS["modelscope"],
        down_block_types=("CrossAttnDownBlock3D", "CrossAttnDownBlock3D", "CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D"),
    )  # fmt: skip


def _outputs_of_temporal(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, TransformerTemporalModel):
        return [module.proj_out]
    return [module.conv4[-1]] if isinstance(module, TemporalConvLayer) else []


def without_motion(unet: UNet3DConditionModel) -> UNet3DConditionModel:
    """The same UNet; its temporal layers now add nothing, so every frame is a picture of its own."""
    for module in unet.modules():
        for layer in _outputs_of_temporal(module):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    return unet


def noise(unet: UNet3DConditionModel, videos: int = 1, frames: int = 4) -> tuple[Tensor, Tensor]:
    """Latents [B, 4, F, h, w] and text states [B, 5, W]."""
    generator = torch.Generator().manual_seed(1)
    latents_BCFhw = torch.randn(videos, 4, frames, 8, 8, generator=generator)
    return latents_BCFhw, torch.randn(videos, 5, unet.config.cross_attention_dim, generator=generator)
