"""The three training phases of the sprite world's text-to-video model: pictures, clips, and mostly pictures again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.spriteworld.clip_pool import ClipPool, Drawn, StillPool
from tasks.spriteworld.text_to_video_model import TextStates, diffusion_loss
from tasks.video.spatial_unet import is_temporal

if TYPE_CHECKING:
    from tasks.spriteworld.train_text_to_video import Parameters

_WARMUP_STEPS, _LAST_RATE, _WEIGHT_DECAY, _CLIP = 100, 0.03, 1e-3, 1.0
_BLANK_SHARE = 0.1  # of the captions, for classifier-free guidance
_UNIFORM_SHARE, _PICTURES_NEAR_NOISE, _CLIPS_NEAR_NOISE = 0.4, 0.3, 1.0
_EMA_DECAY = 0.995
_STEPS_BETWEEN_LINES, _STEPS_BETWEEN_PICTURES, _STEPS_BETWEEN_CLIPS = 100, 4, 3


def draw_timesteps(random: np.random.Generator, count: int, near_noise: float) -> NDArray[np.int64]:
    """Timesteps of 1000: 40 % uniform, the others around the middle, where it is decided what a thing is.

    `near_noise` moves the middle: 0 is half noise in timesteps, 1 is about 730.
    """
    uniform = random.random(count)
    middle = 1 / (1 + np.exp(-random.normal(near_noise, 1.0, count)))
    chosen = np.where(random.random(count) < _UNIFORM_SHARE, uniform, middle)
    return (1000 * chosen).astype(np.int64).clip(0, 999)


@dataclass
class Training:
    """What all phases share: models, data, and one random stream."""

    unet: Any
    flat: Any
    average: Any
    schedule: Any
    states: TextStates
    clips: ClipPool
    stills: StillPool
    random: np.random.Generator

    def _loss(self, model: Any, drawn: Drawn, near_noise: float) -> torch.Tensor:
        told = ["" if self.random.random() < _BLANK_SHARE else caption for caption in drawn.captions]
        timesteps = torch.from_numpy(draw_timesteps(self.random, len(told), near_noise))
        noise, states = torch.randn_like(drawn.latents), self.states(told)
        return diffusion_loss(model, self.schedule, drawn.latents, states, timesteps, noise, drawn.weights)

    def picture_loss(self, frames: int, stills: int) -> torch.Tensor:
        """Of `frames` single frames of clips and `stills` scenes, by the spatial half."""
        first, second = self.clips.draw_stills(self.random, frames), self.stills.draw_stills(self.random, stills)
        both = Drawn(
            torch.cat([first.latents, second.latents]),
            first.captions + second.captions,
            torch.cat([first.weights, second.weights]),
        )
        return self._loss(self.flat, both, _PICTURES_NEAR_NOISE)

    def clip_loss(self, clips: int) -> torch.Tensor:
        """Of clips, by the whole model."""
        return self._loss(self.unet, self.clips.draw(self.random, clips), _CLIPS_NEAR_NOISE)


def _optimise(training: Training, groups: list[dict[str, Any]], steps: int, backward: Callable[[int], float]) -> None:
    """Runs `steps` steps; `backward` makes the gradients of one and returns its loss."""
    optimiser = torch.optim.AdamW(groups, weight_decay=_WEIGHT_DECAY, fused=True)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / _WARMUP_STEPS) * (1 - (1 - _LAST_RATE) * step / steps)
    )
    trained = [weight for group in groups for weight in group["params"]]
    total, averages, weights = 0.0, list(training.average.parameters()), list(training.unet.parameters())
    for step in range(1, steps + 1):
        total += backward(step)
        torch.nn.utils.clip_grad_norm_(trained, _CLIP)
        optimiser.step()
        optimiser.zero_grad()
        rates.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, weights, 1 - min(_EMA_DECAY, (1 + step) / (10 + step)))
        if step % _STEPS_BETWEEN_LINES == 0:
            sys.stderr.write(f"step {step}: loss {total / _STEPS_BETWEEN_LINES:.4f}\n")
            total = 0.0


def _pictures_beside(training: Training, pictures: int) -> torch.Tensor:
    """The loss of pictures of which a third are frames of clips."""
    return training.picture_loss(pictures // 3, pictures - pictures // 3)


def _on_pictures(training: Training, parameters: Parameters) -> None:
    def backward(_: int) -> float:
        half = parameters.image_batch // 2
        loss = training.picture_loss(half, parameters.image_batch - half)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    groups = [{"params": list(training.flat.parameters()), "lr": parameters.image_learning_rate}]
    _optimise(training, groups, parameters.image_steps, backward)


def _on_clips(training: Training, parameters: Parameters) -> None:
    def backward(step: int) -> float:
        loss = training.clip_loss(parameters.video_batch)
        loss.backward()  # type: ignore[no-untyped-call]
        if step % _STEPS_BETWEEN_PICTURES == 0 and parameters.pictures_beside:
            (0.5 * _pictures_beside(training, parameters.pictures_beside)).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    named = list(training.unet.named_parameters())
    groups = [
        {"params": [weight for name, weight in named if is_temporal(name)], "lr": parameters.temporal_learning_rate},
        {"params": [weight for name, weight in named if not is_temporal(name)], "lr": parameters.spatial_learning_rate},
    ]
    _optimise(training, groups, parameters.video_steps, backward)


def _on_both(training: Training, parameters: Parameters) -> None:
    """Pictures show far more captions than clips do in the same time; clips in between keep motion alive."""

    def backward(step: int) -> float:
        loss = _pictures_beside(training, parameters.last_pictures)
        loss.backward()  # type: ignore[no-untyped-call]
        if step % _STEPS_BETWEEN_CLIPS == 0:
            training.clip_loss(parameters.last_clips).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    groups = [{"params": list(training.unet.parameters()), "lr": parameters.last_learning_rate}]
    _optimise(training, groups, parameters.last_steps, backward)


def train_on_pictures_and_clips(training: Training, parameters: Parameters) -> None:
    """Trains `training.unet`; every phase starts from the running average of the one before, in `training.average`."""
    for phase in (_on_pictures, _on_clips, _on_both):
        phase(training, parameters)
        training.unet.load_state_dict(training.average.state_dict())
