"""Replies that mean the same layout, and how tests read them."""

from __future__ import annotations

from typing import Any

from tasks.lvd.errors import PlanError
from tasks.lvd.tolerant_parser import Parsed, parse_reply

KITE = "{'id': 0, 'name': 'kite', 'box': [10, 20, 30, 40]}"
BOAT = "{'id': 1, 'name': 'boat', 'box': [200, 300, 100, 50]}"
JSON_KITE = KITE.replace("'", '"')
JSON_BOAT = BOAT.replace("'", '"')
PLAIN = f"""Reasoning: The kite hovers.
Frame 1: [{KITE}, {BOAT}]
Frame 2: [{KITE}]
Frame 3: []
Background keyword: lake"""
JSON_FRAMES = f"[[{JSON_KITE}, {JSON_BOAT}], [{JSON_KITE}], []]"
JSON_PLAIN = f'{{"reasoning": "The kite hovers.", "frames": {JSON_FRAMES}, "background": "lake"}}'


def parse(text: str, frames: int = 3) -> Parsed:
    return parse_reply(text, "a kite over a boat", frames, "test")


def objects(parsed: Parsed) -> list[list[tuple[int, str, tuple[float, ...]]]]:
    return [[(item.id, item.name, item.box) for item in frame] for frame in parsed.layout.frames]


def outcome(text: str, frames: int = 3) -> Parsed | str:
    """What becomes of a reply: a layout, or the reason why there is none."""
    try:
        return parse(text, frames)
    except PlanError as error:
        return error.reason


def item(number: Any = 0, name: Any = "kite", box: Any = (10, 20, 30, 40)) -> str:
    return repr({"id": number, "name": name, "box": box})


def identities(parsed: Parsed) -> list[list[tuple[int, str]]]:
    return [[(number, name) for number, name, _ in frame] for frame in objects(parsed)]


EXPECTED = [
    [(0, "kite", (10, 20, 30, 40)), (1, "boat", (200, 300, 100, 50))],
    [(0, "kite", (10, 20, 30, 40))],
    [],
]
