"""Annotation files with one video a line: WebVid's CSV, and UCF-101's lists of videos."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from tasks.common.errors import UserError
from tasks.common.quarantine import printable
from tasks.dysen.gold_sources.annotation_rows import BadRow, Row, make_rows, seconds, unreadable

_LONGEST_FIELD = 1_000_000
_WEBVID = "WebVid's CSV with the columns videoid, contentUrl, duration, page_dir, name"
_CLASSES = "classInd.txt"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def webvid_rows(path: Path, split: str | None) -> Iterator[Row]:
    """Rows of a CSV with the columns `videoid` and `name`, and perhaps `page_dir` and `duration`, in any order.

    A video lies at PAGE_DIR/VIDEOID.mp4. The file is one split, which gets the name that is asked for.

    Raises:
        UserError: no such file, no such columns, or no CSV.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    number = 0
    try:
        reader = csv.reader(_lines(path))
        columns = _columns(path, next(reader, []))
        for number, cells in enumerate(reader, start=2):
            if any(map(str.strip, cells)):
                yield from _webvid_row(number, cells, columns, split or "")
    except OSError as error:
        raise unreadable(path, error, _WEBVID) from None
    except csv.Error as error:
        raise UserError(f"{path}: behind row {number}: {error}; double every quote inside a quoted caption") from None


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise UserError(f"{path}: UTF-16 text; save it as UTF-8")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        while line := file.readline(_LONGEST_FIELD):
            yield line.replace("\0", " ")


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    columns = {name.strip().lower(): place for place, name in reversed(list(enumerate(header)))}
    if not {"videoid", "name"} <= columns.keys():
        found = printable(", ".join(header)[:100]) or "missing"
        raise UserError(f"{path}: the columns are {found}; expected {_WEBVID}, of which videoid and name are needed")
    return columns


def _webvid_row(number: int, cells: list[str], columns: dict[str, int], split: str) -> Iterator[Row]:
    def cell(name: str) -> str:
        place = columns.get(name, len(cells))
        return cells[place] if place < len(cells) else ""

    if max(columns["videoid"], columns["name"]) >= len(cells):
        yield BadRow(f"row {number}", "columns", f"{len(cells)} columns")
        return
    folder = cell("page_dir").strip()
    path = f"{folder}/{cell('videoid').strip()}.mp4" if folder else f"{cell('videoid').strip()}.mp4"
    yield from make_rows(cell("videoid"), path, [cell("name")], (), seconds(cell("duration")), split)


def ucf101_rows(path: Path, split: str | None) -> Iterator[Row]:
    """Rows of a list: "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1", in lists of tests without the number.

    The caption is a sentence on the class. The split is the beginning of the list's name; the list has no rows of another.

    Raises:
        UserError: no such file, or no classInd.txt beside it.
    """
    named = next((name for name in ("train", "test") if path.name.lower().startswith(name)), "")
    if split and named and split != named:
        return
    classes = _classes(path.with_name(_CLASSES))
    try:
        for number, line in enumerate(_lines(path), start=1):
            if line.strip():
                yield from _ucf101_row(number, line.strip(), classes, split or named)
    except OSError as error:
        raise unreadable(path, error, "a list of UCF-101 such as trainlist01.txt") from None


def _classes(path: Path) -> dict[str, tuple[str, str]]:
    """From a class in lower case (files differ in it) to its number and its name in words."""
    wanted = 'UCF-101\'s classes beside the list, "1 ApplyEyeMakeup" a line'
    classes: dict[str, tuple[str, str]] = {}
    try:
        for line in _lines(path):
            cells = line.split()
            if len(cells) == 2 and cells[0].isdecimal():
                classes[cells[1].lower()] = (cells[0], class_in_words(cells[1]))
    except OSError as error:
        raise unreadable(path, error, wanted) from None
    if not classes:
        raise UserError(f"{path}: there is no class in it; expected {wanted}")
    return classes


def class_in_words(name: str) -> str:
    """ "ApplyEyeMakeup" as "apply eye makeup"."""
    return " ".join(_WORD.findall(name)).lower()


def _ucf101_row(number: int, line: str, classes: dict[str, tuple[str, str]], split: str) -> Iterator[Row]:
    video, _, label = line.rpartition(" ") if line.rpartition(" ")[2].isdecimal() else (line, "", "")
    folder, _, file = video.strip().replace("\\", "/").rpartition("/")
    known = classes.get(folder.rpartition("/")[2].lower())
    if known is None or (label and label != known[0]):
        what = "of no class" if known is None else f"of class {printable(label)}, which is not that of its folder"
        yield BadRow(f"row {number}", "class", f"{printable(line)[:80]} is {what} in {_CLASSES}")
        return
    words = known[1]
    sentence = f"A person is {words}." if words.split()[0].endswith("ing") else f"A person is doing {words}."
    yield from make_rows(file.rpartition(".")[0] or file, video.strip(), [sentence], (), None, split)
