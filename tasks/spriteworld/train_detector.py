"""Stage `train_detector`: the sprite world's open-vocabulary detector, on renders with exact boxes."""

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

_WARMUP_STEPS = 200
_STEPS_BETWEEN_LINES = 200


class Round(Section):
    """One round of training: a fresh optimiser, and a learning rate that falls linearly."""

    queries: int = Field(ge=1, le=84, description="object queries; a later round may add some")
    steps: int = Field(ge=1, description="optimiser steps")
    batch: int = Field(ge=1, le=1024, description="renders per step")
    learning_rate: float = Field(gt=0, le=1e-2, description="highest learning rate")
    last_share: float = Field(gt=0, le=1, description="share of the learning rate that is left at the last step")


class Parameters(Section):
    """Data and optimisation of the detector."""

    scenes: int = Field(ge=100, description="renders to train on")
    easy_scenes: int = Field(ge=100, description="renders of one or two objects for the first steps")
    easy_steps: int = Field(ge=0, description="first steps, on the easy renders")
    rounds: list[Round] = Field(min_length=1, description="rounds of training, one after the other")
    clip: float = Field(gt=0, description="largest gradient norm")
    held_out: int = Field(ge=10, description="renders to score on, none of them trained on")
    threshold: float = Field(gt=0, lt=1, description="box and text threshold of the score")


@dataclass(frozen=True)
class Paths:
    """Checkpoint folder and scores out."""

    out: Path
    metrics: Path


def score_detector(detector: PhraseDetector, pool: Pool, threshold: float, batch: int = 25) -> MatchCounts:
    """Captions as queries: a hit is a box with IoU of at least 0.5 and the caption's phrase."""
    import numpy as np

    from tasks.common.box_matching import MatchCounts, match_boxes
    from tasks.corpus.detector import query_text
    from tasks.spriteworld.scene import CANVAS_PIXELS, caption_of, object_phrases

    counts = MatchCounts()
    for start in range(0, len(pool.scenes), batch):
        scenes = pool.scenes[start : start + batch]
        texts = [query_text(caption_of(scene)) for scene in scenes]
        inputs = detector.prepare(list(pool.pixels_NHWC[start : start + batch]), texts)
        found = detector.select(detector.answer(inputs), threshold, threshold)
        for scene, item in zip(scenes, found, strict=True):
            true_N4 = np.array([entry.box for entry in scene.objects], np.float32) / np.float32(CANVAS_PIXELS)
            counts += match_boxes(item.boxes_N4, item.phrases, item.scores_N, true_N4, object_phrases(scene))
    return counts


def _train(parameters: Parameters, seed: int) -> tuple[Any, Any]:
    """The trained model and its processor."""
    import numpy as np
    import torch

    from tasks.spriteworld.detector_model import build_detector, build_processor, widen_queries
    from tasks.spriteworld.renders import EASY_POOL, TRAINING_POOL, render_pool

    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model, processor = build_detector(parameters.rounds[0].queries), build_processor()
    easy = render_pool(seed + EASY_POOL, parameters.easy_scenes, most_objects=2)
    full = render_pool(seed + TRAINING_POOL, parameters.scenes)
    easy_steps = parameters.easy_steps
    for number, item in enumerate(parameters.rounds, start=1):
        widen_queries(model, item.queries)
        train_round(model, processor, (easy, full), easy_steps, item, parameters.clip, random, number)
        easy_steps = 0
    return model, processor


def train_round(
    model: Any,
    processor: Any,
    pools: tuple[Pool, Pool],
    easy_steps: int,
    settings: Round,
    clip: float,
    random: Any,
    number: int,
) -> None:
    """Trains the model for one round; `pools` are for its first `easy_steps` steps, and for the others."""
    import torch

    from tasks.spriteworld.detector_batches import make_batch, phrase_loss

    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / _WARMUP_STEPS) * (1 - (1 - settings.last_share) * step / settings.steps),
    )
    model.train()
    total = 0.0
    for step in range(1, settings.steps + 1):
        pool = pools[0] if step <= easy_steps else pools[1]
        indices = random.integers(len(pool.scenes), size=settings.batch)
        inputs, labels, masks_KT = make_batch(pool, indices, random, processor)
        if not len(masks_KT):
            continue
        model.loss_function = phrase_loss(model, masks_KT)
        loss = model(**inputs, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimiser.step()
        schedule.step()
        total += float(loss.detach())
        if step % _STEPS_BETWEEN_LINES == 0:
            sys.stderr.write(f"round {number}, step {step}: loss {total / _STEPS_BETWEEN_LINES:.4f}\n")
            total = 0.0


def train_detector(project: Any, paths: Paths) -> stage.Metrics:
    """Trains, saves in half precision, loads again as a user would, and scores on held-out renders."""
    import torch

    from tasks.corpus.detector import PhraseDetector
    from tasks.spriteworld.checkpoints import save_half, write_model_card
    from tasks.spriteworld.renders import HELD_OUT_POOL, render_pool

    torch.set_num_threads(1)
    parameters: Parameters = project.train_detector
    model, processor = _train(parameters, project.seed)
    with complete(paths.out, folder=True) as folder:
        save_half(model, folder)
        processor.save_pretrained(folder)
        detector = PhraseDetector(str(folder), None, "cpu", torch.float32)
        held_out = render_pool(project.seed + HELD_OUT_POOL, parameters.held_out)
        counts = score_detector(detector, held_out, parameters.threshold)
        scores = {"precision": counts.precision, "recall": counts.recall, "mean_iou": counts.mean_iou}
        write_model_card(
            folder,
            "transformers",
            "Sprite-world detector",
            "Open-vocabulary detector in transformers' GroundingDINO architecture: captions or phrases in, boxes out.",
            parameters,
            project.seed,
            {**stage.rounded(scores), "parameters": model.num_parameters(), "cpu_seconds": round(time.process_time())},
        )
    return scores


if __name__ == "__main__":
    sys.exit(stage.main("train_detector", Paths, train_detector, "tasks.spriteworld.checkpoint_parameters"))
