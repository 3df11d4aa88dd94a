"""Caption files as users have them: CSV or parquet, comma or whitespace, header or none."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet

from tasks.common.errors import UserError

MOST_CHARACTERS = 20_000
"""Longer captions are cut here (256 tokens are far fewer) and counted."""
_KEY_NAMES = ("key", "image", "image_id", "file_name", "filename", "id")
_CAPTION_NAMES = ("caption", "text", "description", "prompt")
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
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
    """The key without surrounding space, folders and image ending, in one Unicode form: "dir/image_1.jpg" is "image_1"."""
    key = unicodedata.normalize("NFC", key).strip().strip("\ufeff").replace("\\", "/").rsplit("/", 1)[-1]
    ending = next((ending for ending in IMAGE_ENDINGS if key.lower().endswith(ending)), "")
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


def _separator(first: str) -> str:
    """ "," if the first line has one right behind a key, a tab if it has any; otherwise "" for any whitespace."""
    key = first.split(",")[0].strip()
    if "," in first and (not any(map(str.isspace, key)) or key.lower().endswith(IMAGE_ENDINGS)):
        return ","
    return "\t" if "\t" in first else ""


def _cells(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    if separator == ",":
        return csv.reader(lines, strict=True)
    if separator == "\t":
        return csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return (line.split(maxsplit=1) for line in lines)


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for line in file:
            yield line.replace("\0", " ")


def _text_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """The first line decides on the separator, and whether it is a header."""
    with path.open("rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise UserError(f"{path}: UTF-16 text; save it as UTF-8")
    csv.field_size_limit(2**31 - 1)
    separator = _separator(next((line for line in _lines(path) if line.strip()), ""))
    header: list[str] | None = None
    number = 0
    try:
        for number, row in enumerate(_cells(_lines(path), separator), start=1):
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = row if _header_columns(row) else []
                if header:
                    continue
            yield number, *_key_and_caption(path, number, row, header, separator)
    except csv.Error as error:
        raise UserError(f"{path}: row {number + 1}: {error}; double every quote inside a quoted caption") from None


def _key_and_caption(path: Path, number: int, row: list[str], header: list[str], separator: str) -> tuple[str, str]:
    columns = _header_columns(header)
    if columns is None or (columns == (0, 1) and len(header) == 2):
        return row[0], separator.join(row[1:])
    if len(row) <= max(columns):
        raise UserError(f"{path}: row {number} has {len(row)} columns, the header {len(header)}; add what is missing")
    return row[columns[0]], row[columns[1]]
