"""Pools of clips and stills as VAE latents, with fresh captions each time they are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from tasks.corpus.autoencoder import ImageAutoencoder
from tasks.spriteworld.clips import MOTIONS, Clip, Motion, render_clip, sample_clip
from tasks.spriteworld.render import render_scene
from tasks.spriteworld.scene import CANVAS_PIXELS, Box, Scene, sample_scene
from tasks.spriteworld.video_captions import Thing, caption_of_still, caption_of_video

_MOST_ACTORS = (1, 1, 1, 1, 1, 2, 2, 2, 4, 4)  # one of these is drawn for each clip
_TWINS = 0.3
_ENCODED_AT_ONCE = 64
_LATENT_SIDE, _WEIGHT_OF_THINGS = 16, 5.0


def _weighted_motions() -> tuple[Motion, ...]:
    """All motions; sideways ones three times, since prompts tell most often of them."""
    return tuple(
        motion for motion in MOTIONS for _ in range(3 if set(motion.places) == {"left", "right"} else 1)
    )  # fmt: skip


class Drawn(NamedTuple):
    """Latents, a caption of each, and how much an error counts where: more on things than on the background."""

    latents: torch.Tensor
    captions: list[str]
    weights: torch.Tensor


def cell_weights(boxes: Sequence[Box | None]) -> torch.Tensor:
    """[h, w]: `_WEIGHT_OF_THINGS` in every latent cell that a box touches, 1 elsewhere."""
    weights_hw = torch.ones(_LATENT_SIDE, _LATENT_SIDE)
    cells = CANVAS_PIXELS // _LATENT_SIDE
    for box in boxes:
        if box is not None:
            x0, y0, x1, y1 = (
                math.floor(box[0] / cells),
                math.floor(box[1] / cells),
                math.ceil(box[2] / cells),
                math.ceil(box[3] / cells),
            )
            weights_hw[y0:y1, x0:x1] = _WEIGHT_OF_THINGS
    return weights_hw


@dataclass
class ClipPool:
    """Clips with latents [N, C, F, h, w], half precision."""

    clips: list[Clip]
    latents_NCFhw: torch.Tensor

    def draw(self, random: np.random.Generator, count: int) -> Drawn:
        """`count` clips: latents [B, C, F, h, w], weights [B, 1, F, h, w]."""
        chosen = random.integers(len(self.clips), size=count)
        clips = [self.clips[index] for index in chosen.tolist()]
        captions = [caption_of_video(random, clip) for clip in clips]
        weights = [
            torch.stack([cell_weights([actor.boxes[frame] for actor in clip.actors]) for frame in range(clip.frames)])
            for clip in clips
        ]
        return Drawn(self.latents_NCFhw[torch.from_numpy(chosen)].float(), captions, torch.stack(weights)[:, None])

    def draw_stills(self, random: np.random.Generator, count: int) -> Drawn:
        """`count` single frames: latents [B, C, h, w], weights [B, 1, h, w]."""
        chosen, frames = random.integers(len(self.clips), size=count), random.integers(self.clips[0].frames, size=count)
        captions, weights = [], []
        for index, frame in zip(chosen.tolist(), frames.tolist(), strict=True):
            clip = self.clips[index]
            seen = [Thing(actor.class_name, actor.colour, actor.boxes[frame]) for actor in clip.actors if actor.boxes[frame]]
            captions.append(caption_of_still(random, seen, clip.background))
            weights.append(cell_weights([thing.box for thing in seen]))
        latents = self.latents_NCFhw[torch.from_numpy(chosen), :, torch.from_numpy(frames)].float()
        return Drawn(latents, captions, torch.stack(weights)[:, None])


@dataclass
class StillPool:
    """Scenes with latents [N, C, h, w], half precision."""

    scenes: list[Scene]
    latents_NChw: torch.Tensor

    def draw_stills(self, random: np.random.Generator, count: int) -> Drawn:
        """`count` pictures: latents [B, C, h, w], weights [B, 1, h, w]."""
        chosen = random.integers(len(self.scenes), size=count)
        captions, weights = [], []
        for index in chosen.tolist():
            scene = self.scenes[index]
            things = [Thing(item.class_name, item.colour, item.box) for item in scene.objects]
            captions.append(caption_of_still(random, things, scene.background))
            weights.append(cell_weights([item.box for item in scene.objects]))
        return Drawn(self.latents_NChw[torch.from_numpy(chosen)].float(), captions, torch.stack(weights)[:, None])


def encode_pixels(autoencoder: ImageAutoencoder, images_NHWC: Any) -> torch.Tensor:
    """Latents [N, C, h, w] in half precision of uint8 images."""
    starts = range(0, len(images_NHWC), _ENCODED_AT_ONCE)
    return torch.cat([autoencoder.encode(images_NHWC[i : i + _ENCODED_AT_ONCE], None).half() for i in starts])


def make_clip_pool(autoencoder: ImageAutoencoder, seed: int, count: int, frames: int) -> ClipPool:
    """`count` random clips of the training mixture: mostly one thing, sideways motion more often than the rest."""
    random = np.random.default_rng(seed)
    motions = _weighted_motions()
    clips, latents = [], []
    for _ in range(count):
        most_actors = _MOST_ACTORS[int(random.integers(len(_MOST_ACTORS)))]
        clip = sample_clip(random, frames, most_actors, motions, _TWINS)
        clips.append(clip)
        latents.append(encode_pixels(autoencoder, render_clip(clip)).permute(1, 0, 2, 3))
    return ClipPool(clips, torch.stack(latents))


def make_still_pool(autoencoder: ImageAutoencoder, seed: int, count: int) -> StillPool:
    """`count` random scenes of one to four things."""
    random = np.random.default_rng(seed)
    scenes = [sample_scene(random) for _ in range(count)]
    return StillPool(scenes, torch.cat([encode_pixels(autoencoder, np.stack([render_scene(scene)])) for scene in scenes]))
