"""Tables that stages write for the report: a title, columns, rows, and a note that says how to read them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.common.errors import UserError
from tasks.common.files import write_json
from tasks.common.quarantine import printable

_MOST_BYTES = 1_000_000
_MOST_NUMBER = 10**15

_Words = Annotated[str, Field(max_length=300)]
_Whole = Annotated[int, Field(ge=-_MOST_NUMBER, le=_MOST_NUMBER)]
_Number = Annotated[float, Field(ge=-_MOST_NUMBER, le=_MOST_NUMBER, allow_inf_nan=False)]
Cell = _Whole | _Number | _Words | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RowGroup(_Part):
    """A heading over the next `rows` rows."""

    title: str = Field(min_length=1, max_length=200)
    rows: int = Field(ge=1, le=1_000)


class ReportTable(_Part):
    """A table of text and numbers; None is a cell without a value.

    Attributes:
        title: stands above the table.
        note: what the columns mean and where the numbers are from; may be empty.
        columns: headings, one for each cell of a row.
        rows: at most 1,000.
        groups: headings between the rows; none, or as many as cover all rows.
    """

    title: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=2_000)
    columns: tuple[_Words, ...] = Field(min_length=1, max_length=40)
    rows: tuple[tuple[Cell, ...], ...] = Field(max_length=1_000)
    groups: tuple[RowGroup, ...] = Field(default=(), max_length=1_000)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise ValueError(f"row {number} has {len(row)} cells, not {len(self.columns)} as there are columns")
        covered = sum(group.rows for group in self.groups)
        if self.groups and covered != len(self.rows):
            raise ValueError(f"groups cover {covered} rows, but there are {len(self.rows)}")
        return self

    def numeric(self) -> list[bool]:
        """For each column, whether its values are numbers."""
        columns = ([cell for cell in column if cell is not None] for column in zip(*self.rows, strict=True))
        found = [bool(cells) and not any(isinstance(cell, str) for cell in cells) for cells in columns]
        return found or [False] * len(self.columns)

    def grouped(self) -> list[tuple[str, tuple[tuple[Cell, ...], ...]]]:
        """The rows under their headings; under an empty one if there are no groups."""
        found, start = [], 0
        for group in self.groups:
            found.append((group.title, self.rows[start : start + group.rows]))
            start += group.rows
        return found or [("", self.rows)]


def write_table(path: Path, table: ReportTable) -> None:
    """Writes a table as JSON, whole or not at all."""
    write_json(path, table.model_dump())


def read_table(path: Path) -> ReportTable:
    """The table in a file.

    Raises:
        UserError: no such file, too large, or no table, with what is wrong in it.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; `dvc repro` makes it") from None
    if len(text) > _MOST_BYTES:
        raise UserError(f"{path}: over {_MOST_BYTES} bytes; a table of the report is a short one")
    try:
        return ReportTable.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = printable(".".join(str(part) for part in problem["loc"]), 100)
        message = printable(problem["msg"].removeprefix("Value error, "))
        raise UserError(f"{path}: {f'{place}: ' if place else ''}{message}; run the stage that makes it again") from None
