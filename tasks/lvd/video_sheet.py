"""A contact sheet of videos: a video per row, frames from left to right, the boxes drawn that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.common.contact_sheet import LabelledBox, Tile, save_contact_sheet
from tasks.lvd.interpolation import condition_tracks
from tasks.lvd.layout import DynamicSceneLayout

COLUMNS = 6
_TILE_WIDTH = 200


def video_tiles(frames_FHWC: NDArray[np.uint8], prompt: str, layout: DynamicSceneLayout | None) -> list[Tile]:
    """One row: six moments of a video; its prompt runs on below them from tile to tile."""
    count = len(frames_FHWC)
    tracks = condition_tracks(layout, count) if layout else []
    words = _in_parts(prompt, COLUMNS)
    tiles = []
    for column, moment in enumerate(np.linspace(0, count - 1, COLUMNS).round().astype(int)):
        seen = [track for track in tracks if track.present[moment]]
        boxes = [LabelledBox(_inside(track.boxes[moment]), track.name) for track in seen]
        tiles.append(Tile(frames_FHWC[moment], boxes, words[column]))
    return tiles


def save_video_sheet(rows: Sequence[Sequence[Tile]], target: Path) -> None:
    """Writes rows of `video_tiles`, scaled to one width."""
    height, width = rows[0][0].pixels.shape[:2] if rows else (1, 1)
    size = (_TILE_WIDTH, max(1, round(_TILE_WIDTH * height / width)))
    save_contact_sheet([tile for row in rows for tile in row], COLUMNS, size, target)


def _inside(box_4: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Corners in order, and just outside the picture where they are far outside."""
    x0, y0, x1, y1 = np.clip(box_4, -0.1, 1.1).tolist()
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _in_parts(text: str, parts: int, most: int = 30) -> list[str]:
    """The words of a text in lines of at most `most` characters; the last one takes what is left."""
    lines = [""]
    for word in text[:600].split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > most and len(lines) < parts:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines + [""] * (parts - len(lines))
