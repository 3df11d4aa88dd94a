"""The whole of `models/sprite/params.yaml`: how the tiny checkpoints are trained."""

from __future__ import annotations

from pydantic import Field

from tasks.common.parameters import Section
from tasks.spriteworld import (
    train_autoencoder,
    train_clip,
    train_detector,
    train_story_autoencoder,
    train_story_detector,
    train_text_encoder,
    train_text_to_image,
    train_text_to_video,
)


class ProjectParameters(Section):
    """All parameters of the checkpoints' own pipeline."""

    seed: int = Field(ge=0, le=2**32 - 1, description="seed of scenes, texts and first weights")
    train_autoencoder: train_autoencoder.Parameters
    train_detector: train_detector.Parameters
    train_text_encoder: train_text_encoder.Parameters
    train_text_to_video: train_text_to_video.Parameters
    train_story_autoencoder: train_story_autoencoder.Parameters
    train_text_to_image: train_text_to_image.Parameters
    train_clip: train_clip.Parameters
    train_story_detector: train_story_detector.Parameters
