"""Pictures of prompts by Stable Diffusion XL, with a style's token in them or without, each from a seed of its own.

Legend: B prompts at once, T text tokens, W and V widths of the two text encoders, P width of the pooled embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.common.devices import select_device
from tasks.common.errors import StageError
from tasks.common.parameters import Compute
from tasks.dreamframe.sdxl_checkpoint import load_sdxl
from tasks.dreamframe.style_tokens import StyleTokens, TextPart

if TYPE_CHECKING:
    from diffusers import StableDiffusionXLPipeline

Pixels = NDArray[np.uint8]
Conditions = Callable[[Sequence[str]], dict[str, Any]]
"""Prompts to arguments of the pipeline."""


class Drawing(NamedTuple):
    """How pictures are denoised: steps, classifier-free guidance (1 is none), and how many pictures at once."""

    steps: int
    guidance_scale: float
    batch: int


@lru_cache(maxsize=1)
def load_model(model: str, revision: str | None, scheduler: str, compute: Compute) -> StableDiffusionXLPipeline:
    """The pipeline with a scheduler of this class, once per worker.

    Raises:
        UserError: it cannot be loaded, is of another family, or the device is not usable.
    """
    device, dtype = select_device(compute)
    return load_sdxl(model, revision, device, dtype, scheduler)


def text_parts(pipeline: StableDiffusionXLPipeline) -> list[TextPart]:
    """Its two tokenizers with their encoders."""
    return [
        TextPart(pipeline.tokenizer, pipeline.text_encoder),
        TextPart(pipeline.tokenizer_2, pipeline.text_encoder_2),
    ]


def plain(prompts: Sequence[str]) -> dict[str, Any]:
    """Conditions of prompts without a style's token."""
    return {"prompt": list(prompts)}


def styled(tokens: StyleTokens) -> Conditions:
    """Conditions of prompts that may name this style, as its vectors are at that moment."""

    @torch.no_grad()
    def conditions(prompts: Sequence[str]) -> dict[str, Any]:
        states_BTW, pooled_BP = tokens.encode(prompts)
        return {"prompt_embeds": states_BTW, "pooled_prompt_embeds": pooled_BP}

    return conditions


def generate(
    pipeline: StableDiffusionXLPipeline,
    conditions: Conditions,
    prompts: Sequence[str],
    seeds: Sequence[int],
    drawing: Drawing,
) -> list[Pixels]:
    """A picture of each prompt, uint8 [H, W, 3] in the model's own size.

    Raises:
        StageError: the model made NaN or infinity.
    """
    pictures: list[Pixels] = []
    for start in range(0, len(prompts), drawing.batch):
        some = slice(start, start + drawing.batch)
        images_BHWC = pipeline(
            **conditions(prompts[some]),
            num_inference_steps=drawing.steps,
            guidance_scale=drawing.guidance_scale,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds[some]],
            output_type="np",
        ).images
        if not np.isfinite(images_BHWC).all():
            raise StageError("the model made a picture of NaN or infinity; set compute.dtype to float32")
        pictures += list((images_BHWC * 255).round().astype(np.uint8))
    return pictures


def out_of_memory(error: torch.OutOfMemoryError, advice: str) -> StageError:
    """The one line that says how much was in use and what to lower."""
    peak = f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB in use at most. " if torch.cuda.is_available() else ""
    return StageError(f"out of GPU memory: {peak}{' '.join(str(error).split())[:200]}; {advice}")
