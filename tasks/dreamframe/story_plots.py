"""Plots that code can tell: how each begins, what may happen on the way, how it ends.

A scene has three beats (a beginning, a turn, an end), each of them a frame with what is said after it. In braces stand
hero, friend and guest (their names in sentences, their looks in frames), thing and other (the colour of a wrong one), spot
(where something can be hidden), and next (where the story goes on). A deed follows "Mia and Rusty".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Role = Literal["hero", "friend", "guest"]


class Beat(NamedTuple):
    """One frame: who does what in which mood, and the lines after it, each with its speaker before a colon."""

    who: Role
    action: str
    mood: str
    lines: tuple[str, ...] = ()


class Scene(NamedTuple):
    """What a tiny story tells; `why` is a question about it, with its answer and the beat that tells it."""

    title: str
    deed: str
    beats: tuple[Beat, Beat, Beat]
    why: tuple[str, str, int]


class Plot(NamedTuple):
    """A story without names and places.

    Attributes:
        themes: such themes ask for this plot.
        title: of the story.
        thing: the class of what the story is about; "" if it needs none.
        goal: what hero and friend want; follows "want to".
        surprise: how it ends, in a sentence of the overview; `because` in it is of the guest's species.
        because: by the guest's species.
        punchlines: what the guest says in the end, by species; `punchline` in a line stands for it.
    """

    themes: tuple[str, str, str]
    title: str
    thing: str
    goal: str
    surprise: str
    because: Mapping[str, str]
    punchlines: Mapping[str, str]
    opening: Scene
    middles: tuple[Scene, ...]
    finale: Scene


INTERLUDES: tuple[Beat, ...] = (
    Beat("friend", "walking ahead", "curious"),
    Beat("hero", "standing still to look back", "calm"),
    Beat("friend", "looking {spot}", "curious"),
    Beat("hero", "sitting down for a short rest", "calm"),
    Beat("friend", "squatting to look at the ground", "curious"),
    Beat("hero", "walking on", "happy"),
    Beat("friend", "standing on tiptoe", "happy"),
    Beat("hero", "looking up at the sky", "calm"),
)
"""What fills scenes of more than three frames; it changes nothing."""
