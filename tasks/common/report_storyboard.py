"""Storyboards that stages write for the report: a story's pictures in one film strip, and its words beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.common.errors import UserError
from tasks.common.files import complete, write_text
from tasks.common.images import BadImage, decode_image
from tasks.common.quarantine import printable

COLUMNS = 12
_MOST_BYTES = 5_000_000
_MOST_PIXELS = 2**26
_AGAIN = "run the stage storyboard again"

_Words = Annotated[str, Field(max_length=5_000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SaidLine(_Part):
    """Who says what; the speaker may not be known."""

    speaker: _Words
    text: _Words


class Card(_Part):
    """One picture: the number of its cell in the film strip, a caption, and what is said after it."""

    frame: Annotated[str, Field(max_length=20)]
    cell: int | None = Field(ge=0, lt=10_000)
    caption: _Words
    lines: tuple[SaidLine, ...] = Field(max_length=200)


class Asked(_Part):
    """A question, its answer, and the options if there are any."""

    kind: _Words
    question: _Words
    answer: _Words
    options: tuple[_Words, ...] = Field(max_length=26)


class Scene(_Part):
    """A tiny story."""

    title: _Words
    cards: tuple[Card, ...] = Field(max_length=200)
    asked: tuple[Asked, ...] = Field(max_length=2_000)


class Storyboard(_Part):
    """A story in pictures; `side` is the side of a cell of the film strip in pixels, `note` says what is left out."""

    title: _Words
    overview: _Words
    style: _Words
    note: _Words
    side: int = Field(ge=1, le=1024)
    scenes: tuple[Scene, ...] = Field(max_length=1_000)
    asked: tuple[Asked, ...] = Field(max_length=2_000)


def write_storyboard(folder: Path, name: str, board: Storyboard, pictures: list[NDArray[np.uint8]]) -> None:
    """Writes `NAME.json` and `NAME.png`, the film strip of square pictures [side, side, 3] in rows of `COLUMNS`."""
    rows = max(1, -(-len(pictures) // COLUMNS))
    strip = np.full((rows * board.side, min(max(len(pictures), 1), COLUMNS) * board.side, 3), 255, dtype=np.uint8)
    for cell, picture_HWC in enumerate(pictures):
        top, left = cell // COLUMNS * board.side, cell % COLUMNS * board.side
        strip[top : top + board.side, left : left + board.side] = picture_HWC
    with complete(folder / f"{name}.png") as unfinished:
        Image.fromarray(strip).save(unfinished, "PNG")
    write_text(folder / f"{name}.json", board.model_dump_json(indent=1) + "\n")


def read_storyboard(path: Path) -> tuple[Storyboard, list[NDArray[np.uint8]]]:
    """The storyboard in `NAME.json` with the cells of `NAME.png`, each [side, side, 3].

    Raises:
        UserError: a file is missing, too large, or no storyboard; or the two do not belong together.
    """
    try:
        if path.stat().st_size > _MOST_BYTES or path.with_suffix(".png").stat().st_size > _MOST_BYTES * 10:
            raise UserError(f"{path}: too large for a storyboard; lower storyboard.most_frames")
        board = Storyboard.model_validate_json(path.read_bytes())
        strip = np.asarray(decode_image(path.with_suffix(".png").read_bytes(), _MOST_PIXELS).picture)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; {_AGAIN}") from None
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise UserError(f"{path}: {printable(problem)}; {_AGAIN}") from None
    except BadImage as error:
        raise UserError(f"{path.with_suffix('.png')}: {printable(str(error))}; {_AGAIN}") from None
    side = board.side
    cells = [
        strip[top : top + side, left : left + side]
        for top in range(0, strip.shape[0] - side + 1, side)
        for left in range(0, strip.shape[1] - side + 1, side)
    ]
    if any(card.cell is not None and card.cell >= len(cells) for scene in board.scenes for card in scene.cards):
        raise UserError(f"{path}: its film strip has only {len(cells)} pictures; {_AGAIN}")
    return board, cells
