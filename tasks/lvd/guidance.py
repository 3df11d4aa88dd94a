"""Guidance by a layout, without training: latents move until the prompt's words look into their boxes (specs/lvd.md 4.2).

Legend: C latent channels, F frames, h and w latent sides, O objects, T tokens of the prompt, W text width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tasks.common.errors import UserError
from tasks.lvd.denoising import BeforeStep
from tasks.lvd.guidance_energy import guidance_energy
from tasks.lvd.guidance_settings import Guidance
from tasks.lvd.video_errors import VideoError
from tasks.video.attention_maps import AttentionRecorder

FIRST_LOSS = 10_000.0
"""The loss before anything is measured, as in the published code."""
_CHECKPOINTED = (ResnetBlock2D, TemporalConvLayer, Transformer2DModel, TransformerTemporalModel)


class NotFiniteError(ValueError):
    """The energy or its gradient is NaN or infinite."""


@dataclass(frozen=True)
class GuidedPrompt:
    """What the model is told and where its objects are to be.

    Attributes:
        states_1TW: token states of the prompt, in the precision of the UNet.
        tracks_OF4: x0, y0, x1, y1 as fractions of the video, all 0 where an object is absent.
        token_positions: of each object, the places of its tokens in the prompt.
    """

    states_1TW: Tensor
    tracks_OF4: Tensor
    token_positions: tuple[tuple[int, ...], ...]


@dataclass
class GuidanceState:
    """How far the guidance of one video has come; carried from step to step.

    Attributes:
        loss: the last loss measured.
        iterations: how often the latents were moved.
        energies: of each step in which any was measured, the first and the last; energies of one step can be compared.
    """

    loss: float = FIRST_LOSS
    iterations: int = 0
    energies: list[tuple[float, float]] = field(default_factory=list)

    def mean_energies(self) -> tuple[float, float] | None:
        """The mean over the steps of the first and of the last energies; None if none was measured."""
        count = len(self.energies)
        return (
            (sum(one[0] for one in self.energies) / count, sum(one[1] for one in self.energies) / count) if count else None
        )


def guide(
    latents_1CFhw: Tensor, step: int, timestep: Tensor, scheduler: Any, prompt: GuidedPrompt, state: GuidanceState,
    recorder: AttentionRecorder, settings: Guidance,
) -> Tensor:  # fmt: skip
    """The latents of one video before a denoising step, moved against the gradient of the energy.

    As published, the loss that is compared with the threshold is the one before the last move, also across steps: once it is
    low enough, guidance has ended for good. With `re_evaluate` it is measured first, so later steps may need guidance again.
    The model sees the prompt alone: no classifier-free guidance, no grounding tokens.

    Args:
        latents_1CFhw: noisy latents in float32.
        step: number of the denoising step, from 0.
        timestep: of that step.
        scheduler: of diffusers, with timesteps set.
        prompt: of this video.
        state: of this video; it is updated.
        recorder: of the UNet, entered.
        settings: see there.

    Raises:
        NotFiniteError: the energy or its gradient is not finite.
    """
    if not len(prompt.tracks_OF4):
        return latents_1CFhw
    share_of_noise = noise_share(scheduler, timestep)
    for number in range(settings.most_iterations(step)):
        if not settings.re_evaluate and _is_enough(state, settings):
            break
        with torch.enable_grad():
            moved_1CFhw = latents_1CFhw.detach().requires_grad_()
            inputs_1CFhw = scheduler.scale_model_input(moved_1CFhw, timestep)
            loss = settings.loss_scale * _energy(inputs_1CFhw, timestep, prompt, recorder, settings)
            _note(state, loss.item(), settings, number == 0)
            if settings.re_evaluate and _is_enough(state, settings):
                break
            (gradient_1CFhw,) = torch.autograd.grad(loss, moved_1CFhw)
        if not gradient_1CFhw.isfinite().all():
            raise NotFiniteError(f"the gradient of the energy at step {step} is NaN or infinite")
        latents_1CFhw = latents_1CFhw - share_of_noise * gradient_1CFhw
        state.iterations += 1
    return latents_1CFhw


def _energy(
    inputs_1CFhw: Tensor, timestep: Tensor, prompt: GuidedPrompt, recorder: AttentionRecorder, settings: Guidance
) -> Tensor:
    sample = inputs_1CFhw.to(prompt.states_1TW.dtype)
    maps = recorder.record(sample=sample, timestep=timestep, encoder_hidden_states=prompt.states_1TW)
    height, width = inputs_1CFhw.shape[-2:]
    return guidance_energy(maps, prompt.tracks_OF4, prompt.token_positions, (height, width), settings.energy)


def _is_enough(state: GuidanceState, settings: Guidance) -> bool:
    return state.loss / settings.loss_scale <= settings.loss_threshold


def _note(state: GuidanceState, loss: float, settings: Guidance, first_of_step: bool) -> None:
    if not math.isfinite(loss):
        raise NotFiniteError("the energy is NaN or infinite")
    state.loss, energy = loss, loss / settings.loss_scale
    first = energy if first_of_step else state.energies.pop()[0]
    state.energies.append((first, energy))


def noise_share(scheduler: Any, timestep: Tensor) -> float:
    """The share sqrt(1 - alphabar) of noise in latents at a timestep.

    Raises:
        UserError: the scheduler is of a kind that has no such share.
    """
    alphas_bar = getattr(scheduler, "alphas_cumprod", None)
    if alphas_bar is None:
        raise UserError(f"{type(scheduler).__name__}: guidance needs a scheduler with alphas_cumprod, such as DDIMScheduler")
    return math.sqrt(1 - float(alphas_bar[round(float(timestep))]))


@contextmanager
def guiding(
    unet: nn.Module, scheduler: Any, settings: Guidance, prompts: Sequence[GuidedPrompt], states: Sequence[GuidanceState]
) -> Iterator[BeforeStep]:
    """Within `with`, what `denoising.denoise` calls before each step: it guides each video of the batch, one after another.

    Raises:
        UserError: the UNet lacks one of the layers.
        VideoError: (by what is called) energy or gradient of a video is not finite.
    """
    recorder = AttentionRecorder(unet, settings.layers)

    def before_step(step: int, timestep: Tensor, latents_BCFhw: Tensor) -> Tensor:
        guided = []
        for index, (prompt, state) in enumerate(zip(prompts, states, strict=True)):
            video_1CFhw = latents_BCFhw[index : index + 1]
            try:
                guided.append(guide(video_1CFhw, step, timestep, scheduler, prompt, state, recorder, settings))
            except NotFiniteError as error:
                raise VideoError(index, "not-finite", f"{error}; set compute.dtype to float32") from None
        return torch.cat(guided)

    with ready_for_gradients(unet, checkpointing=settings.checkpointing), recorder:
        yield before_step


@contextmanager
def ready_for_gradients(unet: nn.Module, *, checkpointing: bool) -> Iterator[None]:
    """Within `with`, no weight takes part in gradients; with `checkpointing`, activations are worked out twice, not kept."""
    trained = [weight for weight in unet.parameters() if weight.requires_grad]
    blocks = [module for module in unet.modules() if checkpointing and isinstance(module, _CHECKPOINTED)]
    try:
        for weight in trained:
            weight.requires_grad_(False)
        for block in blocks:
            block.__dict__["forward"] = partial(checkpoint, block.forward, use_reentrant=False)
        yield
    finally:
        for block in blocks:
            block.__dict__.pop("forward", None)
        for weight in trained:
            weight.requires_grad_(True)
