"""Texts to train the sprite detector on: captions and lists of phrases, with the characters that name each object.

A caption names only what is there. A list of phrases ("a car. a photo of a blue dog.") also asks for what is not there,
which is how the LVD benchmark queries a detector.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tasks.spriteworld.scene import Scene, caption_of, choose, group_wording, join_wordings
from tasks.spriteworld.vocabulary import CLASSES, COLOURS, noun, phrase, with_article

Span = tuple[int, int]

_CAPTIONS = ("{}.", "a photo of {}.", "a realistic lively video of a scene with {}.")
_PHRASES = ("{}", "{article}", "a photo of {article}")
_CAPTION_SHARE = 0.5
_PLAIN_CAPTION_SHARE = 0.6
_MOST_ABSENT = 3


@dataclass(frozen=True)
class GroundedText:
    """A text and, per object of the scene, the character ranges that name it (empty: it is not named)."""

    text: str
    spans: tuple[tuple[Span, ...], ...]


def _spans_of(text: str, words: str) -> list[Span]:
    found, start = [], text.find(words)
    while start >= 0:
        found.append((start, start + len(words)))
        start = text.find(words, start + 1)
    return [(a, b) for a, b in found if not text[b : b + 1].isalpha() and not text[max(a - 1, 0) : a].isalpha()]


def ground_caption(scene: Scene, text: str) -> GroundedText:
    """Finds each object's phrase ("red cars") in a text that names every object with colour and class."""
    counts = Counter((item.colour, item.class_name) for item in scene.objects)
    phrases = [phrase(item.colour, item.class_name, counts[item.colour, item.class_name]) for item in scene.objects]
    return GroundedText(text, tuple(tuple(_spans_of(text, words)) for words in phrases))


def _sample_caption(random: np.random.Generator, scene: Scene) -> GroundedText:
    if random.random() < _PLAIN_CAPTION_SHARE:
        return ground_caption(scene, caption_of(scene))
    counts = Counter((item.colour, item.class_name) for item in scene.objects)
    groups = [group_wording(colour, class_name, count) for (colour, class_name), count in counts.items()]
    return ground_caption(scene, choose(random, _CAPTIONS).format(join_wordings(groups)))


def _sample_names(random: np.random.Generator, scene: Scene) -> list[tuple[str | None, str]]:
    present = list(dict.fromkeys((item.colour, item.class_name) for item in scene.objects))
    names: list[tuple[str | None, str]] = []
    for colour, class_name in present:
        if random.random() < 0.85:
            names.append((colour if random.random() < 0.6 else None, class_name))
    for _ in range(int(random.integers(0, _MOST_ABSENT + 1))):
        names.append((choose(random, tuple(COLOURS)) if random.random() < 0.7 else None, choose(random, CLASSES)))
    names = list(dict.fromkeys(names)) or [(None, choose(random, CLASSES))]
    return [names[index] for index in random.permutation(len(names))]


def _sample_phrases(random: np.random.Generator, scene: Scene) -> GroundedText:
    template = choose(random, _PHRASES)
    text, spans = "", [[] for _ in scene.objects]  # type: tuple[str, list[list[Span]]]
    for colour, class_name in _sample_names(random, scene):
        words = noun(class_name, 1) if colour is None else f"{colour} {class_name}"
        wording = template.format(words, article=with_article(words))
        start = len(text) + len(wording) - len(words)
        text += wording + ". "
        for index, item in enumerate(scene.objects):
            if item.class_name == class_name and colour in (None, item.colour):
                spans[index].append((start, start + len(words)))
    return GroundedText(text.rstrip(), tuple(tuple(found) for found in spans))


def sample_text(random: np.random.Generator, scene: Scene) -> GroundedText:
    """A caption or a list of phrases for the scene, each half of the time."""
    if random.random() < _CAPTION_SHARE:
        return _sample_caption(random, scene)
    return _sample_phrases(random, scene)
