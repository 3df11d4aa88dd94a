"""Stage `train_story_detector`: the sprite world's detector, taught to see through the styles and places of stories."""

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
    from tasks.common.box_matching import MatchCounts
    from tasks.corpus.detector import PhraseDetector
    from tasks.spriteworld.renders import Pool

_POOL, _HELD_OUT_POOL, _AT_ONCE = 38, 39, 25


class Parameters(Section):
    """Data and optimisation."""

    pictures: int = Field(ge=100, description="story pictures to train on")
    steps: int = Field(ge=1, description="optimiser steps")
    batch: int = Field(ge=1, le=1024, description="pictures per step")
    learning_rate: float = Field(gt=0, le=1e-2, description="highest learning rate; falls linearly to 1 %")
    clip: float = Field(gt=0, description="largest gradient norm")
    held_out: int = Field(ge=10, description="pictures to score on, none of them trained on")
    threshold: float = Field(gt=0, lt=1, description="box and text threshold of the score")


@dataclass(frozen=True)
class Paths:
    """The detector of plain sprites to start from; checkpoint folder and scores out."""

    detector: Path
    out: Path
    metrics: Path


def story_scenes(seed: int, count: int) -> Pool:
    """`count` story pictures, those without things left out, as scenes whose background is the place."""
    from tasks.spriteworld.renders import Pool
    from tasks.spriteworld.scene import Scene
    from tasks.spriteworld.story_pools import render_story_pictures

    pictures, pixels_NHWC = render_story_pictures(seed, count)
    kept = [index for index, picture in enumerate(pictures) if picture.objects]
    scenes = [Scene(pictures[index].objects, pictures[index].place, pictures[index].seed) for index in kept]
    return Pool(scenes, pixels_NHWC[kept])


def score_named(detector: PhraseDetector, pool: Pool, threshold: float) -> MatchCounts:
    """The things of each picture as queries: a hit is a box with IoU of at least 0.5 and the right phrase."""
    import numpy as np

    from tasks.common.box_matching import MatchCounts, match_boxes
    from tasks.spriteworld.scene import CANVAS_PIXELS

    counts = MatchCounts()
    for start in range(0, len(pool.scenes), _AT_ONCE):
        scenes = pool.scenes[start : start + _AT_ONCE]
        named = [[f"{item.colour} {item.class_name}" for item in scene.objects] for scene in scenes]
        texts = [". ".join(dict.fromkeys(phrases)) + "." for phrases in named]
        answer = detector.answer(detector.prepare(list(pool.pixels_NHWC[start : start + _AT_ONCE]), texts))
        for scene, phrases, item in zip(scenes, named, detector.select(answer, threshold, threshold), strict=True):
            true_N4 = np.array([entry.box for entry in scene.objects], np.float32) / np.float32(CANVAS_PIXELS)
            counts += match_boxes(item.boxes_N4, item.phrases, item.scores_N, true_N4, tuple(phrases))
    return counts


def _train(parameters: Parameters, paths: Paths, seed: int) -> tuple[Any, Any]:
    import numpy as np
    import torch
    from transformers import GroundingDinoForObjectDetection

    from tasks.common.checkpoint_loading import load_weights
    from tasks.spriteworld.detector_model import build_processor
    from tasks.spriteworld.train_detector import Round, train_round

    torch.manual_seed(seed)
    model = load_weights(GroundingDinoForObjectDetection, str(paths.detector), None, dtype=torch.float32)
    processor = build_processor()
    pool = story_scenes(seed + _POOL, parameters.pictures)
    settings = Round(
        queries=model.config.num_queries, steps=parameters.steps, batch=parameters.batch,
        learning_rate=parameters.learning_rate, last_share=0.01,
    )  # fmt: skip
    train_round(model, processor, (pool, pool), 0, settings, parameters.clip, np.random.default_rng(seed), 1)
    return model, processor


def train_story_detector(project: Any, paths: Paths) -> stage.Metrics:
    """Trains, saves in half precision, loads again as a user would, and scores on held-out pictures."""
    import torch

    from tasks.corpus.detector import PhraseDetector
    from tasks.spriteworld.checkpoints import save_half, write_model_card

    torch.set_num_threads(1)
    parameters: Parameters = project.train_story_detector
    model, processor = _train(parameters, paths, project.seed)
    with complete(paths.out, folder=True) as folder:
        save_half(model, folder)
        processor.save_pretrained(folder)
        held_out = story_scenes(project.seed + _HELD_OUT_POOL, parameters.held_out)
        before, after = (
            score_named(PhraseDetector(str(where), None, "cpu", torch.float32), held_out, parameters.threshold)
            for where in (paths.detector, folder)
        )
        scores = {
            "precision": after.precision, "recall": after.recall, "mean_iou": after.mean_iou,
            "precision_before": before.precision, "recall_before": before.recall,
        }  # fmt: skip
        facts = {**stage.rounded(scores), "parameters": model.num_parameters(), "cpu_seconds": round(time.process_time())}
        summary = "The sprite-world detector, trained on for pictures of stories: six styles, thirty-six places."
        write_model_card(
            folder, "transformers", "Sprite-world detector of story pictures", summary, parameters, project.seed, facts
        )
    return scores


if __name__ == "__main__":
    sys.exit(stage.main("train_story_detector", Paths, train_story_detector, "tasks.spriteworld.checkpoint_parameters"))
