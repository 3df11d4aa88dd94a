"""Stage `train_autoencoder`: the sprite world's image VAE (diffusers' AutoencoderKL, four times smaller latents)."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.common import stage
from tasks.common.files import complete
from tasks.common.parameters import Section

if TYPE_CHECKING:
    import torch

    from tasks.corpus.autoencoder import ImageAutoencoder
    from tasks.spriteworld.renders import Pool

_WARMUP_STEPS, _LAST_RATE = 100, 0.02
_STEPS_BETWEEN_LINES = 100


class Parameters(Section):
    """Data and optimisation of the VAE."""

    scenes: int = Field(ge=512, description="renders to train on")
    steps: int = Field(ge=1, description="optimiser steps")
    batch: int = Field(ge=1, le=1024, description="renders per step")
    learning_rate: float = Field(gt=0, le=1e-2, description="highest learning rate; falls linearly to 2 %")
    kl_weight: float = Field(ge=0, description="weight of the Kullback-Leibler term, summed over a latent")
    held_out: int = Field(ge=10, description="renders to score on, none of them trained on")


@dataclass(frozen=True)
class Paths:
    """Checkpoint folder and scores out."""

    out: Path
    metrics: Path


def _build() -> Any:
    """64x64 pixels to 4x16x16 latents; weights from torch's current random state."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 32, 64), layers_per_block=1, latent_channels=4, norm_num_groups=8, sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        mid_block_add_attention=False,
    )  # fmt: skip


def _loss(model: Any, pixels_BCHW: torch.Tensor, kl_weight: float) -> torch.Tensor:
    from torch.nn.functional import l1_loss, mse_loss

    posterior = model.encode(pixels_BCHW).latent_dist
    decoded_BCHW = model.decode(posterior.sample()).sample
    errors = mse_loss(decoded_BCHW, pixels_BCHW) + 0.1 * l1_loss(decoded_BCHW, pixels_BCHW)
    total: torch.Tensor = errors + kl_weight * posterior.kl().mean()
    return total


def _set_scaling_factor(model: Any, pool: Pool) -> None:
    """Writes one over the latents' standard deviation into the configuration: scaled latents have unit variance."""
    import torch

    from tasks.corpus.autoencoder import pixels_to_tensor

    with torch.inference_mode():
        starts = range(0, 512, 64)
        posteriors = [model.encode(pixels_to_tensor(pool.pixels_NHWC[i : i + 64])).latent_dist for i in starts]
        samples = torch.cat([posterior.sample() for posterior in posteriors])
    model.register_to_config(scaling_factor=round(float(1 / samples.std()), 5))


def score_autoencoder(autoencoder: ImageAutoencoder, pool: Pool) -> float:
    """Mean PSNR in decibel of reconstructions from the posterior's mode."""
    from tasks.corpus.autoencoder import psnr_db

    total = 0.0
    for start in range(0, len(pool.scenes), 50):
        images = pool.pixels_NHWC[start : start + 50]
        total += len(images) * psnr_db(images, autoencoder.decode(autoencoder.encode(images, None)))
    return total / len(pool.scenes)


def _train(parameters: Parameters, seed: int) -> Any:
    import numpy as np
    import torch

    from tasks.corpus.autoencoder import pixels_to_tensor
    from tasks.spriteworld.renders import EASY_POOL, render_pool

    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = _build()
    pool = render_pool(seed + EASY_POOL, parameters.scenes)
    optimiser = torch.optim.AdamW(model.parameters(), lr=parameters.learning_rate, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / _WARMUP_STEPS) * (1 - (1 - _LAST_RATE) * step / parameters.steps)
    )
    total = 0.0
    for step in range(1, parameters.steps + 1):
        images = pool.pixels_NHWC[random.integers(len(pool.scenes), size=parameters.batch)]
        loss = _loss(model, pixels_to_tensor(images), parameters.kl_weight)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total += float(loss.detach())
        if step % _STEPS_BETWEEN_LINES == 0:
            sys.stderr.write(f"step {step}: loss {total / _STEPS_BETWEEN_LINES:.5f}\n")
            total = 0.0
    _set_scaling_factor(model, pool)
    return model


def train_autoencoder(project: Any, paths: Paths) -> stage.Metrics:
    """Trains, saves in half precision, loads again as a user would, and scores on held-out renders."""
    import torch

    from tasks.corpus.autoencoder import ImageAutoencoder
    from tasks.spriteworld.checkpoints import save_half, write_model_card
    from tasks.spriteworld.renders import HELD_OUT_POOL, render_pool

    torch.set_num_threads(1)
    parameters: Parameters = project.train_autoencoder
    model = _train(parameters, project.seed)
    with complete(paths.out, folder=True) as folder:
        save_half(model, folder)
        autoencoder = ImageAutoencoder(str(folder), None, None, "cpu", torch.float32)
        psnr = score_autoencoder(autoencoder, render_pool(project.seed + HELD_OUT_POOL, parameters.held_out))
        write_model_card(
            folder,
            "diffusers",
            "Sprite-world image autoencoder",
            "Variational autoencoder (AutoencoderKL): 64x64 RGB to 4x16x16 latents and back.",
            parameters,
            project.seed,
            {
                "held_out_psnr_db": stage.rounded(psnr),
                "parameters": model.num_parameters(),
                "cpu_seconds": round(time.process_time()),
            },
        )
    return {"held_out_psnr_db": psnr}


if __name__ == "__main__":
    sys.exit(stage.main("train_autoencoder", Paths, train_autoencoder, "tasks.spriteworld.checkpoint_parameters"))
