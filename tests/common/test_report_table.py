"""Tables for the report: written whole, read with care."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.common.errors import UserError
from tasks.common.report_table import Cell, ReportTable, RowGroup, read_table, write_table

TABLE = ReportTable(title="Scores", columns=("who", "how many"), rows=(("a", 1), ("b", None), ("c", 2.5)))
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
limit = 10**15
cells = st.none() | words | st.integers(-limit, limit) | st.floats(-limit, limit)


@st.composite
def tables(draw: st.DrawFn) -> ReportTable:
    width = draw(st.integers(1, 5))
    rows = draw(st.lists(st.tuples(*[cells] * width), max_size=6))
    cut = draw(st.integers(0, len(rows)))
    sizes = [size for size in (cut, len(rows) - cut) if size]
    groups = tuple(RowGroup(title="g", rows=size) for size in sizes) if draw(st.booleans()) else ()
    columns = tuple(draw(words) for _ in range(width))
    return ReportTable(title="t", note=draw(words), columns=columns, rows=tuple(rows), groups=groups)


@given(table=tables())
def test_what_is_written_is_read(table: ReportTable, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("table") / "reports" / "tables" / "a.json"
    write_table(path, table)
    assert read_table(path) == table
    assert [type(cell) for row in read_table(path).rows for cell in row] == [
        type(cell) for row in table.rows for cell in row
    ]


@given(table=tables())
def test_groups_and_columns_cover_the_rows(table: ReportTable) -> None:
    assert tuple(row for _, rows in table.grouped() for row in rows) == table.rows
    assert len(table.numeric()) == len(table.columns)


def test_rows_stand_under_their_headings() -> None:
    assert TABLE.grouped() == [("", TABLE.rows)]
    groups = (RowGroup(title="first", rows=1), RowGroup(title="others", rows=2))
    grouped = TABLE.model_copy(update={"groups": groups}).grouped()
    assert grouped == [("first", TABLE.rows[:1]), ("others", TABLE.rows[1:])]


@pytest.mark.parametrize(
    ("column", "expected"), [((1, None, 2.5), True), ((None, None), False), ((1, "a"), False), (("a",), False), ((), False)]
)
def test_a_column_of_numbers_is_known(column: tuple[Cell, ...], expected: bool) -> None:
    rows = tuple((cell, "word") for cell in column)
    assert ReportTable(title="t", columns=("x", "y"), rows=rows).numeric() == [expected, False]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a short row": ({"rows": [["a"]]}, "row 1 has 1 cells, not 2"),
    "a long row": ({"rows": [["a", 1], ["b", 1, 1]]}, "row 2 has 3 cells, not 2"),
    "groups beside the rows": ({"groups": [{"title": "g", "rows": 2}]}, "groups cover 2 rows, but there are 3"),
    "an empty group": ({"groups": [{"title": "g", "rows": 0}]}, "groups.0.rows: "),
    "no columns": ({"columns": []}, "columns: "),
    "another key": ({"colour": "red"}, "colour: "),
    "no title": ({"title": ""}, "title: "),
    "a truth value": ({"rows": [["a", True]]}, "rows.0.1"),
    "a list in a cell": ({"rows": [["a", [1]]]}, "rows.0.1"),
    "not a number": ({"rows": [["a", float("nan")]]}, "rows.0.1"),
    "endless": ({"rows": [["a", float("inf")]]}, "rows.0.1"),
    "a number too large": ({"rows": [["a", 10**400]]}, "rows.0.1"),
    "a long cell": ({"rows": [["a" * 301, 1]]}, "rows.0.0"),
    "a long note": ({"note": "a" * 2001}, "note: "),
    "too many rows": ({"rows": [["a", 1]] * 1001}, "rows: "),
    "too many columns": ({"columns": ["a"] * 41, "rows": []}, "columns: "),
    "text for a group": ({"groups": "first"}, "groups: "),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_table_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(TABLE.model_dump() | change))
    with pytest.raises(UserError) as error:
        read_table(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b'{"title": "\xff"}', b"[" * 100_000, b'{"a":' * 100_000, b" " * 1_000_001, b'{"\\u001b[31m": 1}'],
)
def test_hostile_files_are_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_table(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UserError, match=f"{path.name}.*`dvc repro` makes it"):
            read_table(path)


def test_a_stage_cannot_write_what_cannot_be_read() -> None:
    for cell in (float("nan"), 10**16, "\ud800", "a" * 301):
        with pytest.raises(ValidationError):
            ReportTable(title="t", columns=("a",), rows=((cell,),))
