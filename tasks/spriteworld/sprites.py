"""The five sprites as tables of primitives, drawn large once and scaled down for every use."""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from tasks.spriteworld.vocabulary import COLOURS, RGB

MASTER_PIXELS = 256
_OUTLINE_PIXELS = 11  # on the master; about one pixel once scaled to 24 pixels

Role = Literal["body", "shade", "light", "glass", "tyre", "detail", "beak"]
Shape = Literal["ellipse", "polygon", "round", "line", "slice"]


class Part(NamedTuple):
    """One primitive: coordinates are fractions of the master canvas; a slice ends with two angles in degrees."""

    shape: Shape
    role: Role
    at: tuple[float, ...]


SPRITES: dict[str, tuple[Part, ...]] = {
    "car": (
        Part("polygon", "body", (0.18, 0.52, 0.31, 0.25, 0.66, 0.25, 0.82, 0.52)),
        Part("round", "body", (0.03, 0.46, 0.97, 0.74)),
        Part("polygon", "glass", (0.27, 0.48, 0.36, 0.31, 0.47, 0.31, 0.47, 0.48)),
        Part("polygon", "glass", (0.53, 0.48, 0.53, 0.31, 0.63, 0.31, 0.74, 0.48)),
        Part("ellipse", "tyre", (0.12, 0.58, 0.37, 0.83)),
        Part("ellipse", "tyre", (0.63, 0.58, 0.88, 0.83)),
        Part("ellipse", "light", (0.20, 0.66, 0.29, 0.75)),
        Part("ellipse", "light", (0.71, 0.66, 0.80, 0.75)),
        Part("ellipse", "beak", (0.89, 0.51, 0.97, 0.60)),
    ),
    "cat": (
        Part("line", "body", (0.68, 0.90, 0.90, 0.88, 0.95, 0.66, 0.86, 0.50)),
        Part("ellipse", "body", (0.22, 0.46, 0.76, 0.98)),
        Part("polygon", "body", (0.16, 0.38, 0.16, 0.02, 0.46, 0.20)),
        Part("polygon", "body", (0.82, 0.38, 0.82, 0.02, 0.52, 0.20)),
        Part("ellipse", "body", (0.13, 0.14, 0.85, 0.66)),
        Part("polygon", "beak", (0.21, 0.25, 0.21, 0.11, 0.33, 0.20)),
        Part("polygon", "beak", (0.77, 0.25, 0.77, 0.11, 0.65, 0.20)),
        Part("ellipse", "detail", (0.27, 0.31, 0.40, 0.47)),
        Part("ellipse", "detail", (0.58, 0.31, 0.71, 0.47)),
        Part("polygon", "beak", (0.44, 0.48, 0.54, 0.48, 0.49, 0.55)),
        Part("ellipse", "light", (0.38, 0.70, 0.60, 0.96)),
    ),
    "dog": (
        Part("line", "body", (0.14, 0.48, 0.04, 0.34, 0.04, 0.22)),
        Part("round", "shade", (0.24, 0.60, 0.35, 0.98)),
        Part("round", "shade", (0.50, 0.60, 0.60, 0.98)),
        Part("round", "body", (0.10, 0.42, 0.72, 0.72)),
        Part("round", "body", (0.10, 0.60, 0.22, 1.00)),
        Part("round", "body", (0.61, 0.60, 0.73, 1.00)),
        Part("polygon", "body", (0.50, 0.50, 0.60, 0.22, 0.82, 0.40, 0.73, 0.66)),
        Part("ellipse", "body", (0.55, 0.10, 0.87, 0.44)),
        Part("round", "body", (0.74, 0.24, 0.99, 0.42)),
        Part("ellipse", "shade", (0.50, 0.12, 0.65, 0.48)),
        Part("ellipse", "tyre", (0.91, 0.22, 1.00, 0.32)),
        Part("ellipse", "detail", (0.71, 0.17, 0.79, 0.26)),
    ),
    "bird": (
        Part("polygon", "shade", (0.42, 0.50, 0.58, 0.06, 0.70, 0.50)),
        Part("polygon", "body", (0.28, 0.52, 0.00, 0.40, 0.06, 0.74, 0.32, 0.70)),
        Part("ellipse", "body", (0.16, 0.42, 0.80, 0.80)),
        Part("ellipse", "body", (0.62, 0.30, 0.92, 0.62)),
        Part("polygon", "beak", (0.89, 0.38, 1.00, 0.48, 0.88, 0.55)),
        Part("polygon", "shade", (0.30, 0.60, 0.16, 0.00, 0.62, 0.58)),
        Part("ellipse", "detail", (0.75, 0.37, 0.83, 0.46)),
    ),
    "ball": (
        Part("ellipse", "body", (0.02, 0.02, 0.98, 0.98)),
        Part("slice", "shade", (0.02, 0.02, 0.98, 0.98, 0, 60)),
        Part("slice", "shade", (0.02, 0.02, 0.98, 0.98, 120, 180)),
        Part("slice", "shade", (0.02, 0.02, 0.98, 0.98, 240, 300)),
        Part("ellipse", "light", (0.39, 0.39, 0.61, 0.61)),
    ),
}


def _mix(colour: RGB, other: RGB, share: float) -> RGB:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _palette(colour: str) -> dict[Role | Literal["outline"], RGB]:
    body = COLOURS[colour]
    dark = sum(body) < 200
    return {
        "body": body,
        "shade": _mix(body, (255, 255, 255), 0.28) if dark else _mix(body, (0, 0, 0), 0.28),
        "light": _mix(body, (255, 255, 255), 0.65),
        "glass": (176, 222, 240),
        "tyre": (28, 28, 30),
        "detail": (250, 250, 210) if sum(body) < 320 else (24, 24, 28),
        "beak": (252, 182, 66) if colour not in ("orange", "yellow") else (200, 60, 40),
        "outline": (226, 226, 232) if colour == "black" else (28, 26, 36),
    }


def _draw(draw: ImageDraw.ImageDraw, part: Part, fill: RGB | int, pad: int, scale: int) -> None:
    at = [pad + value * scale for value in (part.at[:4] if part.shape == "slice" else part.at)]
    if part.shape == "ellipse":
        draw.ellipse(at, fill=fill)
    elif part.shape == "polygon":
        draw.polygon(at, fill=fill)
    elif part.shape == "round":
        draw.rounded_rectangle(at, radius=0.05 * scale, fill=fill)
    elif part.shape == "line":
        draw.line(at, fill=fill, width=round(0.10 * scale), joint="curve")
    else:
        draw.pieslice(at, part.at[4], part.at[5], fill=fill)


@cache
def master_sprite(class_name: str, colour: str) -> Image.Image:
    """The sprite facing right, RGBA, cropped to what is visible; at most `MASTER_PIXELS` plus outline wide."""
    pad = 2 * _OUTLINE_PIXELS
    side = MASTER_PIXELS + 2 * pad
    palette = _palette(colour)
    picture = Image.new("RGB", (side, side), palette["outline"])
    silhouette = Image.new("L", (side, side), 0)
    for part in SPRITES[class_name]:
        _draw(ImageDraw.Draw(picture), part, palette[part.role], pad, MASTER_PIXELS)
        _draw(ImageDraw.Draw(silhouette), part, 255, pad, MASTER_PIXELS)
    outlined = silhouette.filter(ImageFilter.MaxFilter(2 * _OUTLINE_PIXELS + 1)).filter(ImageFilter.BoxBlur(2))
    alpha = ImageChops.lighter(outlined, silhouette)
    picture.putalpha(alpha)
    box = alpha.point([255 if value > 127 else 0 for value in range(256)]).getbbox()
    return picture.crop(box)
