"""Finds frames, background and reasoning in a language model's reply, however it is written.

What stands in the frames is not checked here; `tasks.lvd.tolerant_parser` does that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from tasks.lvd.errors import PlanError
from tasks.lvd.hostile_literals import LiteralReader, end_of_value, nesting
from tasks.lvd.layout import MOST_FRAMES

MOST_CHARACTERS = 1_000_000
_MOST_DEPTH = 200
_MOST_LABELS = 4 * MOST_FRAMES

_LABEL = re.compile(
    r"""\bframe[\s_#-]{0,4}(\d{1,4})(?!\d)(?:\s?/\s?\d{1,4})?(?:\s?\([^()\n]{0,40}\))?
        ["'*_`\s]*+[:=]?(?:["'*_`>\s-]|json|python)*+(?=[\[{])""",
    re.IGNORECASE | re.VERBOSE,
)
_FRAMES = re.compile(r"""\bframes["'*`]?\s*+[:=]\s*+[\[{]""", re.IGNORECASE)
_FRAME_KEY = re.compile(r"(?:frame\D{0,4})?(\d{1,4})", re.IGNORECASE)
_NEXT_FRAME = re.compile(r"""(?:[\s,]|["'][^"'\n]{0,40}["']\s*+:)*+(?=[\[{])""")
_NEXT_OBJECT = re.compile(r"(?:[\s,;]|[-*](?=\s))*+(?=\{)")
_BACKGROUND = re.compile(
    r"""(?:^|[,\]}])[\s"'*_`\#>-]{0,12}background(?:[\s_-]?keywords?)?["'*_`]*+\s*+[:=][*_`\s]*+
        (?:"((?:\\.|[^"\\\n])*+)"|'((?:\\.|[^'\\\n])*+)'|([^\n]*+))""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_REASONING = re.compile(r"""\breasoning["'*_`]*+\s*+[:=]["'*_`\s]*+""", re.IGNORECASE)
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"```\w*")


class Found(NamedTuple):
    """What a reply holds.

    Attributes:
        frames: the objects of each frame, unchecked; frames are numbered from 1.
        background: the background keyword, unchecked.
        reasoning: the reasoning, unchecked.
        repairs: how the syntax was mended.
    """

    frames: dict[int, list[Any]]
    background: str
    reasoning: str
    repairs: tuple[str, ...] = ()


class _Entry(NamedTuple):
    """The text of one frame: in one piece or one for each object; `begin` and `end` are its place in the reply."""

    number: int
    begin: int
    end: int
    pieces: list[str]


@dataclass(frozen=True)
class _Run:
    """Frames that belong together, with their numbers as given."""

    entries: dict[int, _Entry]
    begin: int
    end: int


def find_frames(text: str, frames: int) -> Found:
    """Frames, background and reasoning of a reply; frames that are missing are missing in the result too.

    Of frames that are given more than once the first full run counts.

    Raises:
        PlanError: the reply is too large or too deep, holds no frames, or one that cannot be read.
    """
    if len(text) > MOST_CHARACTERS:
        raise PlanError("oversize", f"the reply has more than {MOST_CHARACTERS} characters", text)
    if nesting(text)[0] > _MOST_DEPTH:
        raise PlanError("too-deep", f"brackets are more than {_MOST_DEPTH} deep", text)
    text = _THOUGHTS.sub("", text, count=1)
    found = _whole_object(text) or _runs_of(text, frames, _labelled) or _runs_of(text, frames, _listed)
    if found is None:
        raise PlanError("no-layout", "the reply holds no frames", text)
    if 0 in found.frames and frames not in found.frames:
        shifted = {number + 1: objects for number, objects in found.frames.items()}
        return found._replace(frames=shifted, repairs=("renumbered", *found.repairs))
    return found


def _whole_object(text: str) -> Found | None:
    """A reply that is one JSON object, with prose around it or not."""
    start = text.find("{")
    try:
        answer, _ = json.JSONDecoder().raw_decode(text, start) if start >= 0 else (None, 0)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    entries = {key.lower().replace("_", " ").strip(): value for key, value in answer.items()}
    listed = entries.get("frames", {key: value for key, value in entries.items() if key.startswith("frame")})
    if isinstance(listed, list):
        listed = {str(number): value for number, value in enumerate(listed, start=1)}
    if not isinstance(listed, dict):
        return None
    numbered = {int(match[1]): value for key, value in listed.items() if (match := _FRAME_KEY.fullmatch(key.strip()))}
    frames = {number: objects for number, value in numbered.items() if (objects := _objects(value)) is not None}
    if not frames:
        return None
    background = entries.get("background", entries.get("background keyword"))
    reasoning = entries.get("reasoning")
    return Found(frames, background if isinstance(background, str) else "", reasoning if isinstance(reasoning, str) else "")


def _runs_of(text: str, frames: int, entries: Callable[[str], Iterator[_Entry]]) -> Found | None:
    """The first of the fullest runs of frames."""
    runs = _runs(list(entries(text)))
    if not runs:
        return None
    wanted = range(frames + 1)
    run = max(runs, key=lambda run: sum(number in run.entries for number in wanted))
    reader = LiteralReader()
    objects = {number: _read_frame(reader, entry, text) if number in wanted else [] for number, entry in run.entries.items()}
    repairs = (["repeated-frames"] if len(runs) > 1 else []) + ["syntax"] * reader.mended
    background = _BACKGROUND.search(text, run.end) or _BACKGROUND.search(text, 0, run.begin)
    keyword = next((group for group in background.groups() if group), "") if background else ""
    return Found(objects, keyword, _reasoning(text[: run.begin]), tuple(repairs))


def _runs(entries: list[_Entry]) -> list[_Run]:
    """Entries split wherever the lowest number comes; of other repeated numbers the first counts."""
    lowest = min((entry.number for entry in entries), default=0)
    runs: list[dict[int, _Entry]] = []
    for entry in entries:
        if not runs or entry.number == lowest:
            runs.append({})
        runs[-1].setdefault(entry.number, entry)
    return [_Run(run, min(entry.begin for entry in run.values()), max(entry.end for entry in run.values())) for run in runs]


def _read_frame(reader: LiteralReader, entry: _Entry, text: str) -> list[Any]:
    objects = []
    for piece in entry.pieces:
        listed = _objects(reader.read(piece))
        if listed is None:
            raise PlanError("bad-frame", f"frame {entry.number} is no list of objects", text)
        objects += listed
    return objects


def _objects(value: Any) -> list[Any] | None:
    """The objects of one frame: a list, a wrapper such as {"objects": [...]}, or one object alone; None if it is none."""
    if isinstance(value, dict):
        wrapped = next((value[key] for key in ("objects", "boxes") if isinstance(value.get(key), list | tuple)), None)
        return [value] if wrapped is None else list(wrapped)
    return list(value) if isinstance(value, list | tuple) else None


def _labelled(text: str) -> Iterator[_Entry]:
    """Each "Frame i:" that has a value."""
    position = count = 0
    while label := _LABEL.search(text, position):
        count += 1
        if count > _MOST_LABELS:
            raise PlanError("too-many-frames", f"more than {_MOST_LABELS} frames are given", text)
        pieces, position = _pieces(text, label.end())
        yield _Entry(int(label[1]), label.start(), position, pieces)


def _pieces(text: str, start: int) -> tuple[list[str], int]:
    """The value at `start` and objects that follow it with no list around them, and where that ends."""
    end = end_of_value(text, start)
    if end is None:
        following = _LABEL.search(text, start)
        end = following.start() if following else len(text)
        background = _BACKGROUND.search(text, start, end)
        end = background.start() if background else end
        last_bracket = max(text.rfind(bracket, start, end) for bracket in "]}")
        return [text[start : max(last_bracket, start) + 1]], end
    pieces = [text[start:end]]
    while text[start] == "{" and (following := _NEXT_OBJECT.match(text, end)):
        start = following.end()
        end = end_of_value(text, start) or len(text)
        pieces.append(text[start:end])
    return pieces, end


def _listed(text: str) -> Iterator[_Entry]:
    """The values in "frames": [...] of a JSON object that cannot be read as a whole."""
    frames = _FRAMES.search(text)
    position = frames.end() if frames else len(text)
    for number in range(1, _MOST_LABELS + 1):
        following = _NEXT_FRAME.match(text, position)
        if not following or not frames:
            return
        position = end_of_value(text, following.end()) or len(text)
        yield _Entry(number, frames.start(), position, [text[following.end() : position]])


def _reasoning(text: str) -> str:
    """What stands before the frames, without its label and what belongs to theirs."""
    label = _REASONING.search(text)
    return _FENCE.sub("", text[label.end() if label else 0 :]).strip(" \t\r\n\"'`*_#-,{")
