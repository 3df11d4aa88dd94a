"""Whether generated story pictures show the thing and the style of their prompts, judged by detector and CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tasks.corpus.detector import PhraseDetector
from tasks.dreamframe.image_similarity import ImageTextEncoder
from tasks.dreamframe.sdxl_checkpoint import load_sdxl
from tasks.dreamframe.story_vocabulary import STYLES
from tasks.spriteworld.render import Pixels
from tasks.spriteworld.scene import choose
from tasks.spriteworld.story_pools import render_story_pictures
from tasks.spriteworld.vocabulary import CLASSES, COLOURS, with_article

STEPS, GUIDANCE_SCALE, THRESHOLD = 16, 2.0, 0.3
_SEED, _REFERENCE_SEED, _REFERENCES, _AT_ONCE = 7, 8, 400, 20
_PLACES = ("garden", "fountain", "duck pond", "windmill", "clearing", "brook", "mushroom ring", "pier", "lighthouse")


class Wanted(NamedTuple):
    """What a picture should show."""

    thing: str
    place: str
    style: str

    @property
    def prompt(self) -> str:
        """As stories prompt, with the style's phrases in the place of its name."""
        return f"generate an image in {', '.join(STYLES[self.style])} style: {self.place}, {with_article(self.thing)}"


def wanted_pictures(count: int) -> list[Wanted]:
    """`count` prompts of one thing each; all things, places and styles come up equally often."""
    random = np.random.default_rng(_SEED)
    things = [f"{colour} {name}" for name in CLASSES for colour in COLOURS]
    chosen = [things[index] for index in np.resize(random.permutation(len(things)), count).tolist()]
    styles = tuple(STYLES)
    return [Wanted(thing, choose(random, _PLACES), styles[number % len(styles)]) for number, thing in enumerate(chosen)]


def generate_pictures(folder: Path, prompts: Sequence[str]) -> list[Pixels]:
    """A picture of each prompt, [64, 64, 3] uint8, its noise from its number."""
    pipeline = load_sdxl(str(folder), None, "cpu", torch.float32, "DPMSolverMultistepScheduler")
    pictures: list[Pixels] = []
    for start in range(0, len(prompts), _AT_ONCE):
        some = list(prompts[start : start + _AT_ONCE])
        generators = [torch.Generator().manual_seed(_SEED * 1000 + start + number) for number in range(len(some))]
        images_BHWC = pipeline(
            prompt=some, num_inference_steps=STEPS, guidance_scale=GUIDANCE_SCALE, generator=generators, height=64, width=64,
            output_type="np",
        ).images  # fmt: skip
        pictures += list(np.rint(images_BHWC * 255).astype(np.uint8))
    return pictures


def _seen(detector: PhraseDetector, pictures: Sequence[Pixels], phrases: Sequence[list[str]]) -> list[str | None]:
    """What of its phrases is the best detection in each picture."""
    found: list[str | None] = []
    for start in range(0, len(pictures), _AT_ONCE):
        some = list(pictures[start : start + _AT_ONCE])
        texts = [". ".join(wanted) + "." for wanted in phrases[start : start + _AT_ONCE]]
        answer = detector.answer(detector.prepare(some, texts))
        found += [next(iter(seen.phrases), None) for seen in detector.select(answer, THRESHOLD, THRESHOLD)]
    return found


def things_right(detector: PhraseDetector, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> float:
    """Share of pictures in which the thing is told from other classes of its colour, and its colour from all others."""
    pairs = [one.thing.split() for one in wanted]
    classes = _seen(detector, pictures, [[f"{colour} {other}" for other in CLASSES] for colour, _ in pairs])
    colours = _seen(detector, pictures, [[f"{other} {name}" for other in COLOURS] for _, name in pairs])
    return sum(one.thing == a == b for one, a, b in zip(wanted, classes, colours, strict=True)) / len(pictures)


def styles_right(encoder: ImageTextEncoder, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> float:
    """Share of pictures that are nearer to the mean of rendered pictures in the style wanted than to those of the others."""
    references, pixels_NHWC = render_story_pictures(_REFERENCE_SEED, _REFERENCES)
    known_NP, found_NP = encoder.images(list(pixels_NHWC)), encoder.images(list(pictures))
    styles = [reference.style for reference in references]
    means_SP = torch.stack(
        [known_NP[[number for number, told in enumerate(styles) if told == style]].mean(0) for style in STYLES]
    )
    nearest: list[int] = (found_NP @ means_SP.T).argmax(1).tolist()
    return sum(tuple(STYLES)[near] == one.style for near, one in zip(nearest, wanted, strict=True)) / len(pictures)


def score_text_to_image(folder: Path, detector: Path, clip: Path, count: int) -> dict[str, float]:
    """`class_and_colour_right` and `style_right`: shares of `count` pictures by the pipeline in `folder`."""
    wanted = wanted_pictures(count)
    pictures = generate_pictures(folder, [one.prompt for one in wanted])
    judge = PhraseDetector(str(detector), None, "cpu", torch.float32)
    encoder = ImageTextEncoder(str(clip), None, torch.device("cpu"), torch.float32)
    return {
        "class_and_colour_right": things_right(judge, pictures, wanted),
        "style_right": styles_right(encoder, pictures, wanted),
    }
