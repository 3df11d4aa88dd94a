"""Annotation files of video data sets as users have them on disk, read as rows of one kind.

The formats are those of WebVid (CSV), MSR-VTT (videodatainfo.json), ActivityNet Captions (JSON) and UCF-101 (lists of
videos beside classInd.txt). What is wrong with a row is set aside with a reason, what is wrong with a file is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from tasks.common.errors import UserError
from tasks.common.quarantine import Quarantine, printable
from tasks.dysen.gold_sources.annotation_json import activitynet_rows, msrvtt_rows
from tasks.dysen.gold_sources.annotation_rows import AnnotatedVideo, BadRow, Row
from tasks.dysen.gold_sources.annotation_tables import ucf101_rows, webvid_rows

Format = Literal["webvid", "msrvtt", "activitynet", "ucf101"]
_MOST_BAD = 100
_READERS: Mapping[Format, Callable[[Path, str | None], Iterator[Row]]] = {
    "webvid": webvid_rows,
    "msrvtt": msrvtt_rows,
    "activitynet": activitynet_rows,
    "ucf101": ucf101_rows,
}


def read_annotations(
    path: Path, kind: Format, split: str | None, most: int, quarantine: Quarantine
) -> Iterator[AnnotatedVideo]:
    """The videos of a file, in its order.

    Args:
        path: of the file; for UCF-101 a list such as trainlist01.txt, with classInd.txt beside it.
        kind: the file's format.
        split: only videos of this split; None for all. A file that does not tell of splits is taken for one.
        most: videos that are taken, at most; nothing is read behind them.
        quarantine: takes what is set aside: no id or caption, captions that are too long, an id for the second time,
            times that are none.

    Raises:
        UserError: no such file, one of another format, one without such videos, or one with more than `most` rows and
            `_MOST_BAD` that cannot be used.
    """
    seen: set[str] = set()
    bad = 0
    for row in _READERS[kind](path, split):
        if isinstance(row, AnnotatedVideo) and row.id not in seen:
            seen.add(row.id)
            yield row
            if len(seen) == most:
                return
            continue
        problem = row if isinstance(row, BadRow) else BadRow(row.id, "repeated", "the same id again; the first one is kept")
        quarantine.add(f"{path.name}: {problem.item}", problem.reason, problem.detail)
        bad += 1
        if bad > most + _MOST_BAD:
            last = printable(f"{problem.reason}, {problem.detail}")
            raise UserError(f"{path}: {bad} rows that cannot be used, the last one for {last}; is it a file of {kind}?")
    if not seen:
        of = f" of the split {printable(split)!r}" if split else ""
        raise UserError(f"{path}: there is no video{of} that can be used; mend the file, or gold.annotations")
