"""Stage `train_text_to_image`: the sprite world's Stable Diffusion XL, on story pictures in six styles.

Both text encoders learn together with the UNet, which starts from the spatial half of the text-to-video model. Styles are
told by phrases alone: a style's name means nothing to the model until textual inversion gives it a meaning.
"""

from __future__ import annotations

import copy
import itertools
import shutil
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
    import numpy as np
    import torch

    from tasks.spriteworld.story_pools import DrawnPictures, StoryPool
    from tasks.spriteworld.text_to_image_model import TextEncoders

_POOL, _TEXTS = 33, 34
_WARMUP_STEPS, _LAST_RATE, _WEIGHT_DECAY, _CLIP, _EMA_DECAY = 100, 0.02, 1e-3, 1.0, 0.997
_BLANK_SHARE, _NEAR_NOISE, _STEPS_BETWEEN_LINES = 0.1, 0.5, 100


class Round(Section):
    """One round of training: a fresh optimiser, a learning rate that falls linearly, and random streams of its own."""

    steps: int = Field(ge=1, description="optimiser steps")
    batch: int = Field(ge=2, le=1024, description="pictures per step")
    learning_rate: float = Field(gt=0, le=1e-2, description="highest learning rate; falls linearly to 2 %")


class Parameters(Section):
    """Data, vocabulary and optimisation."""

    pictures: int = Field(ge=10, description="story pictures to train on")
    texts: int = Field(ge=1000, description="captions that the vocabulary is learnt from")
    vocabulary: int = Field(ge=520, le=50000, description="tokens, the two special ones included")
    most_tokens: int = Field(ge=16, le=77, description="length of a tokenised prompt")
    rounds: list[Round] = Field(min_length=1, description="rounds of training, one after the other")
    scored_pictures: int = Field(ge=6, description="pictures to score")


@dataclass(frozen=True)
class Paths:
    """Text-to-video pipeline to start from, VAE, and detector and CLIP to score with; pipeline folder and scores out."""

    text_to_video: Path
    autoencoder: Path
    detector: Path
    clip: Path
    out: Path
    metrics: Path


@dataclass
class Training:
    """Models, data and one random stream; `averages` are of all weights that are trained, in order."""

    unet: Any
    texts: TextEncoders
    schedule: Any
    pool: StoryPool
    random: np.random.Generator

    def weights(self) -> list[Any]:
        """All that is trained."""
        return list(itertools.chain.from_iterable(part.parameters() for part in (self.unet, *self.texts[1:])))

    def loss(self, drawn: DrawnPictures) -> torch.Tensor:
        """Mean squared error of the velocity, in which things weigh more than the background."""
        import torch

        from tasks.spriteworld.scene import CANVAS_PIXELS
        from tasks.spriteworld.text_to_image_model import time_ids
        from tasks.spriteworld.text_to_video_training import draw_timesteps

        told = ["" if self.random.random() < _BLANK_SHARE else caption for caption in drawn.captions]
        states_BTW, pooled_BP = self.texts(told)
        timesteps_B = torch.from_numpy(draw_timesteps(self.random, len(told), _NEAR_NOISE))
        noise_BChw = torch.randn_like(drawn.latents_BChw)
        noisy_BChw = self.schedule.add_noise(drawn.latents_BChw, noise_BChw, timesteps_B)
        wanted_BChw = self.schedule.get_velocity(drawn.latents_BChw, noise_BChw, timesteps_B)
        conditions = {"text_embeds": pooled_BP, "time_ids": time_ids(drawn.sides_B, CANVAS_PIXELS)}
        with torch.autocast("cpu", torch.bfloat16):
            predicted_BChw = self.unet(noisy_BChw, timesteps_B, states_BTW, added_cond_kwargs=conditions).sample
        errors_B1hw = (predicted_BChw.float() - wanted_BChw).square().mean(dim=1, keepdim=True)
        mean: torch.Tensor = (errors_B1hw * drawn.weights_B1hw).sum() / drawn.weights_B1hw.sum()
        return mean


def _prepare(parameters: Parameters, paths: Paths, seed: int) -> Training:
    import numpy as np
    import torch
    from diffusers import UNet3DConditionModel

    from tasks.common.checkpoint_loading import load_weights
    from tasks.corpus.autoencoder import ImageAutoencoder
    from tasks.spriteworld.story_pictures import caption_of_story_picture, sample_story_picture
    from tasks.spriteworld.story_pools import make_story_pool
    from tasks.spriteworld.text_to_image_model import build_text_encoders, build_unet
    from tasks.spriteworld.text_to_video_model import build_noise_schedule
    from tasks.spriteworld.train_text_encoder import build_tokenizer

    random = np.random.default_rng(seed + _TEXTS)
    captions = [caption_of_story_picture(random, sample_story_picture(random)) for _ in range(parameters.texts)]
    torch.manual_seed(seed)
    texts = build_text_encoders(build_tokenizer(captions, parameters.vocabulary, parameters.most_tokens))
    video_unet = load_weights(UNet3DConditionModel, str(paths.text_to_video / "unet"), None, dtype=torch.float32)
    autoencoder = ImageAutoencoder(str(paths.autoencoder), None, None, "cpu", torch.float32)
    return Training(
        unet=build_unet(video_unet).train(),
        texts=texts,
        schedule=build_noise_schedule(),
        pool=make_story_pool(autoencoder, seed + _POOL, parameters.pictures),
        random=np.random.default_rng(seed),
    )


def train_round(training: Training, settings: Round) -> None:
    """Trains all weights, and replaces them by their running average in the end, in half precision as it is saved."""
    import torch

    weights = training.weights()
    averages = [weight.detach().clone() for weight in weights]
    optimiser = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=_WEIGHT_DECAY, fused=True)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / _WARMUP_STEPS) * (1 - (1 - _LAST_RATE) * step / settings.steps),
    )
    total = 0.0
    for step in range(1, settings.steps + 1):
        loss = training.loss(training.pool.draw(training.random, settings.batch))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, _CLIP)
        optimiser.step()
        rates.step()
        total += float(loss.detach())
        with torch.no_grad():
            torch._foreach_lerp_(averages, weights, 1 - min(_EMA_DECAY, (1 + step) / (10 + step)))
        if step % _STEPS_BETWEEN_LINES == 0:
            sys.stderr.write(f"step {step}: loss {total / _STEPS_BETWEEN_LINES:.4f}\n")
            total = 0.0
    with torch.no_grad():
        torch._foreach_copy_(weights, [average.half() for average in averages])


def train(training: Training, rounds: list[Round], seed: int) -> None:
    """Trains all rounds."""
    import numpy as np
    import torch

    for number, settings in enumerate(rounds):
        if number:
            torch.manual_seed(seed + number)
            training.random = np.random.default_rng(seed + number)
        train_round(training, settings)


def write_pipeline(folder: Path, training: Training, autoencoder: Path) -> None:
    """A folder in the form of diffusers' StableDiffusionXLPipeline, in half precision."""
    import diffusers

    from tasks.common.files import write_json
    from tasks.spriteworld.checkpoints import save_half

    parts = {"unet": training.unet, "text_encoder": training.texts.first, "text_encoder_2": training.texts.second}
    for name, model in parts.items():
        save_half(copy.deepcopy(model).eval(), folder / name)
    training.schedule.save_pretrained(folder / "scheduler")
    for name in ("tokenizer", "tokenizer_2"):
        training.texts.tokenizer.save_pretrained(folder / name)
    shutil.copytree(autoencoder, folder / "vae", ignore=shutil.ignore_patterns("README.md"))
    index = {
        "_class_name": "StableDiffusionXLPipeline",
        "_diffusers_version": diffusers.__version__,
        "force_zeros_for_empty_prompt": False,
        "scheduler": ["diffusers", "DDPMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    write_json(folder / "model_index.json", index)


def train_text_to_image(project: Any, paths: Paths) -> stage.Metrics:
    """Trains, saves the average of the weights in half precision, and scores the saved folder."""
    import torch

    from tasks.spriteworld.checkpoints import write_model_card
    from tasks.spriteworld.score_text_to_image import score_text_to_image

    torch.set_num_threads(1)
    parameters: Parameters = project.train_text_to_image
    training = _prepare(parameters, paths, project.seed)
    train(training, parameters.rounds, project.seed)
    with complete(paths.out, folder=True) as folder:
        write_pipeline(folder, training, paths.autoencoder)
        scores = score_text_to_image(folder, paths.detector, paths.clip, parameters.scored_pictures)
        facts = {
            **{name: stage.rounded(value) for name, value in scores.items()},
            "parameters": sum(weight.numel() for weight in training.weights()),
            "cpu_seconds": round(time.process_time()),
        }
        summary = "Latent diffusion in the form of Stable Diffusion XL: pictures of 64x64 pixels in six styles."
        write_model_card(folder, "diffusers", "Sprite-world text-to-image model", summary, parameters, project.seed, facts)
    return scores


if __name__ == "__main__":
    sys.exit(stage.main("train_text_to_image", Paths, train_text_to_image, "tasks.spriteworld.checkpoint_parameters"))
