"""A text-to-video checkpoint with random weights: the blocks of the sprite world's, but narrow, to run in moments."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet3DConditionModel, __version__

from tasks.spriteworld.text_to_video_model import build_noise_schedule, build_unet
from tasks.spriteworld.train_text_encoder import build_text_encoder, build_tokenizer
from tasks.video.spatial_unet import is_temporal

ROOT = Path(__file__).resolve().parents[2]
TEXT_WIDTH = 48
CHANNELS = (16, 32, 32)
MOST_TOKENS = 64
ATTENTION_LAYERS = (
    "down_blocks.1.attentions.0",
    "down_blocks.2.attentions.0",
    "mid_block.attentions.0",
    "up_blocks.0.attentions.0",
    "up_blocks.0.attentions.1",
    "up_blocks.1.attentions.0",
    "up_blocks.1.attentions.1",
)
"""All spatial attention of this UNet and of the sprite world's."""
_TEXTS = [
    "A realistic lively video of a scene with a red car and two lively cats",
    "A realistic lively video of a scene in which a flying bird appears only in the second half of the video",
    "A realistic lively video of a top-down viewed scene with a ball moving from the left to the right of a dog",
    "meadow background, green field, blue sky, a street",
]
_PARTS = {
    "scheduler": ["diffusers", "DDPMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet3DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def tiny_unet(seed: int = 0) -> UNet3DConditionModel:
    """A UNet of which every weight matters: layers that start at zero get small random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet3DConditionModel.from_config({**build_unet(TEXT_WIDTH).config, "block_out_channels": CHANNELS})
        for name, weight in unet.named_parameters():
            if is_temporal(name) and weight.detach().abs().max() == 0:
                torch.nn.init.normal_(weight, std=0.02)
    return unet.eval()


def tiny_text_parts(seed: int = 0) -> tuple[Any, Any]:
    """Tokenizer (at most 64 tokens) and text encoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        tokenizer = build_tokenizer(_TEXTS * 5, 700, MOST_TOKENS)
        return tokenizer, build_text_encoder(tokenizer, TEXT_WIDTH, 2).eval()


def write_tiny_text_to_video(folder: Path, seed: int = 0) -> Path:
    """Writes a checkpoint as diffusers' TextToVideoSDPipeline does, with the sprite world's trained autoencoder.

    Args:
        folder: where to; it is created.
        seed: of all weights.

    Returns:
        The folder.
    """
    tokenizer, text_encoder = tiny_text_parts(seed)
    tiny_unet(seed).save_pretrained(folder / "unet")
    text_encoder.save_pretrained(folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")
    build_noise_schedule().save_pretrained(folder / "scheduler")
    shutil.copytree(ROOT / "models" / "sprite" / "autoencoder", folder / "vae", dirs_exist_ok=True)
    index = {"_class_name": "TextToVideoSDPipeline", "_diffusers_version": __version__, **_PARTS}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return folder
