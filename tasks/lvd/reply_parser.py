"""Reads a language model's layout reply exactly as the original does, and refuses what it refuses (specs/lvd.md 1.4)."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import Any

from tasks.llm.errors import ReplyError

FRAMES = 6
MOST_CHARACTERS = 1_000_000
_FRAME_MARKERS = tuple(f"Frame {number}:" for number in range(1, FRAMES + 1))
_BACKGROUND_MARKER = "Background keyword:"
_AROUND = " \t\n`"


class LayoutReplyError(ReplyError):
    """A reply that is no layout; `reason` is "too_long", "missing_marker", "not_a_literal" or "not_a_layout"."""


@dataclass(frozen=True)
class ParsedReply:
    """What a reply says, not checked in any way.

    Attributes:
        reasoning: the text before the frames.
        frames: six values; in a good reply, lists of {"id", "name", "box": [x, y, width, height]}.
        after_frames: all text after the marker of the background.
    """

    reasoning: str
    frames: tuple[Any, ...]
    after_frames: str

    @property
    def background(self) -> str:
        """The background keyword."""
        return self.after_frames.strip(_AROUND)


def parse_reply(text: str) -> ParsedReply:
    """The six frames and the background keyword of a reply.

    What follows a second `Frame 1:` is dropped. A frame ends at its first " - ", where a comment begins, and loses one
    "-" at its beginning.

    Raises:
        LayoutReplyError: too_long, missing_marker or not_a_literal; nothing else is raised, whatever the text.
    """
    if len(text) > MOST_CHARACTERS:
        raise LayoutReplyError("too_long", f"{len(text)} characters, more than {MOST_CHARACTERS}")
    reasoning, *parts = text.split(_FRAME_MARKERS[0], 2)
    if not parts:
        raise LayoutReplyError("missing_marker", f"there is no `{_FRAME_MARKERS[0]}`")
    rest, frames = parts[0], []
    for number, following in enumerate((*_FRAME_MARKERS[1:], _BACKGROUND_MARKER), start=1):
        content, found, rest = rest.partition(following)
        if not found:
            raise LayoutReplyError("missing_marker", f"there is no `{following}` after frame {number}")
        frames.append(_read_frame(number, content))
    return ParsedReply(reasoning.strip().removeprefix("Reasoning:").strip(), tuple(frames), rest)


def _read_frame(number: int, content: str) -> Any:
    literal = content.strip(_AROUND).split(" - ")[0].strip(_AROUND).removeprefix("-")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in strings
            return ast.literal_eval(literal)
    except (ValueError, SyntaxError, TypeError, ArithmeticError, MemoryError, RecursionError) as error:
        message = f"frame {number} is no Python literal ({type(error).__name__})"
        raise LayoutReplyError("not_a_literal", message) from None
