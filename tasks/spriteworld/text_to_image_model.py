"""The sprite world's model in the form of Stable Diffusion XL: two text encoders, micro-conditioning, UNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from diffusers import UNet2DConditionModel, UNet3DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tasks.spriteworld.text_to_video_model import CHANNELS
from tasks.video.spatial_unet import spatial_unet

WIDTHS, POOLED, LAYERS = (64, 96), 64, 3
"""Of the two text encoders, of the pooled embedding, and layers of each."""
_SIZE_WIDTH = 16


class TextEncoders(NamedTuple):
    """One tokenizer for both encoders, as both of Stable Diffusion XL know the same words."""

    tokenizer: Any
    first: Any
    second: Any

    def __call__(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(states [B, T, W + V], pooled [B, P]) of prompts, as diffusers' pipeline makes them."""
        ids_BT = self.tokenizer(
            list(prompts), padding="max_length", truncation=True, max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids  # fmt: skip
        outputs = [encoder(ids_BT, output_hidden_states=True) for encoder in (self.first, self.second)]
        return torch.cat([output.hidden_states[-2] for output in outputs], dim=-1), outputs[1].text_embeds


def build_text_encoders(tokenizer: Any) -> TextEncoders:
    """Weights from torch's current random state."""
    encoders = []
    for factory, width in zip((CLIPTextModel, CLIPTextModelWithProjection), WIDTHS, strict=True):
        config = CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=width, intermediate_size=4 * width, num_hidden_layers=LAYERS,
            num_attention_heads=4, max_position_embeddings=tokenizer.model_max_length, projection_dim=POOLED,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        encoders.append(factory(config))
    return TextEncoders(tokenizer, *encoders)


@torch.no_grad()
def build_unet(video_unet: UNet3DConditionModel) -> UNet2DConditionModel:
    """A UNet for latents [B, 4, 16, 16] that draws as the spatial half of the video model does, but knows no words yet."""
    known = spatial_unet(video_unet)
    unet = UNet2DConditionModel(
        sample_size=16, block_out_channels=CHANNELS, layers_per_block=1, norm_num_groups=8, cross_attention_dim=sum(WIDTHS),
        attention_head_dim=known.config.attention_head_dim, use_linear_projection=True,
        down_block_types=known.config.down_block_types, up_block_types=known.config.up_block_types,
        addition_embed_type="text_time", addition_time_embed_dim=_SIZE_WIDTH,
        projection_class_embeddings_input_dim=6 * _SIZE_WIDTH + POOLED,
    )  # fmt: skip
    weights = unet.state_dict()
    for name, weight in known.state_dict().items():
        if weights[name].shape == weight.shape:
            weights[name].copy_(weight)
    return unet


def time_ids(sides_B: Tensor, side: int) -> Tensor:
    """[B, 6]: original height and width, no crop, and the height and width wanted, in pixels."""
    column_B, wanted_B, none_B = sides_B.float(), torch.full((len(sides_B),), float(side)), torch.zeros(len(sides_B))
    return torch.stack([column_B, column_B, none_B, none_B, wanted_B, wanted_B], dim=1)
