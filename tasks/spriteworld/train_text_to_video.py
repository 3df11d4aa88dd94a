"""Stage `train_text_to_video`: the sprite world's text-to-video model, on pictures, on clips, and on both.

The spatial half learns classes, colours and places from single frames, which is cheap; then all of it learns motion from
clips, while pictures keep the spatial half a text-to-image model of its own, so that adapters can be trained on images.
Last, many pictures and a few clips make class and colour firm.
"""

from __future__ import annotations

import copy
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
    from tasks.spriteworld.text_to_video_training import Training

_CLIP_POOL, _STILL_POOL, _SCORE_SEED = 21, 22, 7


class Parameters(Section):
    """Data and optimisation of the three phases."""

    frames: int = Field(ge=2, le=32, description="frames of a clip")
    clips: int = Field(ge=10, description="clips to train on")
    stills: int = Field(ge=10, description="single scenes to train on beside the clips' frames")
    image_steps: int = Field(ge=0, description="steps on pictures alone")
    image_batch: int = Field(ge=2, le=1024, description="pictures per step, half frames of clips and half single scenes")
    image_learning_rate: float = Field(gt=0, le=1e-2, description="highest rate of the first phase; falls linearly to 3 %")
    video_steps: int = Field(ge=0, description="steps on clips")
    video_batch: int = Field(ge=1, le=256, description="clips per step")
    pictures_beside: int = Field(ge=0, le=1024, description="pictures in every fourth step on clips; a third are frames")
    temporal_learning_rate: float = Field(gt=0, le=1e-2, description="highest rate of temporal layers; falls likewise")
    spatial_learning_rate: float = Field(gt=0, le=1e-2, description="highest rate of all other layers in that phase")
    last_steps: int = Field(ge=0, description="steps on pictures, every third also on clips")
    last_pictures: int = Field(ge=3, le=1024, description="pictures per step in that phase; a third are frames")
    last_clips: int = Field(ge=1, le=256, description="clips in every third step of that phase")
    last_learning_rate: float = Field(gt=0, le=1e-2, description="highest rate of that phase; falls likewise")
    scored_videos: int = Field(ge=1, description="videos to score, of one thing each, and as many to score direction")


@dataclass(frozen=True)
class Paths:
    """Text encoder folder, VAE and detector in; pipeline folder and scores out."""

    text: Path
    autoencoder: Path
    detector: Path
    out: Path
    metrics: Path


def _prepare(parameters: Parameters, paths: Paths, seed: int, autoencoder: Any) -> Training:
    import numpy as np
    import torch
    from transformers import CLIPTextModel, CLIPTokenizer

    from tasks.common.checkpoint_loading import load_part, load_weights
    from tasks.spriteworld.clip_pool import make_clip_pool, make_still_pool
    from tasks.spriteworld.text_to_video_model import TextStates, build_noise_schedule, build_unet
    from tasks.spriteworld.text_to_video_training import Training
    from tasks.video.spatial_unet import spatial_unet

    torch.manual_seed(seed)
    tokenizer = load_part(CLIPTokenizer, str(paths.text / "tokenizer"), None)
    text_encoder = load_weights(CLIPTextModel, str(paths.text / "text_encoder"), None, dtype=torch.float32)
    unet = build_unet(text_encoder.config.hidden_size)
    return Training(
        unet=unet,
        flat=spatial_unet(unet),
        average=copy.deepcopy(unet).requires_grad_(False),
        schedule=build_noise_schedule(),
        states=TextStates(tokenizer, text_encoder),
        clips=make_clip_pool(autoencoder, seed + _CLIP_POOL, parameters.clips, parameters.frames),
        stills=make_still_pool(autoencoder, seed + _STILL_POOL, parameters.stills),
        random=np.random.default_rng(seed),
    )


def _write_pipeline(folder: Path, training: Training, paths: Paths) -> None:
    """A folder in the form of diffusers' TextToVideoSDPipeline, in half precision."""
    import diffusers

    from tasks.common.files import write_json
    from tasks.spriteworld.checkpoints import save_half

    save_half(training.average, folder / "unet")
    training.schedule.save_pretrained(folder / "scheduler")
    for name in ("tokenizer", "text_encoder"):
        shutil.copytree(paths.text / name, folder / name)
    shutil.copytree(paths.autoencoder, folder / "vae", ignore=shutil.ignore_patterns("README.md"))
    index = {
        "_class_name": "TextToVideoSDPipeline",
        "_diffusers_version": diffusers.__version__,
        "scheduler": ["diffusers", "DDPMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet3DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    write_json(folder / "model_index.json", index)


def _score(training: Training, paths: Paths, parameters: Parameters, autoencoder: Any) -> stage.Metrics:
    """Shares of videos of the saved average that show the thing and the direction of the prompt."""
    import torch

    from tasks.corpus.detector import PhraseDetector
    from tasks.spriteworld.score_text_to_video import sample_videos, score_directions, score_things

    detector = PhraseDetector(str(paths.detector), None, "cpu", torch.float32)
    unet = copy.deepcopy(training.average).half().float().eval()

    def sampler(prompts: list[str], seeds: list[int]) -> Any:
        return sample_videos(unet, training.schedule, autoencoder, training.states, prompts, seeds, parameters.frames)

    things, _ = score_things(sampler, detector, _SCORE_SEED, parameters.scored_videos)
    directions, _ = score_directions(sampler, detector, _SCORE_SEED, parameters.scored_videos)
    return {"class_and_colour_right": things, "direction_right": directions}


def train_text_to_video(project: Any, paths: Paths) -> stage.Metrics:
    """Trains all phases, saves the average of the weights in half precision, and scores it by the detector."""
    import torch

    from tasks.corpus.autoencoder import ImageAutoencoder
    from tasks.spriteworld.checkpoints import write_model_card
    from tasks.spriteworld.text_to_video_training import train_on_pictures_and_clips

    torch.set_num_threads(2)
    parameters: Parameters = project.train_text_to_video
    autoencoder = ImageAutoencoder(str(paths.autoencoder), None, None, "cpu", torch.float32)
    training = _prepare(parameters, paths, project.seed, autoencoder)
    train_on_pictures_and_clips(training, parameters)
    scores = _score(training, paths, parameters, autoencoder)
    with complete(paths.out, folder=True) as folder:
        _write_pipeline(folder, training, paths)
        write_model_card(
            folder,
            "diffusers",
            "Sprite-world text-to-video model",
            f"Latent diffusion: {parameters.frames} frames of 64x64. Its spatial half alone is a text-to-image model.",
            parameters,
            project.seed,
            {
                **{name: stage.rounded(value) for name, value in scores.items()},
                "parameters": training.average.num_parameters(),
                "cpu_seconds": round(time.process_time()),
            },
        )
    return scores


if __name__ == "__main__":
    sys.exit(stage.main("train_text_to_video", Paths, train_text_to_video, "tasks.spriteworld.checkpoint_parameters"))
