"""Stage `train_story_autoencoder`: the image VAE of story pictures, which have textures that the plain sprites have not."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from tasks.common import stage
from tasks.common.files import complete
from tasks.common.parameters import Section

_POOL, _HELD_OUT_POOL = 31, 32


class Parameters(Section):
    """Data and optimisation of the VAE."""

    pictures: int = Field(ge=512, description="story pictures to train on")
    steps: int = Field(ge=1, description="optimiser steps")
    batch: int = Field(ge=1, le=1024, description="pictures per step")
    learning_rate: float = Field(gt=0, le=1e-2, description="highest learning rate; falls linearly to 2 %")
    kl_weight: float = Field(ge=0, description="weight of the Kullback-Leibler term, summed over a latent")
    held_out: int = Field(ge=10, description="pictures to score on, none of them trained on")


@dataclass(frozen=True)
class Paths:
    """The VAE of plain sprites to start from; checkpoint folder and scores out."""

    autoencoder: Path
    out: Path
    metrics: Path


def _train(parameters: Parameters, paths: Paths, seed: int) -> Any:
    import numpy as np
    import torch
    from diffusers import AutoencoderKL

    from tasks.common.checkpoint_loading import load_weights
    from tasks.corpus.autoencoder import pixels_to_tensor
    from tasks.spriteworld.story_pools import render_story_pictures
    from tasks.spriteworld.train_autoencoder import autoencoder_loss, optimise_falling, set_scaling_factor

    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = load_weights(AutoencoderKL, str(paths.autoencoder), None, dtype=torch.float32).train()
    _, pixels_NHWC = render_story_pictures(seed + _POOL, parameters.pictures)

    def loss_of() -> torch.Tensor:
        images = pixels_NHWC[random.integers(len(pixels_NHWC), size=parameters.batch)]
        return autoencoder_loss(model, pixels_to_tensor(images), parameters.kl_weight)

    optimise_falling(list(model.parameters()), parameters.learning_rate, parameters.steps, loss_of)
    set_scaling_factor(model, pixels_NHWC)
    return model


def train_story_autoencoder(project: Any, paths: Paths) -> stage.Metrics:
    """Trains, saves in half precision, loads again as a user would, and scores on held-out pictures."""
    import torch

    from tasks.corpus.autoencoder import ImageAutoencoder, psnr_db
    from tasks.spriteworld.checkpoints import save_half, write_model_card
    from tasks.spriteworld.story_pools import render_story_pictures

    torch.set_num_threads(1)
    parameters: Parameters = project.train_story_autoencoder
    model = _train(parameters, paths, project.seed)
    with complete(paths.out, folder=True) as folder:
        save_half(model, folder)
        autoencoder = ImageAutoencoder(str(folder), None, None, "cpu", torch.float32)
        _, held_out_NHWC = render_story_pictures(project.seed + _HELD_OUT_POOL, parameters.held_out)
        psnr = psnr_db(held_out_NHWC, autoencoder.decode(autoencoder.encode(held_out_NHWC, None)))
        write_model_card(
            folder,
            "diffusers",
            "Sprite-world autoencoder of story pictures",
            "Variational autoencoder (AutoencoderKL): 64x64 RGB in six styles to 4x16x16 latents and back.",
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
    sys.exit(
        stage.main("train_story_autoencoder", Paths, train_story_autoencoder, "tasks.spriteworld.checkpoint_parameters")
    )
