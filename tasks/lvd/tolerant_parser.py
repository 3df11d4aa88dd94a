"""Layouts from what language models really reply: mended where the meaning is clear, refused where it is not."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any, NamedTuple

from tasks.lvd.errors import PlanError
from tasks.lvd.layout import CANVAS_PIXELS, MOST_OBJECTS, DynamicSceneLayout, LayoutObject
from tasks.lvd.tolerant_syntax import find_frames

MOST_NAME = 80
_MOST_REASONING = 4_000
_MOST_ID = 1_000_000
_MOST_PIXELS = 1_000_000.0
_ROUNDING_PIXELS = 1e-6
_NAME_KEYS = ("name", "keyword", "label", "object")
_BOX_KEYS = ("box", "bbox", "bounding_box")
_SIDE_KEYS = (("x",), ("y",), ("w", "width"), ("h", "height"))
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")

_Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Parsed:
    """A layout, and what had to be mended for it: one short fixed word for each time.

    In the syntax: "syntax" (a value that only json_repair could read), "repeated-frames", "renumbered" (frames counted from
    0), "extra-frame", "no-background". In objects that stay: "name", "id", "no-id", "duplicate-id", "renamed", "clipped".
    For objects that are dropped from a frame: "bad-object", "no-name", "bad-box", "empty-box", "off-canvas".
    """

    layout: DynamicSceneLayout
    repairs: tuple[str, ...]


class _Candidate(NamedTuple):
    """An object with a usable name and box; its id is a number, another word for one, or None."""

    key: int | str | None
    name: str
    box: _Box


@dataclass
class _Identities:
    """Keeps ids stable: one name for each id, and no id twice in a frame.

    Attributes:
        taken: ids that a new object cannot get.
        names: of each id; the first one holds.
        chosen: for a key and a name as given, the ids they got, in order.
        by_key: the id of each key that is in use.
        numbers: from which new ids are taken.
    """

    taken: set[int]
    names: dict[int, str] = field(default_factory=dict)
    chosen: defaultdict[tuple[int | str | None, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    by_key: dict[int | str, int] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def resolve(self, candidate: _Candidate, in_frame: set[int]) -> int:
        """The id of this object among those that are in its frame already."""
        key = candidate.key
        before = self.chosen[key, candidate.name]
        for known in before:
            if known not in in_frame:
                return known
        if key is not None and key not in self.by_key:
            self.by_key[key] = key if isinstance(key, int) else self._new()
        chosen = self.by_key[key] if key is not None and self.by_key[key] not in in_frame else self._new()
        before.append(chosen)
        self.names.setdefault(chosen, candidate.name)
        return chosen

    def _new(self) -> int:
        return next(number for number in self.numbers if number not in self.taken)


def parse_reply(text: str, prompt: str, frames: int, planner: str) -> Parsed:
    """The layout in a reply to a direct request for boxes, in either of its formats.

    Args:
        text: the reply; hostile.
        prompt: the caption, at most 10,000 characters; kept in the layout as it is.
        frames: how many frames were asked for.
        planner: who planned, kept in the layout.

    Raises:
        PlanError: there is no such layout in the reply.
    """
    found = find_frames(text, frames)
    repairs = list(found.repairs)
    missing = [number for number in range(1, frames + 1) if number not in found.frames]
    if missing:
        listed = ", ".join(map(str, missing[:10]))
        raise PlanError("missing-frame", f"of {frames} frames {len(missing)} are missing: {listed}", text)
    repairs += ["extra-frame"] * (len(found.frames) - frames)
    given = [found.frames[number] for number in range(1, frames + 1)]
    for number, objects in enumerate(given, start=1):
        if len(objects) > MOST_OBJECTS:
            raise PlanError("too-many-objects", f"frame {number} has {len(objects)} objects, at most {MOST_OBJECTS}", text)
    usable = _candidates(given, repairs)
    if any(given) and not any(usable):
        raise PlanError("no-objects", f"no object has a usable name and box: {', '.join(sorted(set(repairs)))}", text)
    identities = _Identities({item.key for item in chain(*usable) if isinstance(item.key, int)})
    background = printable_line(found.background, MOST_NAME).strip(" \"'`*_.,}")
    layout = DynamicSceneLayout(
        prompt=prompt,
        frames=tuple(tuple(_identified(candidates, identities, repairs)) for candidates in usable),
        background=background,
        reasoning=printable_line(found.reasoning, _MOST_REASONING),
        planner=planner,
    )
    return Parsed(layout, tuple(repairs if background else [*repairs, "no-background"]))


def printable_line(text: str, most: int) -> str:
    """Hostile text as one line of printable characters, at most `most` of them; escape codes lose what makes them work."""
    words = " ".join(text[: 4 * most].split())
    return "".join(character for character in words if character.isprintable())[:most].strip()


def _candidates(given: Sequence[Sequence[Any]], repairs: list[str]) -> list[list[_Candidate]]:
    """The objects of each frame that stay; why others do not stay is in `repairs`."""
    names: dict[int | str, str] = {}
    usable: list[list[_Candidate]] = []
    for objects in given:
        usable.append([])
        for entry in objects:
            if candidate := _candidate(entry, names, repairs):
                usable[-1].append(candidate)
                if candidate.key is not None:
                    names.setdefault(candidate.key, candidate.name)
    return usable


def _candidate(entry: Any, names: Mapping[int | str, str], repairs: list[str]) -> _Candidate | None:
    """The object that `entry` stands for, with the name of its id if it has no other."""
    if not isinstance(entry, dict):
        repairs.append("bad-object")
        return None
    key = _key(entry.get("id"))
    given = _first(entry, _NAME_KEYS)
    name = printable_line(given, MOST_NAME) if isinstance(given, str) else ""
    if not name and key is not None:
        name = names.get(key, "")
    if not name:
        repairs.append("no-name")
        return None
    box = _clipped(_numbers(_first(entry, _BOX_KEYS)), repairs)
    if box is None:
        return None
    if name != given:
        repairs.append("name")
    if key is None:
        repairs.append("no-id")
    elif isinstance(key, str) or not isinstance(entry["id"], int):
        repairs.append("id")
    return _Candidate(key, name, box)


def _first(entry: dict[Any, Any], keys: Iterable[str]) -> Any:
    return next((entry[key] for key in keys if key in entry), None)


def _key(raw: Any) -> int | str | None:
    """An id as a number where it is one, or else as a word that stands for one."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    number = _number(raw)
    if number is not None and number.is_integer() and 0 <= number <= _MOST_ID:
        return int(number)
    word = raw if isinstance(raw, str) else "" if number is None else str(number)
    return word[:MOST_NAME].strip() or None


def _number(raw: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _numbers(raw: Any) -> _Box | None:
    """Four numbers of bounded size from a list, an object or a text; None if they are not there."""
    if isinstance(raw, dict):
        raw = [_first(raw, keys) for keys in _SIDE_KEYS]
    elif isinstance(raw, str):
        raw = _NUMBER.findall(raw[: 4 * MOST_NAME])
    if not isinstance(raw, list | tuple) or len(raw) != 4:
        return None
    numbers = [number for value in raw if (number := _number(value)) is not None and abs(number) <= _MOST_PIXELS]
    return (numbers[0], numbers[1], numbers[2], numbers[3]) if len(numbers) == 4 else None


def _clipped(box: _Box | None, repairs: list[str]) -> _Box | None:
    """The part of a box on the canvas; None if nothing is left, with the reason in `repairs`."""
    if box is None:
        repairs.append("bad-box")
        return None
    x, y, width, height = box
    if width <= 0 or height <= 0:
        repairs.append("empty-box")
        return None
    left, right = max(x, 0.0), min(x + width, float(CANVAS_PIXELS))
    top, bottom = max(y, 0.0), min(y + height, float(CANVAS_PIXELS))
    if right <= left or bottom <= top:
        repairs.append("off-canvas")
        return None
    lost = max(left - x, top - y, x + width - right, y + height - bottom)
    if lost <= 0:
        return box
    if lost > _ROUNDING_PIXELS:
        repairs.append("clipped")
    return left, top, right - left, bottom - top


def _identified(candidates: Iterable[_Candidate], identities: _Identities, repairs: list[str]) -> Iterable[LayoutObject]:
    """The objects of one frame with their ids."""
    in_frame: set[int] = set()
    for candidate in candidates:
        identifier = identities.resolve(candidate, in_frame)
        in_frame.add(identifier)
        if candidate.key is not None and identifier != identities.by_key[candidate.key]:
            repairs.append("duplicate-id")
        if identities.names[identifier] != candidate.name:
            repairs.append("renamed")
        yield LayoutObject(id=identifier, name=identities.names[identifier], box=candidate.box)
