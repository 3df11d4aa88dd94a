"""A tiny Stable Diffusion XL with random weights, called so: the shapes of the real one's parts, to run in moments."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from tasks.dreamframe.style_files import StyleEmbedding
from tasks.dreamframe.style_tokens import StyleTokens, TextPart, random_start
from tasks.dreamframe.style_training import StyleSettings, StyleTraining

WIDTHS = (24, 40)
POOLED = 32
TOKEN = "<dramatic>"  # noqa: S105 - a word of the vocabulary
SETTINGS = {"steps": 6, "time_ids": (32, 32, 0, 0, 32, 32), "rates": ((100, 1e-2),), "log_every": 2}


def tiny_tokenizer() -> CLIPTokenizer:
    """All bytes, as they are and at the end of a word, and what makes `dramatic` one token; at most 77 tokens."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = [*map(chr, printable), *(chr(256 + index) for index in range(len(others)))]
    pieces, merges = [*"dramati", "c</w>"], []
    while len(pieces) > 1:
        merges.append((pieces[0], pieces[1]))
        pieces[:2] = ["".join(pieces[:2])]
    words = [*symbols, *(f"{symbol}</w>" for symbol in symbols), *("".join(pair) for pair in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer({word: index for index, word in enumerate(words)}, merges, model_max_length=77)


def tiny_text_part(with_projection: bool, end: int | None = None) -> TextPart:
    """Tokenizer and encoder; `end` is the end token's id in the configuration, 2 in the published ones."""
    tokenizer = tiny_tokenizer()
    width = WIDTHS[with_projection]
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, projection_dim=POOLED,
        num_hidden_layers=2, num_attention_heads=4, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id if end is None else end,
    )  # fmt: skip
    model = (CLIPTextModelWithProjection if with_projection else CLIPTextModel)(config)
    return TextPart(tokenizer, model.eval())


@torch.no_grad()
def _listen_to_text(unet: UNet2DConditionModel) -> None:
    """Random weights take little notice of a prompt; these take more."""
    for name, weight in unet.named_parameters():
        if name.endswith(("attn2.to_v.weight", "attn2.to_out.0.weight")) or name.startswith("add_embedding.linear"):
            weight *= 10


def tiny_sdxl(prediction: str = "epsilon", end: int | None = None) -> StableDiffusionXLPipeline:
    """The whole pipeline, for images of 32 pixels a side and latents of 16."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, second = tiny_text_part(False, end), tiny_text_part(True, end)
        unet = UNet2DConditionModel(
            sample_size=16, block_out_channels=(32, 64), layers_per_block=1, attention_head_dim=(2, 4),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            use_linear_projection=True, cross_attention_dim=sum(WIDTHS), addition_embed_type="text_time",
            addition_time_embed_dim=8, projection_class_embeddings_input_dim=6 * 8 + POOLED,
        )  # fmt: skip
        _listen_to_text(unet)
        vae = AutoencoderKL(
            block_out_channels=(32, 64), down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, sample_size=32,
        )  # fmt: skip
    schedule = DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, prediction_type=prediction
    )
    return StableDiffusionXLPipeline(
        vae=vae, text_encoder=first.encoder, text_encoder_2=second.encoder, tokenizer=first.tokenizer,
        tokenizer_2=second.tokenizer, unet=unet, scheduler=schedule, add_watermarker=False,
    )  # fmt: skip


def text_parts(pipeline: StableDiffusionXLPipeline) -> list[TextPart]:
    """Its two tokenizers with their encoders."""
    return [
        TextPart(pipeline.tokenizer, pipeline.text_encoder),
        TextPart(pipeline.tokenizer_2, pipeline.text_encoder_2),
    ]


def style_of(vectors: int, seed: int = 0) -> StyleEmbedding:
    """Random vectors of the tiny widths."""
    generator = torch.Generator().manual_seed(seed)
    return StyleEmbedding(*(torch.randn(vectors, width, generator=generator) for width in WIDTHS))


def coloured_squares() -> Tensor:
    """Latents [8, 4, 8, 8] of one colour each, from a family of similar ones."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.tensor([1.0, -1.0, 0.5, -0.5]) + 0.1 * torch.randn(8, 4, generator=generator)
    return colours[..., None, None].expand(-1, -1, 8, 8).contiguous()


def open_training(
    pipeline: StableDiffusionXLPipeline | None = None, vectors: int = 1, **changes: Any
) -> tuple[StyleTokens, StyleTraining]:
    """A style and its training at step 0."""
    pipeline = pipeline or tiny_sdxl()
    parts = text_parts(pipeline)
    tokens = StyleTokens(TOKEN, parts, random_start(parts, vectors, 0))
    settings = StyleSettings(**{**SETTINGS, **changes})
    return tokens, StyleTraining(tokens, pipeline.unet, pipeline.scheduler, coloured_squares(), settings, 0)
