"""Stable Diffusion XL checkpoints from folders or the hub, component by component, so that each fault is one line."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from tasks.common.checkpoint_loading import load_part, load_weights
from tasks.common.errors import UserError
from tasks.common.noise_schedulers import scheduler_class
from tasks.common.quarantine import printable

transformers_logging.set_verbosity_error()  # these two look for torchvision, which they do not need, and say so
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline  # noqa: E402

transformers_logging.set_verbosity_warning()

DEFAULT_SCHEDULER = "EulerDiscreteScheduler"
_FAMILY = "StableDiffusionXL"
_MOST_TOKENS = 100_000
_TIME_IDS = 6
_TIME_IDS_WITH_SCORE = 5


def load_sdxl(
    model: str, revision: str | None, device: str | torch.device, dtype: torch.dtype, scheduler: str = DEFAULT_SCHEDULER
) -> StableDiffusionXLPipeline:
    """A text-to-image pipeline, without watermarks.

    Args:
        model: a folder or a hub id; weights in safetensors.
        revision: of a hub checkpoint.
        device: where the models go.
        dtype: their precision.
        scheduler: a class of diffusers; it is built from the checkpoint's own scheduler configuration.

    Raises:
        UserError: the checkpoint is of another family; a component is missing, damaged, or does not fit the others.
    """
    transformers_logging.disable_progress_bar()
    schedule = scheduler_class(scheduler, DEFAULT_SCHEDULER)
    tokenizer = _tokenizer(model, revision, "tokenizer")
    config = _family_config(model, revision)
    tokenizers = [tokenizer, _tokenizer(model, revision, "tokenizer_2")]
    encoders = [
        load_weights(factory, model, revision, subfolder=name, dtype=dtype)
        for factory, name in ((CLIPTextModel, "text_encoder"), (CLIPTextModelWithProjection, "text_encoder_2"))
    ]
    vae = load_weights(AutoencoderKL, model, revision, subfolder="vae", **_settings(dtype))
    unet = load_weights(UNet2DConditionModel, model, revision, subfolder="unet", **_settings(dtype))
    for tokenizer, encoder in zip(tokenizers, encoders, strict=True):
        _check_text(model, tokenizer, encoder.config)
    _check_unet(model, unet, vae, [encoder.config for encoder in encoders], _TIME_IDS)
    pipeline = StableDiffusionXLPipeline(
        vae=vae, text_encoder=encoders[0], text_encoder_2=encoders[1], tokenizer=tokenizers[0], tokenizer_2=tokenizers[1],
        unet=unet, scheduler=load_part(schedule, model, revision, subfolder="scheduler"),
        force_zeros_for_empty_prompt=bool(config.get("force_zeros_for_empty_prompt", True)), add_watermarker=False,
    )  # fmt: skip
    return _ready(pipeline, device)


def load_refiner(
    base: StableDiffusionXLPipeline,
    model: str,
    revision: str | None,
    device: str | torch.device,
    dtype: torch.dtype,
    scheduler: str = DEFAULT_SCHEDULER,
) -> StableDiffusionXLImg2ImgPipeline:
    """The second expert: only its UNet and scheduler are loaded; second text encoder and autoencoder are those of `base`.

    Arguments as for `load_sdxl`.

    Raises:
        UserError: as for `load_sdxl`, or it is not made for the text encoder of `base`.
    """
    schedule = load_part(scheduler_class(scheduler, DEFAULT_SCHEDULER), model, revision, subfolder="scheduler")
    config = _family_config(model, revision)
    unet = load_weights(UNet2DConditionModel, model, revision, subfolder="unet", **_settings(dtype))
    with_score = bool(config.get("requires_aesthetics_score", False))
    _check_unet(model, unet, base.vae, [base.text_encoder_2.config], _TIME_IDS_WITH_SCORE if with_score else _TIME_IDS)
    pipeline = StableDiffusionXLImg2ImgPipeline(
        vae=base.vae, text_encoder=None, text_encoder_2=base.text_encoder_2, tokenizer=None, tokenizer_2=base.tokenizer_2,
        unet=unet, scheduler=schedule, requires_aesthetics_score=with_score,
        force_zeros_for_empty_prompt=bool(config.get("force_zeros_for_empty_prompt", False)), add_watermarker=False,
    )  # fmt: skip
    return _ready(pipeline, device)


def text_widths(model: str, revision: str | None) -> tuple[int, int]:
    """Widths of the two text encoders, from their configurations alone.

    Raises:
        UserError: the checkpoint is missing or of another family.
    """
    first = load_part(CLIPTextConfig, model, revision, subfolder="text_encoder")
    _family_config(model, revision)
    second = load_part(CLIPTextConfig, model, revision, subfolder="text_encoder_2")
    return first.hidden_size, second.hidden_size


def _settings(dtype: torch.dtype) -> dict[str, Any]:
    return {"torch_dtype": dtype, "low_cpu_mem_usage": False}


def _ready(pipeline: Any, device: str | torch.device) -> Any:
    pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _family_config(checkpoint: str, revision: str | None) -> dict[str, Any]:
    """What model_index.json says; the checkpoint's folder has been looked for before."""
    try:
        config: dict[str, Any] = StableDiffusionXLPipeline.load_config(checkpoint, revision=revision)
    except (OSError, ValueError) as error:
        raise UserError(f"{checkpoint}: no pipeline: {' '.join(str(error).split())[:300]}") from None
    kind = config.get("_class_name")
    if not isinstance(kind, str) or not kind.startswith(_FAMILY):
        raise UserError(
            f"{checkpoint}: a {printable(str(kind), 60)}, not of the family of Stable Diffusion XL; name one such as "
            "stabilityai/stable-diffusion-xl-base-1.0"
        )
    return config


def _tokenizer(checkpoint: str, revision: str | None, name: str) -> CLIPTokenizer:
    tokenizer = load_part(CLIPTokenizer, checkpoint, revision, subfolder=name)
    if tokenizer.model_max_length > _MOST_TOKENS:  # what CLIPTokenizer makes of a folder that is not there
        raise UserError(f"{checkpoint}: no {name} that says how many tokens a prompt may have (model_max_length)")
    return tokenizer


def _check_text(checkpoint: str, tokenizer: CLIPTokenizer, config: CLIPTextConfig) -> None:
    if tokenizer.model_max_length > config.max_position_embeddings or len(tokenizer) > config.vocab_size:
        raise UserError(
            f"{checkpoint}: tokenizer of {len(tokenizer)} tokens and prompts of {tokenizer.model_max_length}, text encoder "
            f"for {config.vocab_size} and {config.max_position_embeddings}; they are not of one model"
        )


def _check_unet(checkpoint: str, unet: Any, vae: Any, texts: list[CLIPTextConfig], time_ids: int) -> None:
    """Whether a UNet fits the autoencoder, and text encoders of which the last gives the pooled embedding."""
    if unet.config.addition_embed_type != "text_time":
        raise UserError(f"{checkpoint}: its unet takes no pooled text; name a checkpoint of Stable Diffusion XL")
    added = time_ids * unet.config.addition_time_embed_dim + texts[-1].projection_dim
    pairs = [
        ("text width", sum(text.hidden_size for text in texts), unet.config.cross_attention_dim),
        ("latent channels", vae.config.latent_channels, unet.config.in_channels),
        ("pooled text and sizes", added, unet.config.projection_class_embeddings_input_dim),
    ]
    for what, given, wanted in pairs:
        if given != wanted:
            raise UserError(
                f"{checkpoint}: {what} {given}, but its unet is made for {wanted}; text encoder, autoencoder and unet must "
                "be of models that belong together"
            )
