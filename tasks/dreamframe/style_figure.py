"""How styles came about: a picture of style images and pictures on the way, and curves that are means over the stories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.common.contact_sheet import Tile, save_contact_sheet
from tasks.common.training_curves import Curves
from tasks.dreamframe.picture_archive import read_pictures
from tasks.dreamframe.style_images import IMAGES_FILE
from tasks.dreamframe.style_learning import PICTURES_FILE
from tasks.dreamframe.style_requests import spread

_COLUMNS, _MOST_STYLES, _SIDE = 8, 4, 160
_BLANK = np.full((1, 1, 3), 250, np.uint8)


def _row(pictures: Sequence[NDArray[np.uint8]], columns: int, title: str) -> list[Tile]:
    tiles = [Tile(pixels_HWC, title=title if not number else " ") for number, pixels_HWC in enumerate(pictures[:columns])]
    return tiles + [Tile(_BLANK)] * (columns - len(tiles))


def draw_styles(folders: Sequence[tuple[Path, Path]], target: Path) -> None:
    """Draws of the first few styles a row of style images, and a row of pictures for each step that was kept.

    Args:
        folders: for each style the folder with its images, and the one with its pictures on the way.
        target: the PNG file.
    """
    styles = []
    for images, learned in folders[:_MOST_STYLES]:
        steps: dict[int, list[NDArray[np.uint8]]] = {}
        for name, pixels_HWC in read_pictures(learned / PICTURES_FILE):
            steps.setdefault(int(name.split("-")[0]), []).append(pixels_HWC)
        rows = {f"with the token, step {step}": pictures for step, pictures in steps.items()}
        styles.append({"style images": [pixels_HWC for _, pixels_HWC in read_pictures(images / IMAGES_FILE)], **rows})
    shown = max(len(pictures) for rows in styles for title, pictures in rows.items() if title != "style images")
    columns = min(_COLUMNS, max(shown, 4))
    tiles = [
        tile
        for rows in styles
        for title, pictures in rows.items()
        for tile in _row(spread(pictures, columns), columns, title)
    ]
    save_contact_sheet(tiles, columns, (_SIDE, _SIDE), target)


def mean_curves(points: Sequence[dict[str, list[dict[str, float | None]]]]) -> Curves:
    """The mean over stories of each value at each step, where it is known."""
    together: dict[str, dict[int, dict[str, list[float]]]] = {}
    for curves in points:
        for curve, found in curves.items():
            for point in found:
                values = together.setdefault(curve, {}).setdefault(int(point["step"] or 0), {})
                for name, value in point.items():
                    if name != "step":
                        values.setdefault(name, []).extend([] if value is None else [value])
    means = Curves()
    for curve, steps in together.items():
        for step, named in sorted(steps.items()):
            means.add(curve, step, **{name: sum(known) / len(known) if known else None for name, known in named.items()})
    return means
