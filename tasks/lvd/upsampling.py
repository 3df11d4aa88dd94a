"""Larger videos from small ones: noise is added to an enlarged video, and a second model takes it out (specs/lvd.md 4.5).

Legend: F frames, H W sides in pixels, C channels, h w of latents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from numpy.typing import NDArray
from PIL import Image

from tasks.common.errors import UserError
from tasks.lvd.denoising import Conditions, decode_frames, denoise, encode_frames, text_states
from tasks.lvd.grounded_pipeline import GroundedTextToVideoPipeline, check_finite


@dataclass(frozen=True)
class Upsampling:
    """How a video is enlarged.

    Attributes:
        width, height: of the new video in pixels.
        strength: share of the denoising steps that are done, 0 to 1; how much of the old video is painted over.
        steps: denoising steps of a whole video.
        guidance_scale: of classifier-free guidance; at most 1 for none.
        negative_prompt: what is not wanted.
    """

    width: int
    height: int
    strength: float
    steps: int
    guidance_scale: float
    negative_prompt: str


@torch.no_grad()
def upsample(
    frames_FHWC: NDArray[np.uint8],
    prompt: str,
    pipeline: GroundedTextToVideoPipeline,
    settings: Upsampling,
    generator: torch.Generator,
) -> NDArray[np.float32]:
    """An enlarged video [F, H, W, 3] in 0..1.

    Args:
        frames_FHWC: RGB of any size.
        prompt: what it shows.
        pipeline: the parts of a text-to-video model made for larger videos, such as Zeroscope XL.
        settings: see there.
        generator: of the noise.

    Raises:
        UserError: a side of the new video is no multiple of the pixels of a latent.
        VideoError: the result is not finite.
    """
    small = pipeline.pixels_per_latent
    if settings.width % small or settings.height % small:
        raise UserError(f"{settings.height}x{settings.width} pixels: sides of a larger video must be multiples of {small}")
    scheduler = pipeline.scheduler
    scheduler.set_timesteps(settings.steps, device=pipeline.unet.device)
    start = (settings.steps - min(int(settings.steps * settings.strength), settings.steps)) * scheduler.order
    timesteps = scheduler.timesteps[start:]
    latents_CFhw = encode_frames(pipeline.vae, resized(frames_FHWC, settings.width, settings.height), generator)
    if len(timesteps):
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(start)
        texts = [
            text_states(pipeline.tokenizer, pipeline.text_encoder, [text]) for text in (prompt, settings.negative_prompt)
        ]
        conditions = Conditions(texts[0], texts[1] if settings.guidance_scale > 1 else None, settings.guidance_scale)
        frames_FChw = latents_CFhw.movedim(1, 0)
        noise_FChw = randn_tensor(frames_FChw.shape, generator=generator, device=frames_FChw.device, dtype=torch.float32)
        noisy_CFhw = scheduler.add_noise(frames_FChw, noise_FChw, timesteps[:1]).movedim(0, 1)
        latents_CFhw = denoise(pipeline.unet, scheduler, timesteps, noisy_CFhw[None], conditions, generator)[0]
    check_finite(latents_CFhw[None])
    return np.asarray(decode_frames(pipeline.vae, latents_CFhw[None])[0])


def resized(frames_FHWC: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Frames of another size, by Lanczos' filter."""
    pictures = [Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS) for frame in frames_FHWC]
    return np.stack([np.asarray(picture) for picture in pictures])
