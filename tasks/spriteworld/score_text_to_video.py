"""Whether generated sprite videos show what their prompts say: class, colour and direction, judged by the detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler

from tasks.corpus.autoencoder import ImageAutoencoder
from tasks.corpus.detector import PhraseDetector
from tasks.spriteworld.render import Pixels
from tasks.spriteworld.text_to_video_model import TextStates
from tasks.spriteworld.vocabulary import CLASSES, COLOURS, with_article

STEPS, GUIDANCE_SCALE, THRESHOLD = 20, 2.5, 0.3
_AT_ONCE = 8


@torch.inference_mode()
def sample_videos(
    unet: Any,
    schedule: Any,
    autoencoder: ImageAutoencoder,
    states: TextStates,
    prompts: Sequence[str],
    seeds: Sequence[int],
    frames: int,
) -> Pixels:
    """[B, F, H, W, 3] uint8, one video per prompt, each from noise of its own seed; classifier-free guidance."""
    scheduler = DPMSolverMultistepScheduler.from_config(schedule.config)
    scheduler.set_timesteps(STEPS)
    side = unet.config.sample_size
    shape = (unet.config.in_channels, frames, side, side)
    latents = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    both = torch.cat([states([""] * len(prompts)), states(prompts)])
    for timestep in scheduler.timesteps:
        predicted = unet(torch.cat([latents] * 2), timestep, encoder_hidden_states=both).sample
        blind, told = predicted.chunk(2)
        latents = scheduler.step(blind + GUIDANCE_SCALE * (told - blind), timestep, latents).prev_sample
    flat = latents.permute(0, 2, 1, 3, 4).flatten(0, 1)
    pixels = autoencoder.decode(flat)
    return pixels.reshape(len(prompts), frames, *pixels.shape[1:])


def _best(detector: PhraseDetector, frames_FHWC: Pixels, phrases: Sequence[str]) -> list[tuple[str, float] | None]:
    """Per frame the phrase of the best detection and the x of its centre, or nothing."""
    text = ". ".join(phrases) + "."
    answer = detector.answer(detector.prepare(list(frames_FHWC), [text] * len(frames_FHWC)))
    found: list[tuple[str, float] | None] = []
    for seen in detector.select(answer, THRESHOLD, THRESHOLD):
        best = next(iter(zip(seen.phrases, seen.boxes_N4.tolist(), strict=True)), None)
        found.append((best[0], (best[1][0] + best[1][2]) / 2) if best else None)
    return found


def _mostly(found: Sequence[tuple[str, float] | None], phrase: str) -> bool:
    return sum(item is not None and item[0] == phrase for item in found) > len(found) / 2


def score_things(sampler: Any, detector: PhraseDetector, seed: int, videos: int) -> tuple[float, list[Any]]:
    """Share of videos of one thing whose class and colour are both recognised in most frames, and the videos."""
    random = np.random.default_rng(seed)
    pairs = [(colour, name) for name in CLASSES for colour in COLOURS]
    chosen = [pairs[index] for index in np.resize(random.permutation(len(pairs)), videos).tolist()]
    prompts = [f"a realistic lively video of a scene with {with_article(f'{colour} {name}')}" for colour, name in chosen]
    shown, right = [], 0
    for start in range(0, videos, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        seeds = [seed * 100_000 + start + index for index in range(len(prompts[part]))]
        for (colour, name), frames in zip(chosen[part], sampler(prompts[part], seeds), strict=True):
            classes = _best(detector, frames, [f"{colour} {other}" for other in CLASSES])
            colours = _best(detector, frames, [f"{other} {name}" for other in COLOURS])
            verdict = _mostly(classes, f"{colour} {name}") and _mostly(colours, f"{colour} {name}")
            right += verdict
            shown.append((f"{colour} {name}", frames, verdict))
    return right / videos, shown


def score_directions(sampler: Any, detector: PhraseDetector, seed: int, videos: int) -> tuple[float, list[Any]]:
    """Share of videos whose one thing is seen in the first and last frame and has moved the told way, and the videos."""
    names = np.resize(np.array(CLASSES), videos).tolist()
    ways = [("left", "right") if index // len(CLASSES) % 2 == 0 else ("right", "left") for index in range(videos)]
    prompts = [
        f"A realistic lively video of a scene with {with_article(name)} moving from the {a} to the {b}"
        for name, (a, b) in zip(names, ways, strict=True)
    ]
    shown, right = [], 0
    for start in range(0, videos, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        seeds = [seed * 100_000 + 50_000 + start + index for index in range(len(prompts[part]))]
        for name, (_, end), frames in zip(names[part], ways[part], sampler(prompts[part], seeds), strict=True):
            first, last = _best(detector, frames[[0, -1]], [name])
            verdict = bool(first and last and ((last[1] > first[1]) if end == "right" else (last[1] < first[1])))
            right += verdict
            shown.append((f"{name} to {end}", frames, verdict))
    return right / videos, shown
