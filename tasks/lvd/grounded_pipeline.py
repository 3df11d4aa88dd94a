"""Text-to-video with objects where a layout wants them: a pipeline on the blocks of diffusers (specs/lvd.md 4).

Legend: B videos, C channels, F frames, H W sides in pixels, h w of latents, S grounding slots, D text width.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.models.attention import GatedSelfAttentionDense
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from numpy.typing import NDArray
from torch import Tensor

from tasks.common.errors import UserError
from tasks.igligen.adapters import Unet, grounding_kwargs, has_adapters, set_adapters_enabled
from tasks.igligen.phrase_embeddings import PhraseEmbedder
from tasks.lvd.denoising import BeforeStep, Conditions, Generators, decode_frames, denoise, text_states
from tasks.lvd.grounding import (
    METHODS,
    Grounding,
    Method,
    Slots,
    grounding_slots,
    place_prompts,
    uses_adapters,
    uses_guidance,
)
from tasks.lvd.guidance import GuidanceState, GuidedPrompt, guiding
from tasks.lvd.guidance_settings import Guidance
from tasks.lvd.phrase_tokens import PlacedPhrases
from tasks.lvd.video_errors import VideoError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoReport:
    """What happened to one video besides its pixels.

    Attributes:
        prompt: what the model was told.
        guidance: how far guidance went.
        slots_dropped: objects for which a frame had no grounding slot left, summed over the frames.
        prompt_cut: whether the prompt is longer than the model reads.
    """

    prompt: str
    guidance: GuidanceState
    slots_dropped: int
    prompt_cut: bool


@dataclass
class GroundedVideos(BaseOutput):  # type: ignore[misc]
    """Videos [B, F, H, W, 3] in 0..1, or latents [B, C, F, h, w], and one report for each."""

    frames: NDArray[Any] | Tensor
    reports: list[VideoReport]


class GroundedTextToVideoPipeline(DiffusionPipeline):  # type: ignore[misc]
    """Reads folders of diffusers' TextToVideoSDPipeline; adapters go into its UNet with `adapter_files.load_adapters`.

    What a video shows does not depend on the others of its batch, given a generator for each. Guidance works on one video
    at a time, which bounds its memory.
    """

    model_cpu_offload_seq = "text_encoder->unet->vae"

    def __init__(self, vae: Any, text_encoder: Any, tokenizer: Any, unet: Any, scheduler: Any) -> None:
        super().__init__()
        self.register_modules(vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler)

    @torch.no_grad()
    def __call__(
        self, prompt: str | list[str], layout: Grounding | Sequence[Grounding | None] | None = None,
        method: Method = "baseline", negative_prompt: str = "", num_frames: int = 16, height: int = 256, width: int = 256,
        num_inference_steps: int = 40, guidance_scale: float = 9.0, beta: float = 1.0, guidance: Guidance | None = None,
        generator: Generators = None, latents: Tensor | None = None, output_type: str = "np",
    ) -> GroundedVideos:  # fmt: skip
        """Makes one video for each prompt.

        Args:
            prompt: captions.
            layout: `grounding.grounding_of` the layout of each, with `num_frames` frames; not used by the baseline.
            method: "baseline", "guidance", "adapters" or "adapters+guidance".
            negative_prompt: what is not wanted.
            num_frames, height, width: of the videos; sides in pixels.
            num_inference_steps: denoising steps.
            guidance_scale: of classifier-free guidance; at most 1 for none.
            beta: adapters act in this share of the steps, from the first.
            guidance: how latents are moved; needed by methods with guidance.
            generator: a torch.Generator for each prompt, or one for all.
            latents: the noise to begin with, [B, C, F, h, w], instead of the generators'.
            output_type: "np" or "latent".

        Raises:
            VideoError: one of the videos cannot be made; says which and why.
            UserError: an argument is wrong, or the UNet lacks adapters or layers.
        """
        captions = [prompt] if isinstance(prompt, str) else list(prompt)
        groundings = list(layout) if isinstance(layout, Sequence) else [layout] * len(captions)
        self._check(captions, groundings, method, guidance, num_frames, (height, width))
        placed = place_prompts(captions, groundings, method, self.tokenizer)
        embed = PhraseEmbedder(self.tokenizer, self.text_encoder)
        slots = [grounding_slots(item, embed) for item in groundings if item and uses_adapters(method)]
        self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        timesteps = self.scheduler.timesteps
        conditions = self._conditions(placed, slots, negative_prompt, guidance_scale, int(beta * len(timesteps)))
        noise_BCFhw = self._noise(latents, (len(captions), num_frames, height, width), generator)
        states = [GuidanceState() for _ in captions]
        settings = guidance if uses_guidance(method) else None
        with self._guiding(settings, placed, groundings, conditions, states) as before_step, adapters_enabled(self.unet):
            steps = self.progress_bar(timesteps)
            made_BCFhw = denoise(self.unet, self.scheduler, steps, noise_BCFhw, conditions, generator, before_step)
        check_finite(made_BCFhw)
        frames = made_BCFhw if output_type == "latent" else decode_frames(self.vae, made_BCFhw)
        self.maybe_free_model_hooks()
        return GroundedVideos(frames=frames, reports=self._reports(placed, states, slots))

    def _check(
        self, captions: Sequence[str], groundings: Sequence[Grounding | None], method: Method, guidance: Guidance | None,
        frames: int, sides: tuple[int, int],
    ) -> None:  # fmt: skip
        if method not in METHODS:
            raise UserError(f"method {method}: no such method; take one of {', '.join(METHODS)}")
        if not captions or len(captions) != len(groundings):
            raise UserError(f"{len(captions)} prompts with {len(groundings)} layouts; give one for each")
        if uses_guidance(method) and guidance is None:
            raise UserError(f"method {method} needs `guidance`: which layers to guide, and how strongly")
        if uses_adapters(method) and not has_adapters(self.unet):
            raise UserError(f"method {method} needs adapters in the UNet; load some with adapter_files.load_adapters")
        if any(side <= 0 or side % self.pixels_per_latent for side in sides):
            height, width = sides
            raise UserError(f"{height}x{width} pixels: sides must be multiples of {self.pixels_per_latent}")
        wrong = [item.tracks_OF4.shape[1] for item in groundings if item and item.tracks_OF4.shape[1] != frames]
        if wrong and method != "baseline":
            raise UserError(
                f"a layout of {wrong[0]} frames for a video of {frames}; grounding_of(layout, {frames}) makes one that fits"
            )

    @property
    def pixels_per_latent(self) -> int:
        """Pixels along a side of one latent."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    def _conditions(
        self, placed: Sequence[PlacedPhrases], slots: Sequence[Slots], negative: str, scale: float, grounded_steps: int
    ) -> Conditions:
        states_BTD = text_states(self.tokenizer, self.text_encoder, [item.prompt for item in placed])
        negative_BTD = None
        if scale > 1:
            negative_BTD = text_states(self.tokenizer, self.text_encoder, [negative]).expand_as(states_BTD)
        grounding = None
        if slots:
            stacked = [
                torch.cat([getattr(item, name) for item in slots]) for name in ("boxes_FS4", "phrases_FSD", "mask_FS")
            ]
            if scale > 1:  # the videos without prompts see null tokens only
                stacked = [torch.cat([torch.zeros_like(one), one]) for one in stacked]
            grounding = grounding_kwargs(self.unet, *stacked)
        return Conditions(states_BTD, negative_BTD, scale, grounding, grounded_steps)

    def _noise(self, latents: Tensor | None, shape_BFHW: tuple[int, int, int, int], generator: Generators) -> Tensor:
        batch, frames, height, width = shape_BFHW
        small = self.pixels_per_latent
        shape = (batch, self.unet.config.in_channels, frames, height // small, width // small)
        if latents is None:
            latents = randn_tensor(shape, generator=generator, device=self._execution_device, dtype=torch.float32)
        elif latents.shape != shape:
            raise UserError(f"latents of shape {list(latents.shape)}, expected {list(shape)}")
        noise: Tensor = latents.to(self._execution_device, torch.float32) * self.scheduler.init_noise_sigma
        return noise

    def _guiding(
        self, settings: Guidance | None, placed: Sequence[PlacedPhrases], groundings: Sequence[Grounding | None],
        conditions: Conditions, states: Sequence[GuidanceState],
    ) -> AbstractContextManager[BeforeStep | None]:  # fmt: skip
        if settings is None:
            return nullcontext()
        states_B1TD = conditions.states_BTD.unsqueeze(1)
        tracks = [item.tracks_OF4 for item in groundings if item is not None]
        prompts = [GuidedPrompt(*one) for one in zip(states_B1TD, tracks, (item.positions for item in placed), strict=True)]
        return guiding(self.unet, self.scheduler, settings, prompts, states)

    def _reports(
        self, placed: Sequence[PlacedPhrases], states: Sequence[GuidanceState], slots: Sequence[Slots]
    ) -> list[VideoReport]:
        most = self.tokenizer.model_max_length - 2
        cut = [len(self.tokenizer.tokenize(item.prompt)) > most for item in placed]
        dropped = [item.dropped for item in slots] or [0] * len(placed)
        for index, count in enumerate(dropped):
            if count:
                _LOG.warning("prompt %d: %d objects had no grounding slot in their frame", index, count)
        return [VideoReport(item.prompt, *rest) for item, *rest in zip(placed, states, dropped, cut, strict=True)]


@contextmanager
def adapters_enabled(unet: Unet) -> Iterator[None]:
    """Within `with`, all adapters act when they are given grounding tokens; afterwards they are as before."""
    fusers = [module for module in unet.modules() if isinstance(module, GatedSelfAttentionDense)]
    before = [fuser.enabled for fuser in fusers]
    set_adapters_enabled(unet, True)
    try:
        yield
    finally:
        for fuser, enabled in zip(fusers, before, strict=True):
            fuser.enabled = enabled


def check_finite(latents_BCFhw: Tensor) -> None:
    """Raises VideoError for the first video of a batch that holds NaN or infinity."""
    for index, video_CFhw in enumerate(latents_BCFhw):
        if not video_CFhw.isfinite().all():
            raise VideoError(index, "not-finite", "NaN or infinity in its latents; set compute.dtype to float32")
