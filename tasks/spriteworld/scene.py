"""Scenes of the sprite world: what is where, drawn at random from a key, and the caption that says so exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.spriteworld.vocabulary import BACKGROUNDS, CLASSES, COLOURS, NUMBERS, noun, phrase, with_article

CANVAS_PIXELS = 64
SIZE_PIXELS = (14.0, 30.0)  # longer side of a sprite
ASPECT = {"car": 1.62, "cat": 0.84, "bird": 1.22, "ball": 1.0, "dog": 1.12}  # width over height, as drawn
_MAX_OVERLAP = 0.05  # of the smaller of two boxes
_ATTEMPTS = 60

Box = tuple[float, float, float, float]
Facing = Literal["left", "right"]


@dataclass(frozen=True)
class SpriteObject:
    """One sprite: `box` is (x0, y0, x1, y1) in pixels of the square canvas, at sub-pixel precision."""

    class_name: str
    colour: str
    box: Box
    facing: Facing


@dataclass(frozen=True)
class Scene:
    """One to four sprites on a background; `background_seed` fixes its colours and texture."""

    objects: tuple[SpriteObject, ...]
    background: str
    background_seed: int


def choose(random: np.random.Generator, options: tuple[str, ...]) -> str:
    """One of `options`, each as likely as the others."""
    return options[int(random.integers(len(options)))]


def sample_size(random: np.random.Generator, class_name: str, largest: float = SIZE_PIXELS[1]) -> tuple[float, float]:
    """(width, height) in pixels of a sprite whose longer side is at most `largest`."""
    longer = float(random.uniform(SIZE_PIXELS[0], largest))
    aspect = ASPECT[class_name] * float(random.uniform(0.92, 1.08))
    return (longer, longer / aspect) if aspect >= 1 else (longer * aspect, longer)


def overlap(first: Box, second: Box) -> float:
    """Shared area as a fraction of the smaller box, 0 to 1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / min(areas)


def _place(random: np.random.Generator, class_name: str, largest: float, taken: list[Box]) -> Box | None:
    for _ in range(_ATTEMPTS):
        width, height = sample_size(random, class_name, largest)
        x0 = float(random.uniform(1, CANVAS_PIXELS - 1 - width))
        y0 = float(random.uniform(1, CANVAS_PIXELS - 1 - height))
        box = (x0, y0, x0 + width, y0 + height)
        if all(overlap(box, other) <= _MAX_OVERLAP for other in taken):
            return box
    return None


def sample_scene(random: np.random.Generator, most_objects: int = 4) -> Scene:
    """A random scene of one to `most_objects` sprites that hardly overlap.

    With two objects or more, half of the scenes repeat one kind, so that captions count ("two red cars").
    """
    count = int(random.integers(1, most_objects + 1))
    repeat = count > 1 and random.random() < 0.5
    objects: list[SpriteObject] = []
    for index in range(count):
        class_name, colour = choose(random, CLASSES), choose(random, tuple(COLOURS))
        if repeat and index:
            class_name, colour = objects[0].class_name, objects[0].colour
            repeat = random.random() < 0.5
        largest = SIZE_PIXELS[1] if count < 3 else 24.0
        box = _place(random, class_name, largest, [item.box for item in objects])
        facing: Facing = "left" if random.random() < 0.5 else "right"
        if box is not None:
            objects.append(SpriteObject(class_name, colour, box, facing))
    return Scene(tuple(objects), choose(random, BACKGROUNDS), int(random.integers(2**31)))


def object_phrases(scene: Scene) -> tuple[str, ...]:
    """The phrase that the caption uses for each object, in object order."""
    counts = Counter((item.class_name, item.colour) for item in scene.objects)
    return tuple(phrase(item.colour, item.class_name, counts[item.class_name, item.colour]) for item in scene.objects)


def group_wording(colour: str, class_name: str, count: int) -> str:
    """ "a red car" or "two red cars"."""
    if count == 1:
        return with_article(f"{colour} {class_name}")
    return f"{NUMBERS[count - 1]} {colour} {noun(class_name, count)}"


def join_wordings(wordings: list[str]) -> str:
    """ "a", "a and b" or "a, b and c"."""
    return wordings[0] if len(wordings) == 1 else ", ".join(wordings[:-1]) + " and " + wordings[-1]


def caption_of(scene: Scene) -> str:
    """One sentence that names every object with colour and count, and the kind of background."""
    counts = Counter((item.colour, item.class_name) for item in scene.objects)
    groups = [group_wording(colour, class_name, count) for (colour, class_name), count in counts.items()]
    return f"{join_wordings(groups)} on {with_article(scene.background)} background."
