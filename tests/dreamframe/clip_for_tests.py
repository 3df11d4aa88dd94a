"""A tiny CLIP with random weights, called so: the shapes of the real one's parts, to run in moments."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from tests.dreamframe.sdxl_for_tests import tiny_tokenizer

WIDTH = 16


def write_tiny_clip(folder: Path) -> None:
    """Model, tokenizer and image processor, for pictures of 32 pixels a side and embeddings of `WIDTH` numbers."""
    tokenizer = tiny_tokenizer()
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = CLIPConfig(
        text_config={**layers, **ends, "vocab_size": len(tokenizer), "projection_dim": WIDTH},
        vision_config={**layers, "image_size": 32, "patch_size": 8, "projection_dim": WIDTH},
        projection_dim=WIDTH,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
