"""A row of an annotation file: a video, what is said of it, and when; and how rows are made of what a file has."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.common.errors import UserError
from tasks.common.quarantine import printable

LONGEST_CAPTION = 2_000
LONGEST_ID = 300
_LONGEST_VIDEO_S = 1e7
_NOTHING = frozenset({"", "nan", "none", "null", "n/a"})
_CLOCK = re.compile(r"PT(?:(\d{1,5})H)?(?:(\d{1,5})M)?(?:(\d{1,5}(?:\.\d{1,9})?)S)?")


class TimedSentence(NamedTuple):
    """A sentence, and the part of a video that it tells of, in seconds."""

    start_s: float
    end_s: float
    sentence: str


class AnnotatedVideo(NamedTuple):
    """A video as an annotation file has it.

    Attributes:
        id: of the video.
        path: where the file says that the video lies, below the folder of videos; text that nobody has checked.
        captions: of the whole video, a line each.
        segments: sentences with times, as the file orders them; none if it has no times.
        duration_s: None if the file does not tell.
        split: such as "train"; "" if the file does not tell.
    """

    id: str
    path: str
    captions: tuple[str, ...]
    segments: tuple[TimedSentence, ...] = ()
    duration_s: float | None = None
    split: str = ""


class BadRow(NamedTuple):
    """What cannot be used of a file, and why: a fixed word and a detail."""

    item: str
    reason: str
    detail: str = ""


Row = AnnotatedVideo | BadRow


class BadText(Exception):
    """A text that cannot be used; `reason` is the quarantine's fixed word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def one_line(value: object, most: int) -> str:
    """A text without control characters, invisible signs and superfluous spaces; "" for a missing one.

    Raises:
        BadText: it is no text, or longer than `most` characters.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, str):
        raise BadText("no-text", f"{printable(repr(value)[:80])} is no text")
    if len(value) > most:
        raise BadText("too-long", f"{len(value)} characters, more than {most}")
    text = " ".join("".join(character if character.isprintable() else " " for character in value).split())
    return "" if text.lower() in _NOTHING else text


def seconds(value: object) -> float | None:
    """A time in seconds, from a number, its text or "PT00H01M05S"; None if it is none or not from 0 up."""
    if isinstance(value, str):
        clock = _CLOCK.fullmatch(value.strip())
        if clock and any(clock.groups()):
            hours, minutes, rest = (float(part or 0) for part in clock.groups())
            value = hours * 3600 + minutes * 60 + rest
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= _LONGEST_VIDEO_S else None


def make_rows(
    name: object,
    path: str,
    captions: Sequence[object],
    segments: Sequence[TimedSentence] = (),
    duration_s: float | None = None,
    split: str = "",
) -> Iterator[Row]:
    """The row of a video, behind a bad one for each caption that cannot be used; only bad ones without id or caption.

    Args:
        name: the id.
        path, segments, duration_s, split: of `AnnotatedVideo`.
        captions: as the file has them; equal ones count once.
    """
    try:
        identity = one_line(name, LONGEST_ID)
    except BadText as error:
        yield BadRow(printable(repr(name)[:80]), "no-id", str(error))
        return
    if not identity:
        yield BadRow("", "no-id", "the id is empty")
        return
    kept: dict[str, None] = {}
    for number, caption in enumerate(captions, start=1):
        try:
            kept[one_line(caption, LONGEST_CAPTION)] = None
        except BadText as error:
            yield BadRow(f"{identity}, caption {number}", error.reason, str(error))
    kept.pop("", None)
    if kept:
        yield AnnotatedVideo(identity, path, tuple(kept), tuple(segments), duration_s, split)
    else:
        yield BadRow(identity, "no-caption", "there is no caption that can be used")


def unreadable(path: Path, error: Exception, wanted: str) -> UserError:
    """One line on a file that cannot be read."""
    reason = getattr(error, "strerror", None) or ("not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error))
    return UserError(f"{path}: {printable(reason)}; expected {wanted} (gold.annotations names it)")
