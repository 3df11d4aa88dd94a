"""The denoising loop of text-to-video models, and the way between pixels and latents.

Legend: B videos, C channels, F frames, H W sides in pixels, h w of latents, T tokens of a prompt, D text width.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from numpy.typing import NDArray
from torch import Tensor

Generators: TypeAlias = torch.Generator | list[torch.Generator] | None
BeforeStep: TypeAlias = Callable[[int, Tensor, Tensor], Tensor]
_FRAMES_AT_ONCE = 8


@dataclass(frozen=True)
class Conditions:
    """What a batch of videos is to show.

    Attributes:
        states_BTD: token states of the prompts.
        negative_BTD: those of what is not wanted, if there is classifier-free guidance.
        guidance_scale: its scale.
        grounding: `cross_attention_kwargs` for adapters, the videos without prompts first if there is such guidance.
        grounded_steps: steps, from the first, in which adapters act.
    """

    states_BTD: Tensor
    negative_BTD: Tensor | None
    guidance_scale: float
    grounding: dict[str, Any] | None = None
    grounded_steps: int = 0


def text_states(tokenizer: Any, text_encoder: Any, texts: Sequence[str]) -> Tensor:
    """Token states [B, T, D]; what the encoder cannot read any more is cut off."""
    ids_BT = tokenizer(
        list(texts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    ).input_ids
    states_BTD: Tensor = text_encoder(ids_BT.to(text_encoder.device)).last_hidden_state
    return states_BTD


def denoise(
    unet: Any,
    scheduler: Any,
    timesteps: Iterable[Tensor],
    latents_BCFhw: Tensor,
    conditions: Conditions,
    generators: Generators = None,
    before_step: BeforeStep | None = None,
) -> Tensor:
    """Takes the noise out of latents, step by step.

    Args:
        unet: a UNet3DConditionModel.
        scheduler: of diffusers, with timesteps set.
        timesteps: all or the last of its timesteps.
        latents_BCFhw: in float32, scaled as the scheduler wants them.
        conditions: what to show.
        generators: one, or one for each video; only stochastic schedulers take from them.
        before_step: (number of the step, timestep, latents) -> latents to go on with.
    """
    takes_generator = "generator" in inspect.signature(scheduler.step).parameters
    options = {"generator": generators} if takes_generator else {}
    negative_BTD, states = conditions.negative_BTD, conditions.states_BTD
    guided = negative_BTD is not None
    if negative_BTD is not None:
        states = torch.cat([negative_BTD, states])
    for step, timestep in enumerate(timesteps):
        if before_step is not None:
            latents_BCFhw = before_step(step, timestep, latents_BCFhw)
        inputs = scheduler.scale_model_input(torch.cat([latents_BCFhw] * 2) if guided else latents_BCFhw, timestep)
        predicted = unet(
            inputs.to(states.dtype),
            timestep,
            encoder_hidden_states=states,
            cross_attention_kwargs=conditions.grounding if step < conditions.grounded_steps else None,
        ).sample.float()
        if guided:
            without, with_prompt = predicted.chunk(2)
            predicted = without + conditions.guidance_scale * (with_prompt - without)
        latents_BCFhw = scheduler.step(predicted, timestep, latents_BCFhw, **options).prev_sample
    return latents_BCFhw


def decode_frames(vae: Any, latents_BCFhw: Tensor) -> NDArray[np.float32]:
    """Pixels [B, F, H, W, 3] in 0..1, a few frames at a time."""
    batch, frames = latents_BCFhw.shape[0], latents_BCFhw.shape[2]
    unscaled = latents_BCFhw / vae.config.scaling_factor + (vae.config.get("shift_factor") or 0.0)
    frames_NChw = unscaled.movedim(1, 2).flatten(0, 1).to(vae.dtype)
    parts = [vae.decode(some).sample.float().cpu() for some in torch.split(frames_NChw, _FRAMES_AT_ONCE)]
    pixels_NHWC = (torch.cat(parts) / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
    return np.asarray(torch.unflatten(pixels_NHWC, 0, (batch, frames)).numpy(), dtype=np.float32)


def encode_frames(vae: Any, frames_FHWC: NDArray[np.uint8], generator: torch.Generator) -> Tensor:
    """Latents [C, F, h, w] in float32, a sample of what the autoencoder makes of RGB frames."""
    pixels_FCHW = torch.from_numpy(np.ascontiguousarray(frames_FHWC)).permute(0, 3, 1, 2).float() / 127.5 - 1
    pixels_FCHW = pixels_FCHW.to(vae.device, vae.dtype)
    posteriors = [vae.encode(some).latent_dist for some in torch.split(pixels_FCHW, _FRAMES_AT_ONCE)]
    mean_FChw, deviation_FChw = (torch.cat([getattr(item, name) for item in posteriors]).float() for name in ("mean", "std"))
    noise_FChw = randn_tensor(mean_FChw.shape, generator=generator, device=mean_FChw.device, dtype=torch.float32)
    latents_FChw = mean_FChw + deviation_FChw * noise_FChw
    scaled_FChw: Tensor = (latents_FChw - (vae.config.get("shift_factor") or 0.0)) * vae.config.scaling_factor
    return scaled_FChw.movedim(0, 1)
