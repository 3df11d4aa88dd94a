"""Annotation files in JSON: MSR-VTT's videodatainfo.json and ActivityNet Captions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.common.errors import UserError
from tasks.common.quarantine import printable
from tasks.dysen.gold_sources.annotation_rows import (
    LONGEST_CAPTION,
    BadRow,
    BadText,
    Row,
    TimedSentence,
    make_rows,
    one_line,
    seconds,
    unreadable,
)

_MOST_BYTES = 512 * 2**20
_MSRVTT = "MSR-VTT's videodatainfo.json with the lists videos and sentences"
_ACTIVITYNET = 'JSON of ActivityNet Captions, {"id": {"duration", "timestamps", "sentences"}}'


def msrvtt_rows(path: Path, split: str | None) -> Iterator[Row]:
    """Rows of the videos of a split, each with all its sentences in their order; videos lie at VIDEO_ID.mp4.

    The file is read as a whole.

    Raises:
        UserError: no such file, no JSON, or no lists of videos and sentences.
    """
    whole, _ = _read(path, _MSRVTT)
    videos, sentences = (whole.get(key) for key in ("videos", "sentences"))
    if not isinstance(videos, list) or not isinstance(sentences, list):
        raise UserError(f"{path}: the lists videos and sentences are missing; expected {_MSRVTT}")
    captions: dict[str, list[object]] = {}
    for number, entry in enumerate(sentences):
        if isinstance(entry, dict) and isinstance(entry.get("video_id"), str):
            captions.setdefault(entry["video_id"], []).append(entry.get("caption"))
        else:
            yield BadRow(f"sentence {number}", "no-id", "without a video_id")
    for number, entry in enumerate(videos):
        if not isinstance(entry, dict):
            yield BadRow(f"video {number}", "no-id", "without a video_id")
            continue
        name, of = entry.get("video_id"), entry.get("split")
        if split is None or of == split:
            start, end = seconds(entry.get("start time")), seconds(entry.get("end time"))
            duration = end - start if start is not None and end is not None and end > start else None
            told = captions.get(name, []) if isinstance(name, str) else []
            yield from make_rows(name, f"{name}.mp4", told, (), duration, of if isinstance(of, str) else "")


def activitynet_rows(path: Path, split: str | None) -> Iterator[Row]:
    """Rows of videos whose sentences have times; a video lies at ID.mp4.

    Sentences stand in the order of their start. One whose times are none is set aside; an end behind the video's is cut.
    The file, which is read as a whole, is one split, which gets the name that is asked for.

    Raises:
        UserError: no such file, no JSON, or no object of videos.
    """
    whole, repeated = _read(path, _ACTIVITYNET)
    yield from (BadRow(name, "repeated", "the same key again; the first one is kept") for name in repeated)
    for name, entry in whole.items():
        if not isinstance(entry, dict):
            yield BadRow(name, "no-sentences", "without duration, timestamps and sentences")
            continue
        duration, times, sentences = (entry.get(key) for key in ("duration", "timestamps", "sentences"))
        duration_s = seconds(duration)
        if not duration_s:
            yield BadRow(name, "times", f"the duration is {printable(repr(duration)[:40])}")
        elif not isinstance(times, list) or not isinstance(sentences, list) or len(times) != len(sentences):
            yield BadRow(name, "times", "there are not as many timestamps as sentences")
        else:
            segments: list[TimedSentence] = []
            for number, pair in enumerate(zip(times, sentences, strict=True), start=1):
                segment = _segment(*pair, duration_s)
                if isinstance(segment, BadText):
                    yield BadRow(f"{name}, sentence {number}", segment.reason, str(segment))
                else:
                    segments.append(segment)
            segments.sort(key=lambda segment: (segment.start_s, segment.end_s))
            told = [segment.sentence for segment in segments]
            yield from make_rows(name, f"{name}.mp4", told, segments, duration_s, split or "")


def _segment(times: object, sentence: object, duration_s: float) -> TimedSentence | BadText:
    try:
        text = one_line(sentence, LONGEST_CAPTION)
    except BadText as error:
        return error
    bounds = [seconds(time) for time in times] if isinstance(times, list) and len(times) == 2 else [None, None]
    start, end = bounds
    if not text:
        return BadText("no-caption", "the sentence is empty")
    if start is None or end is None or not start < min(end, duration_s):
        return BadText("times", f"from {printable(repr(times)[:60])} of {duration_s} s")
    return TimedSentence(start, min(end, duration_s), text)


def _read(path: Path, wanted: str) -> tuple[dict[str, Any], list[str]]:
    """The object of a JSON file, and the keys that stand twice in an object of it; the first of them counts."""
    repeated: list[str] = []

    def first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                repeated.append(key)
            else:
                found[key] = value
        return found

    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > _MOST_BYTES:
                raise UserError(f"{path}: more than {_MOST_BYTES // 2**20} MiB; split it")
            whole = json.loads(file.read().decode("utf-8-sig"), object_pairs_hook=first_of_each)
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error, wanted) from None
    if not isinstance(whole, dict):
        raise UserError(f"{path}: holds no JSON object; expected {wanted}")
    return whole, repeated
