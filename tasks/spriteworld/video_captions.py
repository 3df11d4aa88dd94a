"""Captions to train the sprite world's text-to-video model on: loose as captions of the web are, never wrong.

Things are named with or without colour, and counted. Motion is told only where one thing alone moves straight across. That
things come, go, or turn corners is shown in clips and never told: what benchmark prompts say of it is for layouts to obey.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.spriteworld.clips import Clip
from tasks.spriteworld.scene import Box, choose, join_wordings
from tasks.spriteworld.vocabulary import NUMBERS, noun, with_article

_ADJECTIVES = {"car": "moving", "cat": "lively", "bird": "flying", "ball": "moving", "dog": "walking"}
_TEMPLATES = (
    "{}",
    "{}.",
    "a photo of {}",
    "a video of {}.",
    "a realistic lively video of a scene with {}",
    "a realistic lively video of a scene with {}",
    "a realistic lively video of a scene in which there is {}",
    "a realistic lively video of a top-down viewed scene in which there is {}.",
)
_ELSEWHERE = ("room", "garden", "forest", "road", "street", "sky", "park", "beach", "field", "city", "grass", "floor")
_COLOUR_SHARE, _ADJECTIVE_SHARE, _MOTION_SHARE, _PLACE_SHARE, _BACKGROUND_SHARE = 0.7, 0.4, 0.85, 0.4, 0.35
_ADDED_SHARE = 0.4  # of the told backgrounds: a word that says nothing of the picture, as layouts add one


@dataclass(frozen=True)
class Thing:
    """One thing to name: class, colour, where it is, and what it does ("" if nothing is to be told)."""

    class_name: str
    colour: str
    box: Box | None
    motion: str = ""


def place_of(box: Box, canvas: int = 64) -> str:
    """The corner or side that holds the centre of a box in pixels; the middle fifth belongs to none."""
    x, y = (box[0] + box[2]) / 2 / canvas, (box[1] + box[3]) / 2 / canvas
    column = "left" if x < 0.4 else "right" if x > 0.6 else ""
    row = "upper" if y < 0.4 else "lower" if y > 0.6 else ""
    return f"{row} {column}".strip() if column else {"upper": "top", "lower": "bottom", "": "middle"}[row]


def _wordings(random: np.random.Generator, things: Sequence[Thing]) -> list[str]:
    """One wording for each group of things that share their words."""
    coloured, lively = random.random() < _COLOUR_SHARE, random.random() < _ADJECTIVE_SHARE
    told = len(things) > 1 or random.random() < _MOTION_SHARE
    placed = len(things) < 3 and random.random() < _PLACE_SHARE
    groups: Counter[tuple[str, str, str]] = Counter()
    for thing in things:
        adjective = f"{_ADJECTIVES[thing.class_name]} " if lively else ""
        tail = f" {thing.motion}" if thing.motion and told else ""
        if placed and thing.box is not None:
            tail = f" on the {place_of(thing.box)} of the scene"
        groups[adjective + (f"{thing.colour} " if coloured else ""), thing.class_name, tail] += 1
    wordings = []
    for (before, class_name, tail), count in groups.items():
        words = f"{before}{noun(class_name, count)}"
        one = with_article(words) if count > 1 or random.random() < 0.7 else f"one {words}"
        wordings.append((one if count == 1 else f"{NUMBERS[count - 1]} {words}") + tail)
    return wordings


def _sentence(random: np.random.Generator, wordings: list[str], background: str) -> str:
    text = choose(random, _TEMPLATES).format(join_wordings(wordings))
    if random.random() < _BACKGROUND_SHARE:
        word = choose(random, _ELSEWHERE) if random.random() < _ADDED_SHARE else background
        text = (
            f"{text}, {word} background"
            if random.random() < 0.5
            else f"{text.rstrip('.')} on {with_article(word)} background"
        )
    return text


def caption_of_still(random: np.random.Generator, things: Sequence[Thing], background: str) -> str:
    """A caption of one picture: what is in it, sometimes where; an empty picture is called by its background."""
    if not things:
        return f"{with_article(background)} background"
    return _sentence(random, _wordings(random, things), background)


def caption_of_video(random: np.random.Generator, clip: Clip) -> str:
    """A caption of a clip: what is in it, and how a single thing moves if it moves straight across."""
    alone = len(clip.actors) == 1
    things = [
        Thing(actor.class_name, actor.colour, None, actor.motion.words if alone and len(actor.motion.places) == 2 else "")
        for actor in clip.actors
    ]
    return _sentence(random, _wordings(random, things), clip.background)
