"""Dynamic scene layouts: where each object is in each frame, and how they are kept in JSON Lines (specs/lvd.md 1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.common.errors import UserError
from tasks.common.files import write_text

CANVAS_PIXELS = 512
MOST_FRAMES = 256
MOST_OBJECTS = 64
MOST_PLANNER = 200
_MOST_PIXELS = 1_000_000.0

Pixels = Annotated[float, Field(ge=-_MOST_PIXELS, le=_MOST_PIXELS, allow_inf_nan=False)]


class LayoutObject(BaseModel):
    """One object in one frame; `box` is (x, y, width, height) in canvas pixels, x and y of its upper left corner."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int = Field(ge=0, le=1_000_000)
    name: str = Field(max_length=200)
    box: tuple[Pixels, Pixels, Pixels, Pixels]


Frame = Annotated[tuple[LayoutObject, ...], Field(max_length=MOST_OBJECTS)]


class DynamicSceneLayout(BaseModel):
    """Boxes for a whole video; an object that is absent from a frame is not listed in it, and keeps its id.

    The canvas is a square of `CANVAS_PIXELS` a side, origin at the upper left.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(max_length=10_000)
    frames: Annotated[tuple[Frame, ...], Field(min_length=1, max_length=MOST_FRAMES)]
    background: str = Field(default="", max_length=1_000)
    reasoning: str = Field(default="", max_length=20_000)
    planner: str = Field(default="", max_length=MOST_PLANNER)


def write_layouts(path: Path, layouts: Iterable[DynamicSceneLayout]) -> None:
    """One JSON object a line, whole or not at all."""
    write_text(path, "".join(layout.model_dump_json() + "\n" for layout in layouts))


def read_layouts(path: Path) -> Iterator[DynamicSceneLayout]:
    """The layouts of a file, in order.

    Raises:
        UserError: no such file, or the first line that is no layout, with what is wrong in it.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: {reason}; expected JSON Lines of layouts") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield DynamicSceneLayout.model_validate_json(line)
            except ValidationError as error:
                problem = error.errors()[0]
                place = ".".join(str(part) for part in problem["loc"])
                raise UserError(f"{path}, line {number}: {place}: {problem['msg']}; mend or remove that line") from None
