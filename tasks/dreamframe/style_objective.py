"""What a style is trained on: prompts that name it, latents of its images, and how fast it learns (specs/dreamframe.md C2).

Each draw depends on the seed of the run and a position in the training order alone.

Legend: N images, R pixels a side, C latent channels, h and w latent sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.common.errors import UserError
from tasks.common.quarantine import printable
from tasks.common.seeds import item_seed
from tasks.corpus.autoencoder import ImageAutoencoder

TEMPLATES = (
    "generate an image in {} style",
    "an image in {} style",
    "a picture of people walking in {} style",
    "depicted in a {} style",
    "in style of {}",
)
SUFFIXES = ("painting", "acryl", "art", "picture")

RateTable = tuple[tuple[int, float], ...]
"""Pairs of a number of steps and the learning rate in them."""

LEARNING_RATES: RateTable = (
    (4, 1e-3), (8, 9e-4), (13, 8e-4), (20, 7e-4), (35, 6e-4), (60, 5e-4), (100, 4e-4), (160, 3e-4),
)  # fmt: skip
"""The original's 400 steps."""

TIME_IDS = (768, 768, 0, 0, 1024, 1024)
"""The original's micro-conditioning: height and width of the image, top and left of the crop, height and width wanted."""


def style_prompts(token: str, templates: Sequence[str] = TEMPLATES, suffixes: Sequence[str] = SUFFIXES) -> list[str]:
    """Every template with the token and every suffix in its place; an empty suffix is the token alone.

    Raises:
        UserError: there is no template or no suffix, or a template has not exactly one {}.
    """
    bad = next((template for template in templates if template.count("{}") != 1), None)
    if bad is not None:
        raise UserError(f"template {printable(bad)!r}: mark the style's place with one {{}}, as in 'an image in {{}} style'")
    if not templates or not suffixes:
        raise UserError("style prompts: give at least one template and one suffix (which may be empty)")
    return [template.replace("{}", f"{token} {suffix}".strip()) for template in templates for suffix in suffixes]


def draw_prompts(seed: int, positions: Sequence[int], prompts: int) -> list[int]:
    """Uniform numbers below `prompts`, one for each position."""
    generators = (torch.Generator().manual_seed(item_seed(seed, f"prompt:{position}")) for position in positions)
    return [int(torch.randint(prompts, (), generator=generator)) for generator in generators]


def draw_images(seed: int, positions: Sequence[int], images: int) -> list[int]:
    """Numbers below `images`, one for each position: every epoch shows each image once, in an order of its own."""
    orders: dict[int, list[int]] = {}
    for epoch in {position // images for position in positions}:
        generator = torch.Generator().manual_seed(item_seed(seed, f"epoch:{epoch}"))
        orders[epoch] = torch.randperm(images, generator=generator).tolist()
    return [orders[position // images][position % images] for position in positions]


def learning_rate(step: int, rates: RateTable) -> float:
    """The rate of step 0, 1, ...; steps beyond the table go on with its last rate. A constant rate is a table of one."""
    for steps, rate in rates:
        if step < steps:
            return rate
        step -= steps
    return rates[-1][1]


def style_latents(autoencoder: ImageAutoencoder, images_NRRC: NDArray[np.uint8], mirror: bool, seed: int) -> Tensor:
    """Scaled latents of uint8 images [N, R, R, 3], sampled: float32 [N, C, h, w]; mirror images make it [2 N, ...]."""
    views = [images_NRRC, images_NRRC[:, :, ::-1]] if mirror else [images_NRRC]
    latents = []
    for index, image_RRC in enumerate(np.concatenate(views)):
        latents.append(autoencoder.encode(image_RRC[None], [item_seed(seed, f"latent:{index}")]))
    return torch.cat(latents).clone()  # not an inference tensor, so that gradients may run beside it
