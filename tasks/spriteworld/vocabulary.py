"""Words of the sprite world: the classes and colours of the LVD benchmark (specs: LVD, section 2)."""

from __future__ import annotations

CLASSES: tuple[str, ...] = ("car", "cat", "bird", "ball", "dog")

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (216, 38, 38),
    "orange": (245, 132, 24),
    "yellow": (248, 222, 48),
    "green": (44, 160, 64),
    "blue": (44, 84, 216),
    "purple": (132, 52, 176),
    "pink": (248, 144, 192),
    "brown": (126, 76, 40),
    "black": (34, 34, 38),
    "white": (246, 246, 246),
    "gray": (142, 142, 146),
}

BACKGROUNDS: tuple[str, ...] = ("plain", "gradient", "textured")

NUMBERS: tuple[str, ...] = ("one", "two", "three", "four")


def noun(class_name: str, count: int) -> str:
    """The class name in singular or plural, as captions write it."""
    return class_name if count == 1 else class_name + "s"


def with_article(words: str) -> str:
    """`words` behind "a" or "an", chosen by the first letter."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def phrase(colour: str, class_name: str, count: int) -> str:
    """What a detector should answer for one such object, for example "red cars" where there are two."""
    return f"{colour} {noun(class_name, count)}"
