"""Pools of story pictures: pixels to train on, and latents with fresh captions each time they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from tasks.corpus.autoencoder import ImageAutoencoder
from tasks.spriteworld.clip_pool import cell_weights, encode_pixels
from tasks.spriteworld.render import Pixels
from tasks.spriteworld.scene import CANVAS_PIXELS
from tasks.spriteworld.story_pictures import (
    StoryPicture,
    caption_of_story_picture,
    render_story_picture,
    sample_story_picture,
)

_SMALL_SHARE = 0.1


class DrawnPictures(NamedTuple):
    """Latents [B, C, h, w], captions, how much an error counts where [B, 1, h, w], and the original side in pixels [B]."""

    latents_BChw: torch.Tensor
    captions: list[str]
    weights_B1hw: torch.Tensor
    sides_B: torch.Tensor


def render_story_pictures(seed: int, count: int) -> tuple[list[StoryPicture], Pixels]:
    """`count` random pictures, and their pixels [N, 64, 64, 3] uint8."""
    random = np.random.default_rng(seed)
    pictures = [sample_story_picture(random) for _ in range(count)]
    return pictures, np.stack([render_story_picture(picture) for picture in pictures])


def _from_small(pixels_HWC: Pixels) -> Pixels:
    """The picture as if it had been half as large and enlarged."""
    image = Image.fromarray(pixels_HWC)
    small = image.resize((CANVAS_PIXELS // 2, CANVAS_PIXELS // 2), Image.Resampling.BOX)
    return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))


@dataclass
class StoryPool:
    """Pictures with latents [N, C, h, w] in half precision, and their original sides [N] in pixels."""

    pictures: list[StoryPicture]
    latents_NChw: torch.Tensor
    sides_N: torch.Tensor

    def draw(self, random: np.random.Generator, count: int) -> DrawnPictures:
        """`count` pictures with captions."""
        chosen = random.integers(len(self.pictures), size=count)
        pictures = [self.pictures[index] for index in chosen.tolist()]
        captions = [caption_of_story_picture(random, picture) for picture in pictures]
        weights_Bhw = torch.stack([cell_weights([item.box for item in picture.objects]) for picture in pictures])
        which = torch.from_numpy(chosen)
        return DrawnPictures(self.latents_NChw[which].float(), captions, weights_Bhw[:, None], self.sides_N[which])


def make_story_pool(autoencoder: ImageAutoencoder, seed: int, count: int) -> StoryPool:
    """`count` random pictures; a tenth of them are enlarged from half the size, which micro-conditioning is told."""
    random = np.random.default_rng(seed + 1)
    pictures, pixels_NHWC = render_story_pictures(seed, count)
    small = random.random(count) < _SMALL_SHARE
    for index in np.flatnonzero(small).tolist():
        pixels_NHWC[index] = _from_small(pixels_NHWC[index])
    sides_N = torch.from_numpy(np.where(small, CANVAS_PIXELS // 2, CANVAS_PIXELS))
    return StoryPool(pictures, encode_pixels(autoencoder, pixels_NHWC), sides_N)
