"""Images to latents and back with a diffusers AutoencoderKL.

Legend: B images, R pixels a side, C latent channels, h and w latent sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from tasks.common.checkpoint_loading import load_weights


def pixels_to_tensor(images_BRRC: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 [B, R, R, 3] to float32 [B, 3, R, R] in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(images_BRRC)).permute(0, 3, 1, 2).float() / 127.5 - 1


def tensor_to_pixels(images_BCRR: torch.Tensor) -> NDArray[np.uint8]:
    """float [B, 3, R, R] in -1..1, clipped, to uint8 [B, R, R, 3]."""
    levels = ((images_BCRR.float().clamp(-1, 1) + 1) * 127.5).round()
    return np.asarray(levels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())


def psnr_db(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> float:
    """Mean over the batch of the peak signal-to-noise ratio of uint8 images, in decibel; 99 where they are equal."""
    squares = (images.astype(np.float64) - others.astype(np.float64)) ** 2
    errors = squares.reshape(len(images), -1).mean(axis=1)
    return float(np.mean([99.0 if error == 0 else 10 * np.log10(255.0**2 / error) for error in errors]))


class ImageAutoencoder:
    """An AutoencoderKL checkpoint, from a folder or a hub id (with `subfolder` inside a pipeline); safetensors only."""

    def __init__(
        self, checkpoint: str, revision: str | None, subfolder: str | None, device: str, dtype: torch.dtype
    ) -> None:
        model = load_weights(
            AutoencoderKL, checkpoint, revision, subfolder=subfolder, torch_dtype=dtype, low_cpu_mem_usage=False
        )
        self.model: AutoencoderKL = model.to(device)
        self.device, self.dtype = device, dtype
        self.scaling_factor = float(self.model.config.scaling_factor)
        self.shift_factor = float(self.model.config.get("shift_factor") or 0.0)

    @torch.inference_mode()
    def encode(self, images_BRRC: NDArray[np.uint8], seeds: Sequence[int] | None) -> torch.Tensor:
        """Scaled latents, float32 [B, C, h, w] on the CPU: the posterior's mode, or a sample with one seed per image."""
        pixels_BCRR = pixels_to_tensor(images_BRRC).to(self.device, self.dtype)
        posterior = self.model.encode(pixels_BCRR).latent_dist
        latents_BChw = posterior.mode().float().cpu()
        if seeds is not None:
            noise = [torch.randn(latents_BChw.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            latents_BChw = latents_BChw + posterior.std.float().cpu() * torch.stack(noise)
        scaled_BChw: torch.Tensor = (latents_BChw - self.shift_factor) * self.scaling_factor
        return scaled_BChw

    @torch.inference_mode()
    def decode(self, latents_BChw: torch.Tensor) -> NDArray[np.uint8]:
        """Pixels uint8 [B, R, R, 3] of scaled latents."""
        unscaled = latents_BChw.float() / self.scaling_factor + self.shift_factor
        return tensor_to_pixels(self.model.decode(unscaled.to(self.device, self.dtype)).sample)
