"""Styles of pictures: each is a palette and a texture laid over a rendered picture, which stays recognisable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tasks.spriteworld.render import Pixels

Field = NDArray[np.float64]
_LUMA = np.array([0.299, 0.587, 0.114])
_TILE = 4


class Layers(NamedTuple):
    """A picture [H, W, 3] in 0 to 1, where its things are [H, W] in 0 to 1, and a random stream."""

    picture_HWC: Field
    things_HW: Field
    random: np.random.Generator


def _saturated(picture_HWC: Field, factor: float) -> Field:
    gray_HW1 = (picture_HWC @ _LUMA)[..., None]
    return np.asarray(gray_HW1 + (picture_HWC - gray_HW1) * factor)


def _noise(random: np.random.Generator, side: int, cells: int) -> Field:
    """[side, side] in 0 to 1, its blobs `side / cells` wide."""
    coarse = Image.fromarray(random.random((cells, cells)).astype(np.float32))
    return np.clip(np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64), 0, 1)


def _blurred(picture_HWC: Field, radius: float) -> Field:
    image = Image.fromarray(np.rint(np.clip(picture_HWC, 0, 1) * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float64) / 255


def _edges(picture_HWC: Field) -> Field:
    """[H, W] in 0 to 1: how much brightness changes there."""
    luma_HW = picture_HWC @ _LUMA
    down, right = np.gradient(luma_HW)
    return np.asarray(np.clip(np.hypot(down, right) * 4, 0, 1))


def _from_middle(side: int) -> Field:
    """[side, side]: 0 in the middle, 1 in the middle of the sides."""
    axis = np.abs(np.linspace(-1, 1, side))
    return np.asarray((axis[:, None] ** 4 + axis[None, :] ** 4) ** 0.25)


def _storybook(layers: Layers) -> Field:
    side = len(layers.picture_HWC)
    soft = 0.5 * layers.picture_HWC + 0.5 * _blurred(layers.picture_HWC, 1.0)
    picture = np.where(layers.things_HW[..., None] > 0.5, layers.picture_HWC, soft)
    warm = picture * np.array([1.0, 0.94, 0.80]) + np.array([0.06, 0.03, 0.0])
    border = np.clip((_from_middle(side) - 0.80) / 0.14, 0, 1)[..., None]
    return np.asarray(warm * (1 - border) + np.array([0.97, 0.91, 0.76]) * border)


def _watercolour(layers: Layers) -> Field:
    side = len(layers.picture_HWC)
    wash = 0.62 + 0.55 * (_noise(layers.random, side, 9) - 0.5)
    strength = np.clip(wash + 0.30 * layers.things_HW, 0.25, 0.95)[..., None]
    picture = _blurred(layers.picture_HWC, 0.7) * strength + (1 - strength)
    wet = _edges(_blurred(layers.picture_HWC, 1.2))[..., None]
    grain = 0.05 * (layers.random.random((side, side, 1)) - 0.5)
    return np.asarray(picture - 0.35 * wet * (1 - 0.6 * layers.picture_HWC) + grain)


def _crayon(layers: Layers) -> Field:
    side = len(layers.picture_HWC)
    rows, columns = np.mgrid[0:side, 0:side]
    across = (rows + columns + 6 * _noise(layers.random, side, 6)) / 4.4
    strokes = 0.5 + 0.5 * np.sin(across * 2 * np.pi) + 0.5 * (layers.random.random((side, side)) - 0.5)
    paper = (np.clip(strokes - 0.35, 0, 1) * (0.75 - 0.42 * layers.things_HW))[..., None]
    return np.asarray(_saturated(layers.picture_HWC, 1.5) * (1 - paper) + np.array([0.99, 0.98, 0.95]) * paper)


def _felt(layers: Layers) -> Field:
    side = len(layers.picture_HWC)
    picture = _saturated(layers.picture_HWC, 0.85) * np.array([0.96, 0.86, 0.88])
    wool = 0.16 * (layers.random.random((side, side, 1)) - 0.5) + 0.12 * (_noise(layers.random, side, 24)[..., None] - 0.5)
    picture = picture + wool
    from_middle = np.abs(np.arange(side) - (side - 1) / 2)
    ring = np.maximum(from_middle[:, None], from_middle[None, :])
    rows, columns = np.mgrid[0:side, 0:side]
    dashes = ((rows + columns) % 6 < 3) & (np.abs(ring - (side / 2 - 4)) < 1.0)
    picture[ring > side / 2 - 2] = np.array([0.66, 0.36, 0.42])
    picture[dashes] = np.array([0.98, 0.94, 0.86])
    return np.asarray(picture)


def _mosaic(layers: Layers) -> Field:
    side = len(layers.picture_HWC)
    tiles = layers.picture_HWC.reshape(side // _TILE, _TILE, side // _TILE, _TILE, 3).mean((1, 3))
    tiles = tiles + 0.14 * (layers.random.random((*tiles.shape[:2], 1)) - 0.5)
    flat = tiles.repeat(_TILE, 0).repeat(_TILE, 1)
    kept = 0.25 + 0.5 * layers.things_HW[..., None]
    picture = _saturated(flat * (1 - kept) + layers.picture_HWC * kept, 1.45)
    rows, columns = np.mgrid[0:side, 0:side]
    grout = (((rows % _TILE == 0) | (columns % _TILE == 0)) * (0.65 - 0.35 * layers.things_HW))[..., None]
    return np.asarray(picture * (1 - grout) + np.array([0.24, 0.20, 0.26]) * grout)


def _moonlit(layers: Layers) -> Field:
    side = len(layers.picture_HWC)
    night = _saturated(layers.picture_HWC, 0.6) * np.array([0.30, 0.40, 0.72]) + np.array([0.0, 0.02, 0.08])
    lit = layers.picture_HWC * np.array([0.74, 0.80, 0.98])
    things = layers.things_HW[..., None]
    picture = night * (1 - things) + lit * things
    upper = np.arange(side)[:, None] < side * 0.35
    stars = (layers.random.random((side, side)) < 0.012) & upper & (layers.things_HW < 0.5)
    picture[stars] = np.array([0.92, 0.95, 1.0])
    return np.asarray(picture)


STYLES: Mapping[str, Callable[[Layers], Field]] = {
    "Storybook": _storybook,
    "Watercolour": _watercolour,
    "Crayon": _crayon,
    "Felt": _felt,
    "Mosaic": _mosaic,
    "Moonlit": _moonlit,
}
"""What each style does to a picture; the names are those of the stories' styles."""


def apply_style(style: str, picture: Pixels, things_HW: Field, seed: int) -> Pixels:
    """`picture` [H, W, 3] uint8 in the style; `things_HW` says where its things are, `seed` decides grain and strokes."""
    layers = Layers(picture / 255.0, things_HW, np.random.default_rng(seed))
    return np.rint(np.clip(STYLES[style](layers), 0, 1) * 255).astype(np.uint8)
