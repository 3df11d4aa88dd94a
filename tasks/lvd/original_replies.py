"""Takes over the reply caches of the original project: every reply becomes a layout, or is set aside with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.common.quarantine import Quarantine
from tasks.llm.reply_cache import read_original_cache
from tasks.lvd.benchmark_prompts import cache_key
from tasks.lvd.layout import DynamicSceneLayout
from tasks.lvd.reply_parser import LayoutReplyError, ParsedReply, parse_reply
from tasks.lvd.scoring import Attempt, SetAside

_LONGEST_CUT = 5
_MOST_NUMBER = 1e9


@dataclass(frozen=True)
class CutBackground:
    """A reply (`place` counts those of its prompt from 0) of which the cache kept only the begin of the background."""

    prompt: str
    place: int
    rest: str


@dataclass(frozen=True)
class OriginalReplies:
    """Attempts per cache key in the order of the file, and the replies whose background was cut."""

    attempts: dict[str, list[Attempt]]
    cut: tuple[CutBackground, ...]

    def layouts(self) -> list[DynamicSceneLayout]:
        """All that could be taken over."""
        return [attempt for given in self.attempts.values() for attempt in given if isinstance(attempt, DynamicSceneLayout)]

    def quarantine(self) -> Quarantine:
        """All that could not, and the backgrounds that were cut."""
        found = Quarantine()
        for prompt, given in self.attempts.items():
            for place, attempt in enumerate(given):
                if isinstance(attempt, SetAside):
                    found.add(f"{prompt} (reply {place + 1})", attempt.reason, attempt.detail)
        for cut in self.cut:
            found.add(f"{cut.prompt} (reply {cut.place + 1})", "background_cut", cut.rest)
        return found


def read_original_replies(path: Path) -> OriginalReplies:
    """All replies of an original cache file.

    When frame 6 is empty, the original saved no more than five characters after the background's marker, so its word is
    lost: such a layout gets an empty background and is named in `cut`. A word of up to four letters may be whole, but that
    cannot be told.

    Raises:
        UserError: no such file, or not of this form.
    """
    attempts: dict[str, list[Attempt]] = {}
    cut: list[CutBackground] = []
    for prompt, replies in read_original_cache(path).items():
        given = attempts.setdefault(cache_key(prompt), [])
        for reply in replies:
            try:
                parsed = parse_reply(reply)
                if _is_cut(parsed):
                    cut.append(CutBackground(cache_key(prompt), len(given), parsed.background))
                given.append(layout_of_reply(prompt, parsed, planner=path.stem))
            except LayoutReplyError as error:
                given.append(SetAside(error.reason, error.detail))
    return OriginalReplies(attempts, tuple(cut))


def layout_of_reply(prompt: str, parsed: ParsedReply, planner: str = "") -> DynamicSceneLayout:
    """A checked layout; names that are numbers become text, keys other than id, name (or keyword) and box are left out.

    Raises:
        LayoutReplyError: not_a_layout, with what is wrong.
    """
    frames = [_objects(number, frame) for number, frame in enumerate(parsed.frames, start=1)]
    words = {"background": "" if _is_cut(parsed) else parsed.background, "reasoning": parsed.reasoning}
    try:
        return DynamicSceneLayout.model_validate({"prompt": prompt, "frames": frames, **words, "planner": planner})
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise LayoutReplyError("not_a_layout", f"{place}: {problem['msg']}") from None


def _is_cut(parsed: ParsedReply) -> bool:
    return parsed.frames[-1] == [] and len(parsed.after_frames) <= _LONGEST_CUT


def _objects(number: int, frame: Any) -> list[dict[str, Any]]:
    if not isinstance(frame, list | tuple):
        raise LayoutReplyError("not_a_layout", f"frame {number} is a {type(frame).__name__}, not a list of objects")
    return [_object(number, item) for item in frame]


def _object(number: int, item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise LayoutReplyError("not_a_layout", f"frame {number}: an object is a {type(item).__name__}, not a mapping")
    name, box = item.get("name", item.get("keyword")), item.get("box")
    if isinstance(name, int | float) and abs(name) < _MOST_NUMBER:
        name = str(name)
    if not isinstance(box, list | tuple) or any(type(value) not in (int, float) for value in box):
        raise LayoutReplyError("not_a_layout", f"frame {number}: a box is not a list of numbers")
    return {"id": item.get("id"), "name": name, "box": box}
