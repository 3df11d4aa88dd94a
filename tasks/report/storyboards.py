"""Storyboards on the page: pictures in the story's order with their captions, what is said below, questions beside."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from tasks.common.report_storyboard import Storyboard, read_storyboard


def _address(picture_HWC: NDArray[np.uint8]) -> Markup:
    encoded = io.BytesIO()
    Image.fromarray(picture_HWC).save(encoded, "PNG")
    data = Markup(base64.b64encode(encoded.getvalue()).decode())  # noqa: S704 - the base64 alphabet has no markup
    return Markup("data:image/png;base64,{}").format(data)


def read_storyboards(folder: Path) -> list[dict[str, Any]]:
    """Each storyboard of a folder, sorted by file, as `board` and the `addresses` of its pictures.

    Raises:
        UserError: one is damaged.
    """
    boards = []
    for path in sorted(folder.glob("*.json")):
        board, cells = read_storyboard(path)
        boards.append({"board": board, "addresses": _used(board, cells)})
    return boards


def _used(board: Storyboard, cells: list[NDArray[np.uint8]]) -> dict[int, Markup]:
    used = {card.cell for scene in board.scenes for card in scene.cards if card.cell is not None}
    return {cell: _address(cells[cell]) for cell in sorted(used)}
