"""Stage `train_autoencoder`: the sprite world's image VAE (diffusers' AutoencoderKL, four times smaller latents)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.common import stage
from tasks.common.files import complete
from tasks.common.parameters import Section

if TYPE_CHECKING:
    import numpy as np
    import torch

    from tasks.corpus.autoencoder import ImageAutoencoder
    from tasks.spriteworld.renders import Pool

_WARMUP_STEPS, _LAST_RATE = 100, 0.02
_STEPS_BETWEEN_LINES = 100
_EMPTY_SCENES, _SCORED_EMPTY_SCENES = 3000, 200


class Parameters(Section):
    """Data and optimisation of the VAE."""

    scenes: int = Field(ge=512, description="renders to train on")
    steps: int = Field(ge=1, description="optimiser steps")
    batch: int = Field(ge=1, le=1024, description="renders per step")
    learning_rate: float = Field(gt=0, le=1e-2, description="highest learning rate; falls linearly to 2 %")
    kl_weight: float = Field(ge=0, description="weight of the Kullback-Leibler term, summed over a latent")
    decoder_steps: int = Field(ge=0, description="further steps of the decoder alone, with empty scenes among the others")
    empty_share: float = Field(ge=0, le=1, description="share of empty scenes in these steps")
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


def autoencoder_loss(model: Any, pixels_BCHW: torch.Tensor, kl_weight: float) -> torch.Tensor:
    """Squared and absolute errors of the pixels, and the weighted Kullback-Leibler term."""
    from torch.nn.functional import l1_loss, mse_loss

    posterior = model.encode(pixels_BCHW).latent_dist
    decoded_BCHW = model.decode(posterior.sample()).sample
    errors = mse_loss(decoded_BCHW, pixels_BCHW) + 0.1 * l1_loss(decoded_BCHW, pixels_BCHW)
    total: torch.Tensor = errors + kl_weight * posterior.kl().mean()
    return total


def set_scaling_factor(model: Any, pixels_NHWC: Any) -> None:
    """Writes one over the latents' standard deviation into the configuration: scaled latents have unit variance."""
    import torch

    from tasks.corpus.autoencoder import pixels_to_tensor

    with torch.inference_mode():
        starts = range(0, 512, 64)
        posteriors = [model.encode(pixels_to_tensor(pixels_NHWC[i : i + 64])).latent_dist for i in starts]
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


def optimise_falling(weights: list[Any], rate: float, steps: int, loss_of: Callable[[], torch.Tensor]) -> None:
    """`steps` steps of AdamW on `weights`, the rate falling linearly."""
    import torch

    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / _WARMUP_STEPS) * (1 - (1 - _LAST_RATE) * step / steps)
    )
    total = 0.0
    for step in range(1, steps + 1):
        loss = loss_of()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        total += float(loss.detach())
        if step % _STEPS_BETWEEN_LINES == 0:
            sys.stderr.write(f"step {step}: loss {total / _STEPS_BETWEEN_LINES:.5f}\n")
            total = 0.0


def empty_scenes(pool: Pool, most: int) -> Any:
    """[N, 64, 64, 3] uint8: backgrounds of the first scenes of a pool, nothing on them."""
    import numpy as np

    from tasks.spriteworld.render import render_background

    return np.stack([render_background(scene.background, scene.background_seed) for scene in pool.scenes[:most]])


def score_empty_scenes(autoencoder: ImageAutoencoder, pool: Pool) -> float:
    """Mean PSNR in decibel of reconstructed backgrounds of the pool."""
    from tasks.corpus.autoencoder import psnr_db

    images = empty_scenes(pool, _SCORED_EMPTY_SCENES)
    return psnr_db(images, autoencoder.decode(autoencoder.encode(images, None)))


def refine_decoder(model: Any, pool: Pool, parameters: Parameters, random: np.random.Generator) -> None:
    """Teaches the decoder scenes with nothing in them, which clips have; latents stay what they are."""
    import numpy as np

    from tasks.corpus.autoencoder import pixels_to_tensor

    empty = empty_scenes(pool, _EMPTY_SCENES)
    decoder = [*model.decoder.parameters(), *model.post_quant_conv.parameters()]
    model.encoder.requires_grad_(False)

    def loss_of() -> torch.Tensor:
        empties = int(random.binomial(parameters.batch, parameters.empty_share))
        full = pool.pixels_NHWC[random.integers(len(pool.scenes), size=parameters.batch - empties)]
        images = np.concatenate([full, empty[random.integers(len(empty), size=empties)]])
        return autoencoder_loss(model, pixels_to_tensor(images), 0.0)

    optimise_falling(decoder, parameters.learning_rate / 2, parameters.decoder_steps, loss_of)
    model.requires_grad_(True)


def _train(parameters: Parameters, seed: int) -> Any:
    import numpy as np
    import torch

    from tasks.corpus.autoencoder import pixels_to_tensor
    from tasks.spriteworld.renders import EASY_POOL, render_pool

    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = _build()
    pool = render_pool(seed + EASY_POOL, parameters.scenes)

    def loss_of() -> torch.Tensor:
        images = pool.pixels_NHWC[random.integers(len(pool.scenes), size=parameters.batch)]
        return autoencoder_loss(model, pixels_to_tensor(images), parameters.kl_weight)

    optimise_falling(list(model.parameters()), parameters.learning_rate, parameters.steps, loss_of)
    set_scaling_factor(model, pool.pixels_NHWC)
    refine_decoder(model, pool, parameters, random)
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
        held_out = render_pool(project.seed + HELD_OUT_POOL, parameters.held_out)
        psnr, empty = score_autoencoder(autoencoder, held_out), score_empty_scenes(autoencoder, held_out)
        write_model_card(
            folder,
            "diffusers",
            "Sprite-world image autoencoder",
            "Variational autoencoder (AutoencoderKL): 64x64 RGB to 4x16x16 latents and back.",
            parameters,
            project.seed,
            {
                "held_out_psnr_db": stage.rounded(psnr),
                "held_out_empty_psnr_db": stage.rounded(empty),
                "parameters": model.num_parameters(),
                "cpu_seconds": round(time.process_time()),
            },
        )
    return {"held_out_psnr_db": psnr, "held_out_empty_psnr_db": empty}


if __name__ == "__main__":
    sys.exit(stage.main("train_autoencoder", Paths, train_autoencoder, "tasks.spriteworld.checkpoint_parameters"))
