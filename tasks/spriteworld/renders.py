"""Pools of rendered scenes to train and score the tiny checkpoints on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.spriteworld.render import Pixels, render_scene
from tasks.spriteworld.scene import Scene, sample_scene

EASY_POOL, TRAINING_POOL, HELD_OUT_POOL = 1, 2, 3
"""Added to the seed: pools of different numbers share no scene."""


@dataclass
class Pool:
    """Scenes and their pixels [N, 64, 64, 3] uint8."""

    scenes: list[Scene]
    pixels_NHWC: Pixels


def render_pool(seed: int, count: int, most_objects: int = 4) -> Pool:
    """`count` random scenes, rendered."""
    random = np.random.default_rng(seed)
    scenes = [sample_scene(random, most_objects) for _ in range(count)]
    return Pool(scenes, np.stack([render_scene(scene) for scene in scenes]))
