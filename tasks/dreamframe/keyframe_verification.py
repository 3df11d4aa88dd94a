"""Whether keyframes show what questions rest on: things are found in them by an open-vocabulary detector.

Legend: R side of the square that the detector reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.common.box_matching import pairwise_iou
from tasks.common.images import square_crop
from tasks.common.prefetch import batches
from tasks.corpus.detector import Detections, PhraseDetector
from tasks.dreamframe.question_drafts import NUMBERS, Claim
from tasks.dreamframe.story_index import words_of
from tasks.dreamframe.visible_things import VisibleThing
from tasks.spriteworld.vocabulary import with_article

_SAME_THING = 0.5
"""IoU from which two boxes show one thing; the better one counts."""

Seen = tuple[str, ...]
"""What is found in a picture, a phrase for each thing."""


class Looking(NamedTuple):
    """How the detector is asked."""

    resolution: int
    box_threshold: float
    text_threshold: float
    batch: int


def look(
    detector: PhraseDetector,
    pictures: Iterable[tuple[str, NDArray[np.uint8]]],
    wanted: Mapping[str, Sequence[VisibleThing]],
    looking: Looking,
) -> Iterator[tuple[str, Seen]]:
    """What is found in each picture.

    Args:
        detector: of phrases.
        pictures: id and pixels [height, width, 3].
        wanted: by id, the things that the detector is asked for.
        looking: how.
    """
    for part in batches(pictures, looking.batch):
        crops = [_square(pixels, looking.resolution) for _, pixels in part]
        texts = [" ".join(f"{with_article(_name(thing.colour, thing.noun))}." for thing in wanted[name]) for name, _ in part]
        found = detector.select(
            detector.answer(detector.prepare(crops, texts)), looking.box_threshold, looking.text_threshold
        )
        yield from ((name, _each_once(boxes)) for (name, _), boxes in zip(part, found, strict=True))


def problem_in_picture(claims: Sequence[Claim], seen: Seen) -> str:
    """The first of what should be in a picture and is not, or is there too often; "" if all is as it should be."""
    phrases = [words_of(phrase) for phrase in seen]
    for claim in claims:
        noun, colour = words_of(claim.noun), words_of(claim.colour)
        named = [words for words in phrases if noun <= words]
        right = sum(colour <= words for words in named)
        wanted = _wording(claim.count, claim.colour, claim.noun)
        if right < claim.count:
            return f"{wanted}; {right} found" if right else wanted
        if right > claim.count or len(named) > claim.total:
            return f"{wanted} only; {right} found, and {len(named) - right} in no such colour"
    return ""


def _square(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    from PIL import Image

    return square_crop(Image.fromarray(pixels), side)


def _each_once(found: Detections) -> Seen:
    rivals_NN = pairwise_iou(found.boxes_N4, found.boxes_N4) >= _SAME_THING
    kept: list[int] = []
    for index in range(len(found.phrases)):
        if not rivals_NN[index, kept].any():
            kept.append(index)
    return tuple(found.phrases[index] for index in kept)


def _name(colour: str, noun: str) -> str:
    return f"{colour} {noun}".strip()


def _wording(count: int, colour: str, noun: str) -> str:
    name = _name(colour, noun)
    return with_article(name) if count == 1 else f"{NUMBERS[count] if count < len(NUMBERS) else count} times {name}"
