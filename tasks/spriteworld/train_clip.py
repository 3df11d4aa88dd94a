"""Stage `train_clip`: the sprite world's CLIP, which embeds story pictures and their captions into one space."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.common import stage
from tasks.common.files import complete
from tasks.common.parameters import Section

if TYPE_CHECKING:
    import torch

    from tasks.spriteworld.render import Pixels
    from tasks.spriteworld.story_pictures import StoryPicture

_POOL, _HELD_OUT_POOL, _TEXTS = 35, 36, 37
_WARMUP_STEPS, _LAST_RATE, _WEIGHT_DECAY, _CLIP, _STEPS_BETWEEN_LINES = 100, 0.02, 1e-2, 1.0, 100
_RETRIEVED_FROM = 100
_PATCH_PIXELS, _HEADS = 8, 4


class Parameters(Section):
    """Data, sizes and optimisation."""

    pictures: int = Field(ge=100, description="story pictures to train on")
    texts: int = Field(ge=1000, description="captions that the vocabulary is learnt from")
    vocabulary: int = Field(ge=520, le=50000, description="tokens, the two special ones included")
    most_tokens: int = Field(ge=16, le=77, description="length of a tokenised text")
    width: int = Field(ge=16, le=1024, description="channels of both encoders")
    layers: int = Field(ge=1, le=24, description="layers of both encoders")
    projection: int = Field(ge=8, le=1024, description="numbers of an embedding")
    steps: int = Field(ge=1, description="optimiser steps")
    batch: int = Field(ge=2, le=4096, description="pictures per step, each told from all others")
    learning_rate: float = Field(gt=0, le=1e-2, description="highest learning rate; falls linearly to 2 %")
    held_out: int = Field(ge=_RETRIEVED_FROM, description="pictures to score on, none of them trained on")


@dataclass(frozen=True)
class Paths:
    """Checkpoint folder and scores out."""

    out: Path
    metrics: Path


def build_clip(parameters: Parameters, tokenizer: Any) -> Any:
    """A CLIPModel for pictures of 64 pixels; weights from torch's current random state."""
    from transformers import CLIPConfig, CLIPModel

    from tasks.spriteworld.scene import CANVAS_PIXELS

    width = {
        "hidden_size": parameters.width, "intermediate_size": 4 * parameters.width, "num_attention_heads": _HEADS,
        "num_hidden_layers": parameters.layers, "projection_dim": parameters.projection,
    }  # fmt: skip
    text = {
        **width, "vocab_size": len(tokenizer), "max_position_embeddings": tokenizer.model_max_length,
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    vision = {**width, "image_size": CANVAS_PIXELS, "patch_size": _PATCH_PIXELS}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=parameters.projection))


def build_processor() -> Any:
    """A CLIPImageProcessor that leaves pictures of 64 pixels as they are."""
    from transformers import CLIPImageProcessor

    from tasks.spriteworld.scene import CANVAS_PIXELS

    side = {"height": CANVAS_PIXELS, "width": CANVAS_PIXELS}
    return CLIPImageProcessor(
        size={"shortest_edge": CANVAS_PIXELS}, crop_size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )


def contrastive_loss(model: Any, tokenizer: Any, pixels_BHWC: Pixels, captions: list[str]) -> torch.Tensor:
    """How badly pictures find their captions and captions their pictures."""
    import torch
    from torch.nn.functional import cross_entropy

    from tasks.corpus.autoencoder import pixels_to_tensor

    tokens = tokenizer(captions, padding=True, truncation=True, return_tensors="pt")
    with torch.autocast("cpu", torch.bfloat16):
        scores_BB = model(pixel_values=pixels_to_tensor(pixels_BHWC), **tokens).logits_per_image.float()
    own_B = torch.arange(len(captions))
    return (cross_entropy(scores_BB, own_B) + cross_entropy(scores_BB.T, own_B)) / 2


def _optimise(model: Any, parameters: Parameters, loss_of: Any) -> None:
    import torch

    weights = list(model.parameters())
    optimiser = torch.optim.AdamW(weights, lr=parameters.learning_rate, weight_decay=_WEIGHT_DECAY, fused=True)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / _WARMUP_STEPS) * (1 - (1 - _LAST_RATE) * step / parameters.steps),
    )
    total = 0.0
    for step in range(1, parameters.steps + 1):
        loss = loss_of()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, _CLIP)
        optimiser.step()
        rates.step()
        total += float(loss.detach())
        if step % _STEPS_BETWEEN_LINES == 0:
            sys.stderr.write(f"step {step}: loss {total / _STEPS_BETWEEN_LINES:.4f}\n")
            total = 0.0


def _train(parameters: Parameters, seed: int) -> tuple[Any, Any]:
    import numpy as np
    import torch

    from tasks.spriteworld.story_pictures import caption_of_story_picture, sample_story_picture
    from tasks.spriteworld.story_pools import render_story_pictures
    from tasks.spriteworld.train_text_encoder import build_tokenizer

    random = np.random.default_rng(seed + _TEXTS)
    texts = [caption_of_story_picture(random, sample_story_picture(random)) for _ in range(parameters.texts)]
    tokenizer = build_tokenizer(texts, parameters.vocabulary, parameters.most_tokens)
    torch.manual_seed(seed)
    model = build_clip(parameters, tokenizer).train()
    pictures, pixels_NHWC = render_story_pictures(seed + _POOL, parameters.pictures)

    def loss_of() -> torch.Tensor:
        chosen = random.choice(len(pictures), size=parameters.batch, replace=False)
        captions = [caption_of_story_picture(random, pictures[index]) for index in chosen.tolist()]
        return contrastive_loss(model, tokenizer, pixels_NHWC[chosen], captions)

    _optimise(model, parameters, loss_of)
    return model.eval(), tokenizer


def _found(images_NP: torch.Tensor, texts_NP: torch.Tensor) -> float:
    """Share of pictures whose own caption is the nearest of a hundred."""
    right = 0
    for start in range(0, len(images_NP) - _RETRIEVED_FROM + 1, _RETRIEVED_FROM):
        part = slice(start, start + _RETRIEVED_FROM)
        nearest = (images_NP[part] @ texts_NP[part].T).argmax(1)
        right += int((nearest == nearest.new_tensor(range(_RETRIEVED_FROM))).sum())
    return right / (len(images_NP) // _RETRIEVED_FROM * _RETRIEVED_FROM)


def _styles_told(images_NP: torch.Tensor, pictures: list[StoryPicture]) -> float:
    """Share of the second half of the pictures that are nearest to the mean of their style in the first half."""
    import torch

    styles = sorted({picture.style for picture in pictures})
    told_N = torch.tensor([styles.index(picture.style) for picture in pictures])
    half = len(pictures) // 2
    means_SP = torch.stack([images_NP[:half][told_N[:half] == number].mean(0) for number in range(len(styles))])
    return float(((images_NP[half:] @ means_SP.T).argmax(1) == told_N[half:]).float().mean())


def _score(folder: Path, parameters: Parameters, seed: int) -> stage.Metrics:
    import numpy as np
    import torch

    from tasks.dreamframe.image_similarity import ImageTextEncoder
    from tasks.spriteworld.story_pictures import caption_of_story_picture
    from tasks.spriteworld.story_pools import render_story_pictures

    random = np.random.default_rng(seed)
    pictures, pixels_NHWC = render_story_pictures(seed + _HELD_OUT_POOL, parameters.held_out)
    encoder = ImageTextEncoder(str(folder), None, torch.device("cpu"), torch.float32)
    images_NP = encoder.images(list(pixels_NHWC))
    texts_NP = encoder.texts([caption_of_story_picture(random, picture) for picture in pictures])
    return {"captions_found_among_100": _found(images_NP, texts_NP), "styles_told": _styles_told(images_NP, pictures)}


def train_clip(project: Any, paths: Paths) -> stage.Metrics:
    """Trains, saves in half precision, and scores the saved folder on held-out pictures."""
    import torch

    from tasks.spriteworld.checkpoints import save_half, write_model_card

    torch.set_num_threads(1)
    parameters: Parameters = project.train_clip
    model, tokenizer = _train(parameters, project.seed)
    with complete(paths.out, folder=True) as folder:
        save_half(model, folder)
        tokenizer.save_pretrained(folder)
        build_processor().save_pretrained(folder)
        scores = _score(folder, parameters, project.seed)
        facts = {
            **{name: stage.rounded(value) for name, value in scores.items()},
            "parameters": model.num_parameters(),
            "cpu_seconds": round(time.process_time()),
        }
        summary = "CLIPModel: pictures of 64x64 pixels and their captions, embedded into one space."
        write_model_card(folder, "transformers", "Sprite-world CLIP", summary, parameters, project.seed, facts)
    return scores


if __name__ == "__main__":
    sys.exit(stage.main("train_clip", Paths, train_clip, "tasks.spriteworld.checkpoint_parameters"))
