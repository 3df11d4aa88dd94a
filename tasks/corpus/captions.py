"""Caption files as users have them: CSV or parquet, comma or whitespace, header or none."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet

from tasks.common.errors import UserError

MOST_CHARACTERS = 20_000
"""Longer captions are cut here (256 tokens are far fewer) and counted."""
_KEY_NAMES = ("key", "image", "image_id", "file_name", "filename", "id")
_CAPTION_NAMES = ("caption", "text", "description", "prompt")
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
_EMPTY = {"", "nan", "none", "null", "n/a"}


@dataclass
class Captions:
    """Caption by image key, and what was odd: rows without a caption, captions that were cut."""

    by_key: dict[str, str]
    without_text: int = 0
    cut: int = 0
    _rows: dict[str, int] = field(default_factory=dict)


def read_captions(path: Path) -> Captions:
    """Reads the whole file; about 0.4 kB of memory a caption.

    Raises:
        UserError: missing or unreadable file, a key twice (both rows are named), a row without two columns.
    """
    captions = Captions({})
    try:
        rows = _parquet_rows(path) if _is_parquet(path) else _text_rows(path)
        for number, key, caption in rows:
            _add(captions, path, number, key, caption)
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: {what}; ingest.captions names it") from None
    if not captions.by_key:
        raise UserError(f"{path}: no captions; write one `key,caption` line per image")
    captions._rows.clear()
    return captions


def _add(captions: Captions, path: Path, number: int, key: str, caption: str) -> None:
    key = normal_key(key)
    if not key:
        raise UserError(f"{path}: row {number} has no key; write `key,caption`")
    if key in captions._rows:
        raise UserError(f"{path}: key {key!r} is in row {captions._rows[key]} and row {number}; delete one of them")
    captions._rows[key] = number
    text = " ".join(caption.replace("\0", " ").split())
    if text.lower() in _EMPTY:
        captions.without_text += 1
        return
    captions.cut += len(text) > MOST_CHARACTERS
    captions.by_key[key] = text[:MOST_CHARACTERS]


def normal_key(key: str) -> str:
    """The key without surrounding space, folders and image ending: "dir/image_1.jpg" is "image_1"."""
    key = key.strip().strip("\ufeff").replace("\\", "/").rsplit("/", 1)[-1]
    ending = next((ending for ending in _IMAGE_ENDINGS if key.lower().endswith(ending)), "")
    return key[: len(key) - len(ending)]


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _parquet_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    with parquet.ParquetFile(path) as table:
        names = [str(name) for name in table.schema_arrow.names]
        columns = _header_columns(names)
        if columns is None:
            raise UserError(f"{path}: columns are {', '.join(names)}; expected `key` and `caption`")
        number = 0
        for batch in table.iter_batches(columns=[names[index] for index in columns]):
            for row in batch.to_pylist():
                number += 1
                key, caption = (row[names[index]] for index in columns)
                yield number, _text(key), _text(caption)


def _text(cell: object) -> str:
    if isinstance(cell, bytes):
        return cell.decode("utf-8", errors="replace")
    return "" if cell is None else str(cell)


def _header_columns(cells: list[str]) -> tuple[int, int] | None:
    names = [cell.strip().strip("\ufeff").lower() for cell in cells]
    found = [next((names.index(name) for name in known if name in names), None) for known in (_KEY_NAMES, _CAPTION_NAMES)]
    return (found[0], found[1]) if found[0] is not None and found[1] is not None else None


def _text_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Comma-separated if the first line has a comma before any space; else the key ends at the first whitespace."""
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = (line.replace("\0", " ") for line in file)
        first = next((line for line in lines if line.strip()), "")
        by_comma = "," in first and not any(letter.isspace() for letter in first.split(",")[0].strip())
        cells = next(csv.reader([first])) if by_comma else first.split(maxsplit=1)
        columns = _header_columns(cells)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = (line.replace("\0", " ") for line in file)
        rows = csv.reader(lines) if by_comma else (line.split(maxsplit=1) for line in lines)
        header = columns is not None
        for number, row in enumerate(rows, start=1):
            if not any(cell.strip() for cell in row):
                continue
            if header:
                header = False
                continue
            yield number, *_key_and_caption(path, number, row, columns, len(cells))


def _key_and_caption(
    path: Path, number: int, row: list[str], columns: tuple[int, int] | None, width: int
) -> tuple[str, str]:
    if columns is None or (columns == (0, 1) and width == 2):
        return row[0], ",".join(row[1:])
    if len(row) <= max(columns):
        raise UserError(f"{path}: row {number} has {len(row)} columns, the header {width}; add the missing comma")
    return row[columns[0]], row[columns[1]]
