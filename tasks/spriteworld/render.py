"""Scenes to pixels: 64x64 RGB, the same bytes for the same scene."""

from __future__ import annotations

import colorsys
import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tasks.spriteworld.scene import CANVAS_PIXELS, Scene, SpriteObject
from tasks.spriteworld.sprites import master_sprite

Pixels = NDArray[np.uint8]
_MARGIN = 64  # transparent pixels around a master, so that a sub-pixel shift stays inside it


@cache
def _padded_master(class_name: str, colour: str, facing: str) -> Image.Image:
    sprite = master_sprite(class_name, colour)
    return ImageOps.expand(ImageOps.mirror(sprite) if facing == "left" else sprite, _MARGIN, (0, 0, 0, 0))


def _muted_colour(random: np.random.Generator) -> NDArray[np.float64]:
    hue, saturation, value = random.random(), random.uniform(0.05, 0.35), random.uniform(0.45, 0.95)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value)) * 255


def _ramp(random: np.random.Generator) -> NDArray[np.float64]:
    angle = random.uniform(0, 2 * math.pi)
    rows, columns = np.mgrid[0:CANVAS_PIXELS, 0:CANVAS_PIXELS] / (CANVAS_PIXELS - 1)
    ramp = rows * math.sin(angle) + columns * math.cos(angle)
    return np.asarray((ramp - ramp.min()) / (ramp.max() - ramp.min()))


def _texture(random: np.random.Generator) -> NDArray[np.float64]:
    cells = int(random.integers(5, 13))
    coarse = Image.fromarray(random.random((cells, cells)).astype(np.float32))
    blobs = np.asarray(coarse.resize((CANVAS_PIXELS, CANVAS_PIXELS), Image.Resampling.BICUBIC), dtype=np.float64)
    if random.random() < 0.5:
        return np.clip(blobs, 0, 1)
    stripes = 0.5 + 0.5 * np.sin(_ramp(random) * 2 * math.pi * random.uniform(3, 7))
    return np.clip(0.7 * stripes + 0.3 * blobs, 0, 1)


def render_background(kind: str, seed: int) -> Pixels:
    """[64, 64, 3] uint8: "plain", "gradient" or "textured", colours and texture from `seed`."""
    random = np.random.default_rng(seed)
    first, second = _muted_colour(random), _muted_colour(random)
    if kind == "plain":
        weights = np.zeros((CANVAS_PIXELS, CANVAS_PIXELS))
    elif kind == "gradient":
        weights = _ramp(random)
    else:
        weights = _texture(random)
        second = first + np.clip(second - first, -70, 70)
    return np.asarray(np.rint(first + weights[..., None] * (second - first)), dtype=np.uint8)


def _paste(canvas: Image.Image, item: SpriteObject) -> None:
    master = _padded_master(item.class_name, item.colour, item.facing)
    x0, y0, x1, y1 = item.box
    left, top = math.floor(x0), math.floor(y0)
    columns, rows = math.ceil(x1) - left, math.ceil(y1) - top
    across, down = (master.width - 2 * _MARGIN) / (x1 - x0), (master.height - 2 * _MARGIN) / (y1 - y0)
    source_x, source_y = _MARGIN - (x0 - left) * across, _MARGIN - (y0 - top) * down
    source = (source_x, source_y, source_x + columns * across, source_y + rows * down)
    sprite = master.resize((columns, rows), Image.Resampling.BOX, box=source, reducing_gap=2.0)
    canvas.paste(sprite, (left, top), sprite)


def render_objects(background: Pixels, objects: tuple[SpriteObject, ...]) -> Pixels:
    """`background` with the sprites on it, later ones in front; [64, 64, 3] uint8."""
    canvas = Image.fromarray(background)
    for item in objects:
        _paste(canvas, item)
    return np.asarray(canvas)


def render_scene(scene: Scene) -> Pixels:
    """[64, 64, 3] uint8."""
    return render_objects(render_background(scene.background, scene.background_seed), scene.objects)
