"""The sprite world's text-to-video UNet, its noise schedule, and one training loss for videos and pictures alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel, UNet3DConditionModel
from torch import nn

from tasks.video.spatial_unet import is_temporal

CHANNELS = (48, 80, 96)
"""16x16 latents without attention, then 8x8 and 4x4 with it."""


def build_unet(text_width: int) -> UNet3DConditionModel:
    """A UNet3DConditionModel for latents [B, 4, F, 16, 16]; it starts as an image model, its temporal layers add nothing."""
    unet = UNet3DConditionModel(
        sample_size=16, block_out_channels=CHANNELS, layers_per_block=1, norm_num_groups=8, cross_attention_dim=text_width,
        attention_head_dim=16,
        down_block_types=("DownBlock3D", "CrossAttnDownBlock3D", "CrossAttnDownBlock3D"),
        up_block_types=("CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "UpBlock3D"),
    )  # fmt: skip
    for name, module in unet.named_modules():
        if is_temporal(name) and name.endswith("proj_out") and ".ff." not in name:
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return unet


def build_noise_schedule() -> DDPMScheduler:
    """Stable Diffusion's betas, rescaled to end in pure noise, so that the first step cannot peek at the answer."""
    return DDPMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type="v_prediction",
        rescale_betas_zero_snr=True, timestep_spacing="trailing", clip_sample=False,
    )  # fmt: skip


class TextStates:
    """Token states of captions from a frozen text encoder; a share of the captions is blanked for guidance."""

    def __init__(self, tokenizer: Any, text_encoder: Any) -> None:
        self.tokenizer, self.text_encoder = tokenizer, text_encoder.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, captions: Sequence[str]) -> torch.Tensor:
        """[B, T, width]."""
        tokens = self.tokenizer(
            list(captions), padding="max_length", truncation=True, max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        )  # fmt: skip
        states: torch.Tensor = self.text_encoder(tokens["input_ids"]).last_hidden_state
        return states


def diffusion_loss(
    unet: UNet2DConditionModel | UNet3DConditionModel,
    schedule: DDPMScheduler,
    latents: torch.Tensor,
    states_BTW: torch.Tensor,
    timesteps_B: torch.Tensor,
    noise: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Weighted mean squared error of the velocity; videos [B, C, F, h, w] or pictures [B, C, h, w], weights with C = 1."""
    noisy = schedule.add_noise(latents, noise, timesteps_B)
    wanted = schedule.get_velocity(latents, noise, timesteps_B)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = unet(noisy, timesteps_B, encoder_hidden_states=states_BTW).sample
    errors = (predicted.float() - wanted).square().mean(dim=1, keepdim=True)
    loss: torch.Tensor = (errors * weights).sum() / weights.sum()
    return loss
