"""The frozen image model that adapters are trained on: a text-to-image pipeline, or the spatial half of a text-to-video one.

Legend: B captions, T text tokens, W text width, S grounding slots, C latent channels, h and w latent sides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel, UNet3DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from tasks.common.checkpoint_loading import load_part, load_weights
from tasks.common.errors import UserError
from tasks.igligen.phrase_embeddings import PhraseEmbedder
from tasks.video.spatial_unet import spatial_unet

_UNETS = {"UNet2DConditionModel": UNet2DConditionModel, "UNet3DConditionModel": UNet3DConditionModel}
_MOST_CACHED_BYTES = 2**28


class CaptionStates:
    """Token states [B, T, W] of captions from a frozen text encoder; those of the latest captions are kept.

    On a CPU captions go through the encoder one by one, so that their bits do not depend on what was asked before.
    """

    def __init__(self, tokenizer: Any, text_encoder: Any) -> None:
        self._tokenizer, self._encoder = tokenizer, text_encoder
        self._kept: OrderedDict[str, Tensor] = OrderedDict()
        self._most = max(1, _MOST_CACHED_BYTES // (4 * tokenizer.model_max_length * text_encoder.config.hidden_size))

    @torch.no_grad()
    def _encode(self, captions: Sequence[str]) -> Tensor:
        ids_BT = self._tokenizer(
            list(captions), padding="max_length", truncation=True, max_length=self._tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids  # fmt: skip
        states: Tensor = self._encoder(ids_BT.to(self._encoder.device)).last_hidden_state
        return states

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """States of the captions in their order."""
        new = [caption for caption in dict.fromkeys(captions) if caption not in self._kept]
        size = 1 if self._encoder.device.type == "cpu" else max(1, len(new))
        found = {caption: self._kept[caption] for caption in captions if caption in self._kept}
        for start in range(0, len(new), size):
            some = new[start : start + size]
            found.update(zip(some, self._encode(some), strict=True))
        for caption in captions:
            self._kept[caption] = found[caption]
            self._kept.move_to_end(caption)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return torch.stack([found[caption] for caption in captions])


@dataclass(frozen=True)
class BaseModel:
    """An image UNet without gradients, its noise schedule, and what turns texts into its inputs."""

    unet: UNet2DConditionModel
    scheduler: DDPMScheduler
    captions: CaptionStates
    phrases: PhraseEmbedder

    def phrase_slots(self, phrases: Sequence[Sequence[str]], slots: int) -> Tensor:
        """Phrase embeddings [B, S, W], zeros where there is no phrase."""
        embeddings = [nn.functional.pad(found, (0, 0, 0, slots - len(found))) for found in map(self.phrases, phrases)]
        return torch.stack(embeddings)


class Denoiser(nn.Module):
    """One call of the grounded UNet, position net included: what several GPUs run side by side."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(
        self,
        noisy_BChw: Tensor,
        timesteps_B: Tensor,
        states_BTW: Tensor,
        boxes_BS4: Tensor,
        phrases_BSW: Tensor,
        mask_BS: Tensor,
    ) -> Tensor:
        """The prediction [B, C, h, w]."""
        # adapters.grounding_kwargs says the same, but asks the UNet for its device and precision, 3 % of a small one's step
        grounding = {"gligen": {"boxes": boxes_BS4, "masks": mask_BS, "positive_embeddings": phrases_BSW}}
        predicted: Tensor = self.unet(
            noisy_BChw, timesteps_B, encoder_hidden_states=states_BTW, cross_attention_kwargs=grounding
        ).sample
        return predicted


def _load_unet(checkpoint: str, revision: str | None) -> UNet2DConditionModel:
    try:
        kind = UNet2DConditionModel.load_config(checkpoint, revision=revision, subfolder="unet").get("_class_name")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{checkpoint}: no pipeline with a unet: {reason}") from None
    if kind not in _UNETS:
        raise UserError(f"{checkpoint}: no pipeline with a unet of the kinds that adapters fit: {' or '.join(_UNETS)}")
    unet = load_weights(
        _UNETS[kind], checkpoint, revision, subfolder="unet", torch_dtype=torch.float32, low_cpu_mem_usage=False
    )
    return spatial_unet(unet) if kind == "UNet3DConditionModel" else unet


def load_base_model(checkpoint: str, revision: str | None, device: str | torch.device) -> BaseModel:
    """The model in float32 and in evaluation mode, without gradients.

    Raises:
        UserError: a part is missing or damaged, or the parts do not fit each other.
    """
    transformers_logging.disable_progress_bar()
    unet = _load_unet(checkpoint, revision)
    tokenizer = load_part(CLIPTokenizer, checkpoint, revision, subfolder="tokenizer")
    encoder = load_weights(CLIPTextModel, checkpoint, revision, subfolder="text_encoder", dtype=torch.float32)
    scheduler = load_part(DDPMScheduler, checkpoint, revision, subfolder="scheduler")
    if encoder.config.hidden_size != unet.config.cross_attention_dim:
        raise UserError(
            f"{checkpoint}: text encoder of width {encoder.config.hidden_size}, "
            f"unet for width {unet.config.cross_attention_dim}; the parts belong to different models"
        )
    for part in (unet, encoder):
        part.requires_grad_(False).to(device)
    return BaseModel(unet, scheduler, CaptionStates(tokenizer, encoder), PhraseEmbedder(tokenizer, encoder))
