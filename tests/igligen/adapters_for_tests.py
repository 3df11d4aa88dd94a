"""What tests of the adapters share: opened gates and grounding of random boxes."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import UNet2DConditionModel, UNet3DConditionModel
from torch import Tensor

from tasks.igligen.adapters import Unet, adapter_parameters, add_adapters, grounding_kwargs
from tests.video.unets_for_tests import small_unet

Grounding = tuple[Tensor, Tensor, Tensor]


@torch.no_grad()
def scramble(unet: Unet, seed: int = 3) -> None:
    """Gives every adapter parameter a random value, so the gates are open and null features are not zero."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in adapter_parameters(unet).values():
        drawn = torch.randn(parameter.shape, generator=generator) * (0.08 if parameter.ndim > 1 else 0.5)
        parameter.copy_(drawn)


def adapted(kind: str) -> UNet3DConditionModel:
    """A small video UNet with scrambled adapters."""
    unet = small_unet(kind)
    add_adapters(unet)
    scramble(unet)
    return unet


def gated_image_unet(image: UNet2DConditionModel) -> UNet2DConditionModel:
    """Diffusers' own UNet with adapters, of the same configuration, with random weights of its own."""
    config = {name: value for name, value in image.config.items() if not name.startswith("_")}
    return UNet2DConditionModel(**{**config, "attention_type": "gated"}).eval()


def grounding(width: int, rows: int, slots: int = 3, seed: int = 5) -> Grounding:
    """Random boxes [rows, S, 4], phrases [rows, S, W] and a mask [rows, S] in which the last slot is empty."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(rows, slots, 4, generator=generator).sort(dim=-1).values
    boxes_BS4 = corners[..., [0, 2, 1, 3]].clone()
    phrases_BSW = torch.randn(rows, slots, width, generator=generator)
    mask_BS = torch.ones(rows, slots)
    mask_BS[:, -1] = 0
    return boxes_BS4, phrases_BSW, mask_BS


@torch.no_grad()
def predict(unet: Unet, latents: Tensor, states_BTW: Tensor, grounded: Grounding | None = None) -> Tensor:
    """The UNet's output at timestep 500."""
    options: dict[str, Any] | None = None if grounded is None else grounding_kwargs(unet, *grounded)
    sample: Tensor = unet(latents, 500, encoder_hidden_states=states_BTW, cross_attention_kwargs=options).sample
    return sample
