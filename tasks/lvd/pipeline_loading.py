"""Text-to-video checkpoints from folders or the hub, component by component, so that each fault is one line."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, UNet3DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from tasks.common.checkpoint_loading import load_part, load_weights
from tasks.common.errors import UserError
from tasks.common.noise_schedulers import scheduler_class
from tasks.lvd.grounded_pipeline import GroundedTextToVideoPipeline

DEFAULT_SCHEDULER = "DPMSolverMultistepScheduler"
_MOST_TOKENS = 100_000


def load_pipeline(
    checkpoint: str, revision: str | None, device: str, dtype: torch.dtype, scheduler: str = DEFAULT_SCHEDULER
) -> GroundedTextToVideoPipeline:
    """A text-to-video checkpoint in the form of diffusers' TextToVideoSDPipeline, such as ModelScope's or Zeroscope's.

    Args:
        checkpoint: a folder or a hub id; weights in safetensors.
        revision: of a hub checkpoint.
        device: where the models go.
        dtype: their precision.
        scheduler: a class of diffusers; it is built from the checkpoint's own scheduler configuration.

    Raises:
        UserError: a component is missing, damaged, of another kind, or does not fit the others.
    """
    diffusers_model = {"torch_dtype": dtype, "low_cpu_mem_usage": False}
    parts = {
        "tokenizer": load_part(CLIPTokenizer, checkpoint, revision, subfolder="tokenizer"),
        "scheduler": load_part(scheduler_class(scheduler, DEFAULT_SCHEDULER), checkpoint, revision, subfolder="scheduler"),
        "text_encoder": load_weights(CLIPTextModel, checkpoint, revision, subfolder="text_encoder", dtype=dtype),
        "vae": load_weights(AutoencoderKL, checkpoint, revision, subfolder="vae", **diffusers_model),
        "unet": load_weights(UNet3DConditionModel, checkpoint, revision, subfolder="unet", **diffusers_model),
    }
    _check_fit(checkpoint, **parts)
    pipeline = GroundedTextToVideoPipeline(**parts)
    pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _check_fit(checkpoint: str, tokenizer: Any, text_encoder: Any, vae: Any, unet: Any, **_others: Any) -> None:
    text, longest = text_encoder.config, tokenizer.model_max_length
    if longest > _MOST_TOKENS:  # what CLIPTokenizer makes of a folder that is not there
        raise UserError(f"{checkpoint}: no tokenizer that says how many tokens a prompt may have (model_max_length)")
    pairs = [
        ("text_encoder's width", text.hidden_size, "unet's", unet.config.cross_attention_dim),
        ("vae's latent channels", vae.config.latent_channels, "unet's", unet.config.in_channels),
        ("text_encoder's longest prompt", min(text.max_position_embeddings, longest), "tokenizer's", longest),
        ("tokenizer's vocabulary", len(tokenizer), "text_encoder's", min(len(tokenizer), text.vocab_size)),
    ]
    for what, one, others, other in pairs:
        if one != other:
            raise UserError(f"{checkpoint}: {what} {one}, but {others} {other}; they are not of one model")
