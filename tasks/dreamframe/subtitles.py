"""What is said in a story as subtitles of its slideshow, and as the text between pictures that LLaMA-VID reads.

Lines are data: none can end its cue, open a tag, or stand for a picture.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from tasks.dreamframe.story_tree import Dialogue, Frame, Story

_OPENS_A_TOKEN = re.compile(r"<(?=[|/!\[\w])")
IMAGE = "<image>"


class ShownFrame(NamedTuple):
    """A frame of the slideshow, and what is said while it is shown."""

    frame: str
    lines: tuple[Dialogue, ...]


def shown_frames(story: Story, keyframes: Collection[str]) -> tuple[ShownFrame, ...]:
    """The frames that have a keyframe, in order; what is said before the first goes with that one.

    What is said after a frame without a keyframe is left out like the frame.
    """
    frames: list[tuple[str, list[Dialogue]]] = []
    waiting: list[Dialogue] = []
    told: list[Dialogue] | None = waiting
    for tiny_story in story.tiny_stories():
        for shot in tiny_story.shots:
            if isinstance(shot, Frame):
                told = None
                if shot.id in keyframes:
                    told = [] if frames else waiting
                    frames.append((shot.id, told))
            elif told is not None:
                told.append(shot)
    return tuple(ShownFrame(frame, tuple(lines)) for frame, lines in frames)


def harmless(text: str) -> str:
    """A text in which nothing is taken for a token of a model or a tag, such as <image>: its "<" becomes "\u2039"."""
    return _OPENS_A_TOKEN.sub("\u2039", text)


def spoken(line: Dialogue) -> str:
    """A line with its speaker: "Pickle: My ball is gone!"."""
    text = f"{line.speaker}: {line.text}" if line.speaker else line.text
    return harmless(" ".join(text.split()))


def interleaved(frames: Sequence[ShownFrame]) -> str:
    """As many `<image>` as there are frames, each followed by what is said (specs/dreamframe.md C4)."""
    return "".join(IMAGE + " ".join(spoken(line) for line in shown.lines) for shown in frames)


def subtitles(frames: Sequence[ShownFrame], seconds_per_frame: float) -> str:
    """SubRip text (SRT): the lines of a frame share its time, in order; without lines it is empty."""
    cues: list[str] = []
    for place, shown in enumerate(frames):
        for number, line in enumerate(shown.lines):
            begin, end = (
                round(1000 * seconds_per_frame * (place + part / len(shown.lines))) for part in (number, number + 1)
            )
            text = spoken(line).replace("-->", "\u2192").replace("{", "(").replace("}", ")")
            cues.append(f"{len(cues) + 1}\n{_clock(begin)} --> {_clock(end)}\n{text}\n")
    return "\n".join(cues)


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{rest:03}"
