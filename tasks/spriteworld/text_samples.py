"""Made-up texts about sprites with what they say, to train a text encoder on: wide in wording, exact in meaning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.spriteworld.clips import MOTIONS, PLACES
from tasks.spriteworld.scene import choose, join_wordings
from tasks.spriteworld.vocabulary import BACKGROUNDS, CLASSES, COLOURS, NUMBERS, noun, with_article

MOST_GROUPS = 3
_ADJECTIVES = ("moving", "lively", "flying", "walking", "small", "big", "little", "bright", "")
_OPENINGS = (
    "{}", "{}", "{}.", "a photo of {}", "a picture of {}", "a video of {}.", "there is {}", "we see {}.",
    "the video shows {}.",
    "a realistic lively video of a scene with {}", "a realistic lively video of a scene in which {}",
    "a realistic lively video of a top-down viewed scene in which {}", "footage of {}", "a clip with {}.",
)  # fmt: skip
_ENDINGS = (
    "", "", "", " on a {} background", ", {} background", " in a {}", " in front of a {}", " at the {}", " over the {}",
)  # fmt: skip
_ELSEWHERE = (
    *BACKGROUNDS, "room", "garden", "forest", "road", "street", "sky", "park", "beach", "field", "city", "grass", "floor",
    "meadow", "lake", "house", "desert", "snow", "playground", "sunset", "kitchen", "mountain", "river", "parking lot",
)  # fmt: skip
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "class_name": ("", *CLASSES),
    "colour": ("", *COLOURS),
    "count": ("", *NUMBERS),
    "place": ("", *PLACES, "middle"),
    "motion": ("", *(motion.words for motion in MOTIONS)),
}
"""What is told of a group of things; the empty word stands for "not told"."""


@dataclass(frozen=True)
class TextSample:
    """A text and, per group of things in the order of the text, an index into each of `ATTRIBUTES`."""

    text: str
    groups: tuple[tuple[int, ...], ...]


def _told_motion(random: np.random.Generator, words: str) -> str:
    """One of several ways to tell a motion."""
    if words.startswith("appearing"):
        half = words.split()[-2]
        ways = (f" {words}", f" appears only in the {half} half of the video", f" that is seen only in the {half} half")
        return choose(random, ways)
    places = words.removeprefix("moving from the ").replace(" and then to the ", "|").replace(" to the ", "|").split("|")
    if len(places) == 3:
        first, second, third = places
        ways = (
            f" {words}",
            f" initially on the {first} of the scene. It first moves to the {second} of the scene and then moves to the "
            f"{third} of the scene.",
            f" that starts on the {first}, goes to the {second} and ends on the {third}",
        )
        return choose(random, ways)
    if len(places) == 2:
        return choose(
            random,
            (f" {words}", f" going from {places[0]} to {places[1]}", f" moves from the {places[0]} to the {places[1]}"),
        )
    return choose(random, (f" {words}", " that does not move", " which stays where it is"))


def _group(random: np.random.Generator, alone: bool) -> tuple[str, tuple[int, ...]]:
    class_name, colour = choose(random, CLASSES), choose(random, tuple(COLOURS)) if random.random() < 0.65 else ""
    count = int(random.integers(1, 5)) if random.random() < 0.4 else 1
    adjective = choose(random, _ADJECTIVES) if random.random() < 0.4 else ""
    words = " ".join(word for word in (adjective, colour, noun(class_name, count)) if word)
    counted = with_article(words) if count == 1 and random.random() < 0.7 else f"{NUMBERS[count - 1]} {words}"
    place, motion, tail = "", "", ""
    draw = random.random()
    if count == 1 and draw < (0.6 if alone else 0.3):
        motion = choose(random, ATTRIBUTES["motion"][1:])
        tail = _told_motion(random, motion)
    elif draw > 0.75:
        place = choose(random, ATTRIBUTES["place"][1:])
        tail = choose(random, (" on the {}", " on the {} of the scene", " at the {}", " in the {}")).format(place)
    told = {"class_name": class_name, "colour": colour, "count": NUMBERS[count - 1], "place": place, "motion": motion}
    return counted + tail, tuple(ATTRIBUTES[name].index(value) for name, value in told.items())


def sample_text(random: np.random.Generator) -> TextSample:
    """One text of one to three groups; a tenth of them are bare phrases such as "red car"."""
    if random.random() < 0.1:
        class_name, colour = choose(random, CLASSES), choose(random, tuple(COLOURS)) if random.random() < 0.7 else ""
        adjective = choose(random, _ADJECTIVES) if random.random() < 0.3 else ""
        text = " ".join(word for word in (adjective, colour, class_name) if word)
        told = (ATTRIBUTES["class_name"].index(class_name), ATTRIBUTES["colour"].index(colour), 1, 0, 0)
        return TextSample(with_article(text) if random.random() < 0.3 else text, (told,))
    count = 1 if random.random() < 0.5 else int(random.integers(2, MOST_GROUPS + 1))
    groups = [_group(random, count == 1) for _ in range(count)]
    text = choose(random, _OPENINGS).format(join_wordings([words for words, _ in groups]))
    text = text.replace("..", ".")
    if not text.endswith(".") or random.random() < 0.3:
        text += choose(random, _ENDINGS).format(choose(random, _ELSEWHERE))
    return TextSample(text, tuple(told for _, told in groups))
