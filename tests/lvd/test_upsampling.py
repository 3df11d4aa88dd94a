"""Larger videos from small ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, VideoToVideoSDPipeline

from tasks.common.errors import UserError
from tasks.lvd.grounded_pipeline import GroundedTextToVideoPipeline
from tasks.lvd.pipeline_loading import load_pipeline
from tasks.lvd.upsampling import Upsampling, resized, upsample
from tasks.spriteworld.clips import render_clip, sample_clip
from tests.video.tiny_text_to_video import write_tiny_text_to_video

SETTINGS = Upsampling(width=64, height=64, strength=0.6, steps=5, guidance_scale=4.0, negative_prompt="blurry")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> GroundedTextToVideoPipeline:
    folder = write_tiny_text_to_video(tmp_path_factory.mktemp("checkpoint"))
    return load_pipeline(str(folder), None, "cpu", torch.float32)


@pytest.fixture(scope="module")
def video() -> np.ndarray:
    """Four frames of 64x64 pixels."""
    return np.asarray(render_clip(sample_clip(np.random.default_rng(3), 4)))


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_it_does_what_diffusers_does(pipeline: GroundedTextToVideoPipeline, video: np.ndarray) -> None:
    parts = dict(pipeline.components)
    parts["scheduler"] = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    deprecated = VideoToVideoSDPipeline(**parts)
    deprecated.set_progress_bar_config(disable=True)
    frames = [frame / 255 for frame in video.astype(np.float32)]
    theirs = deprecated(
        "a cat", video=frames, strength=0.6, num_inference_steps=5, guidance_scale=4.0, negative_prompt="blurry",
        generator=seeded(),
    ).frames[0]  # fmt: skip
    ours = upsample(video, "a cat", pipeline, SETTINGS, seeded())
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(("width", "height"), [(96, 80), (40, 64)])
def test_sizes(pipeline: GroundedTextToVideoPipeline, video: np.ndarray, width: int, height: int) -> None:
    larger = upsample(video, "a cat", pipeline, replace(SETTINGS, width=width, height=height, steps=2), seeded())
    assert larger.shape == (4, height, width, 3)
    assert 0 <= larger.min() < larger.max() <= 1


def test_without_strength_the_video_stays(pipeline: GroundedTextToVideoPipeline, video: np.ndarray) -> None:
    same = upsample(video, "a cat", pipeline, replace(SETTINGS, strength=0.0, width=128, height=128), seeded())
    assert np.abs(same - resized(video, 128, 128) / 255).mean() < 0.05
    other = upsample(video, "a cat", pipeline, replace(SETTINGS, strength=1.0), seeded())
    assert np.abs(other - video / 255).mean() > 0.1


def test_sides_that_do_not_fit(pipeline: GroundedTextToVideoPipeline, video: np.ndarray) -> None:
    with pytest.raises(UserError, match="multiples of 4"):
        upsample(video, "a cat", pipeline, replace(SETTINGS, width=66), seeded())


def test_resized_by_lanczos(video: np.ndarray) -> None:
    assert np.array_equal(resized(video, 64, 64), video)
    assert resized(video[:, :32], 20, 10).shape == (4, 10, 20, 3)
