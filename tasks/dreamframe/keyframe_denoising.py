"""Stable Diffusion XL, with a refiner or without one, from prompts to pictures whose bytes depend on nothing else.

On a CPU pictures are made one by one: the last bits of sums depend on how many are made at once. On other devices batches
are filled up to one size with their last picture, so that no picture depends on which others were still to be made.

Legend: B pictures, T text tokens, S width of the states of one or both text encoders, P width of the pooled embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.common.device_memory import within_memory
from tasks.common.devices import select_device
from tasks.common.parameters import Compute
from tasks.dreamframe.keyframe_settings import KeyframeSettings
from tasks.dreamframe.sdxl_checkpoint import load_refiner, load_sdxl
from tasks.dreamframe.style_tokens import StyleTokens, TextPart

if TYPE_CHECKING:
    from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline


class PictureRequest(NamedTuple):
    """One picture: a name of its own, the hash of all that decides it, its prompt and the seed of its noise."""

    name: str
    key: str
    prompt: str
    seed: int


class Picture(NamedTuple):
    """Levels 0..1, float32 [height, width, 3], and whether the end of the prompt was cut."""

    levels: NDArray[np.float32]
    prompt_cut: bool


class ImageModel(NamedTuple):
    """The pipeline, and the refiner's if there is one."""

    base: StableDiffusionXLPipeline
    refiner: StableDiffusionXLImg2ImgPipeline | None

    @property
    def text_parts(self) -> list[TextPart]:
        """Both tokenizers with their encoders; the refiner's is the second."""
        base = self.base
        return [TextPart(base.tokenizer, base.text_encoder), TextPart(base.tokenizer_2, base.text_encoder_2)]


@lru_cache(maxsize=1)
def load_image_model(
    model: str, revision: str | None, refiner: str | None, refiner_revision: str | None, scheduler: str, compute: Compute
) -> ImageModel:
    """The models, once per worker."""
    device, dtype = select_device(compute)
    base = load_sdxl(model, revision, device, dtype, scheduler)
    base.vae.enable_slicing()  # one picture at a time, which needs less memory and changes none
    second = load_refiner(base, refiner, refiner_revision, device, dtype, scheduler) if refiner else None
    return ImageModel(base, second)


def denoise_within_memory(
    model: ImageModel, tokens: StyleTokens, requests: Sequence[PictureRequest], settings: KeyframeSettings, at_once: int
) -> list[Picture]:
    """Pictures, `at_once` at a time; if the device's memory does not suffice, once more with half as many at a time.

    Raises:
        StageError: a half does not fit either; says how much was needed.
    """
    what = f"pictures of {settings.width}x{settings.height}"
    advice = "lower keyframes.batch or its sides, or set compute.dtype to float16"
    return within_memory(lambda size: _in_groups(model, tokens, requests, settings, size), at_once, what, advice)


def _in_groups(
    model: ImageModel, tokens: StyleTokens, requests: Sequence[PictureRequest], settings: KeyframeSettings, size: int
) -> list[Picture]:
    pictures = []
    for start in range(0, len(requests), size):
        group = list(requests[start : start + size])
        filled = group + [group[-1]] * (size - len(group))
        levels_BHWC = _denoise(model, tokens, filled, settings)
        cut = [_is_cut(model, tokens, request.prompt) for request in group]
        pictures += [Picture(levels, is_cut) for levels, is_cut in zip(levels_BHWC, cut, strict=False)]
    return pictures


def _is_cut(model: ImageModel, tokens: StyleTokens, prompt: str) -> bool:
    added = prompt.count(tokens.token) * len(tokens.names)
    rest = prompt.replace(tokens.token, " ")
    return any(
        len(tokenizer(rest, verbose=False).input_ids) + added > tokenizer.model_max_length
        for tokenizer, _ in model.text_parts
    )


@torch.no_grad()
def _denoise(
    model: ImageModel, tokens: StyleTokens, requests: Sequence[PictureRequest], settings: KeyframeSettings
) -> NDArray[np.float32]:
    """Levels 0..1 [B, height, width, 3]."""
    states_BTS, pooled_BP = tokens.encode([request.prompt for request in requests])
    unwanted_BTS, unwanted_BP = tokens.encode([settings.negative_prompt] * len(requests))
    base, refiner = model
    common: dict[str, Any] = {
        "num_inference_steps": settings.steps,
        "guidance_scale": settings.guidance_scale,
        "generator": [torch.Generator().manual_seed(request.seed) for request in requests],
    }
    without = _negative(base, settings, unwanted_BTS, unwanted_BP)
    sides = {"height": settings.height, "width": settings.width}
    wanted = {"prompt_embeds": states_BTS, "pooled_prompt_embeds": pooled_BP}
    if refiner is None:
        levels_BHWC: NDArray[np.float32] = base(**wanted, **without, **common, **sides, output_type="np").images
        return levels_BHWC
    until = {"denoising_end": settings.handover, "output_type": "latent"}
    latents_BChw = base(**wanted, **without, **common, **sides, **until).images
    width = model.text_parts[1].encoder.config.hidden_size  # the refiner reads the second encoder alone
    wanted = {"prompt_embeds": states_BTS[..., -width:], "pooled_prompt_embeds": pooled_BP}
    without = _negative(refiner, settings, unwanted_BTS[..., -width:], unwanted_BP)
    since = {"image": latents_BChw, "denoising_start": settings.handover, "output_type": "np"}
    levels_BHWC = refiner(**wanted, **without, **common, **since).images
    return levels_BHWC


def _negative(pipeline: Any, settings: KeyframeSettings, states_BTS: Tensor, pooled_BP: Tensor) -> dict[str, Tensor]:
    """As the pipeline does it: without a negative prompt, zeros in models that were trained so."""
    if not settings.negative_prompt and pipeline.config.force_zeros_for_empty_prompt:
        states_BTS, pooled_BP = torch.zeros_like(states_BTS), torch.zeros_like(pooled_BP)
    return {"negative_prompt_embeds": states_BTS, "negative_pooled_prompt_embeds": pooled_BP}
