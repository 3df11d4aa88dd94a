"""Contact sheets: many small pictures in one PNG, with boxes and their phrases drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tasks.common.files import complete
from tasks.common.quarantine import printable

_GAP = 6
_PAPER = (250, 250, 250)
_INK = (20, 20, 20)
_TEXT_PIXELS = 12
_COLOURS = ((230, 25, 75), (0, 110, 220), (0, 130, 60), (145, 30, 180), (200, 90, 0), (0, 128, 128))


@dataclass(frozen=True)
class LabelledBox:
    """(x0, y0, x1, y1) in 0..1 of the tile, and what to write on it."""

    box: tuple[float, float, float, float]
    label: str


@dataclass(frozen=True)
class Tile:
    """One picture [height, width, 3] uint8 with boxes and a line of text below."""

    pixels: NDArray[np.uint8]
    boxes: Sequence[LabelledBox] = field(default_factory=tuple)
    title: str = ""


def _draw_tile(tile: Tile, size: tuple[int, int]) -> Image.Image:
    enlarge = Image.Resampling.NEAREST if tile.pixels.shape[0] < size[1] else Image.Resampling.LANCZOS
    picture = Image.fromarray(tile.pixels).resize(size, enlarge)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_TEXT_PIXELS)
    for index, item in enumerate(tile.boxes):
        colour = _COLOURS[index % len(_COLOURS)]
        x0, y0, x1, y1 = (value * (size[index % 2] - 1) for index, value in enumerate(item.box))
        draw.rectangle((x0, y0, x1, y1), outline=colour, width=2)
        label = printable(item.label)[:40]
        width = draw.textlength(label, font) + 4
        left, top = min(x0, size[0] - width), y0 - _TEXT_PIXELS - 3 if y0 > _TEXT_PIXELS + 3 else y1 + 1
        draw.rectangle((left, top, left + width, top + _TEXT_PIXELS + 2), fill=colour)
        draw.text((left + 2, top), label, fill="white", font=font)
    return picture


def _fit(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    text = printable(text)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def save_contact_sheet(tiles: Sequence[Tile], columns: int, size: tuple[int, int], target: Path) -> None:
    """Writes the tiles row by row, each `size` = (width, height) pixels, as one PNG; without tiles, one blank tile."""
    font = ImageFont.load_default(_TEXT_PIXELS)
    text_height = _TEXT_PIXELS + 6 if any(tile.title for tile in tiles) else 0
    step_x, step_y = size[0] + _GAP, size[1] + _GAP + text_height
    rows = max(1, -(-len(tiles) // columns))
    sheet = Image.new("RGB", (min(columns, max(1, len(tiles))) * step_x + _GAP, rows * step_y + _GAP), _PAPER)
    for index, tile in enumerate(tiles):
        left, top = _GAP + index % columns * step_x, _GAP + index // columns * step_y
        sheet.paste(_draw_tile(tile, size), (left, top))
        if tile.title:
            ImageDraw.Draw(sheet).text((left, top + size[1] + 2), _fit(tile.title, size[0], font), fill=_INK, font=font)
    with complete(target) as path:
        sheet.save(path, "PNG")
