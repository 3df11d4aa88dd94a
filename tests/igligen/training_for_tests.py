"""A small corpus of random latents with made-up boxes, a tiny base model, and the stage's options."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState

from tasks.common.latent_files import LatentFacts, save_latents
from tasks.common.parameters import Compute, Section
from tasks.corpus.shard_to_boxes import _SCHEMA as SCHEMA
from tasks.igligen import igligen
from tasks.igligen.adapters import adapter_parameters, add_adapters
from tasks.igligen.base_model import load_base_model
from tasks.igligen.grounded_corpus import BoxRule, GroundedCorpus, read_corpus
from tasks.igligen.grounded_images import DropMix, GroundedImages
from tasks.igligen.parameters import Parameters
from tasks.igligen.training import Training

SCALING_FACTOR = 0.49127
RULE = BoxRule(0.25, 32)
MIX = DropMix(0.9, 0.5, True)
WORDS = ("red car", "blue cats", "green ball", "yellow dog")


class ProjectParameters(Section):
    """The parts of a parameter file that the stage reads."""

    seed: int
    compute: Compute
    igligen: Parameters


PARAMETERS: dict[str, Any] = {
    "model": "./model", "revision": None, "adapters": None, "adapters_revision": None, "steps": 6, "batch": 4,
    "accumulate": 1, "learning_rate": 1e-3, "warmup_steps": 2, "schedule": "constant", "weight_decay": 0.0, "clip": 1.0,
    "mixed_precision": "no", "ema_decay": 0.0, "score_threshold": 0.25, "most_boxes": 8, "prob_use_boxes": 0.9,
    "prob_use_caption": 0.5, "no_caption_only": True, "timestep_bias": 1.0, "min_snr_gamma": 0.0, "box_loss_weight": 1.0,
    "attention_loss_weight": 0.1, "most_nonfinite_steps": 3, "log_every": 2,
    "checkpoint_every": 3, "shards_in_memory": 1, "workers": 0, "cpu_threads": 1, "evaluate_every": 4,
    "evaluation_images": 3, "evaluation_steps": 2, "evaluation_guidance_scale": 3.0, "detector": "models/sprite/detector",
    "detector_revision": None, "detector_resolution": 64, "box_threshold": 0.4, "text_threshold": 0.4, "preview_images": 2,
}  # fmt: skip
COMPUTE = {"device": "cpu", "dtype": "float32", "workers": 1, "engine": "processes", "num_gpus": 0.0}


def parameters(**changes: Any) -> Parameters:
    """Small ones with some changed."""
    return Parameters(**{**PARAMETERS, **changes})


def write_params(path: Path, **changes: Any) -> None:
    """A parameter file for the stage; JSON is YAML too. `device` goes to `compute`."""
    device = changes.pop("device", "cpu")
    values = {"seed": changes.pop("seed", 0), "compute": {**COMPUTE, "device": device}, "igligen": {**PARAMETERS, **changes}}
    path.write_text(json.dumps(values), encoding="utf-8")


def _row(key: str, random: np.random.Generator) -> dict[str, Any]:
    count = int(random.integers(0, 4))
    corners = random.random((count, 2)) * 0.5
    boxes = np.concatenate([corners, corners + 0.2 + 0.3 * random.random((count, 2))], axis=1)
    phrases = [str(random.choice(WORDS)) for _ in range(count)]
    scores = np.sort(random.random(count) * 0.9 + 0.1)[::-1]
    return {
        "key": key,
        "caption": f"{' and '.join(phrases)}.",
        "boxes": boxes.tolist(),
        "scores": scores.tolist(),
        "phrases": phrases,
    }


def write_corpus(folder: Path, images: tuple[int, ...] = (9, 7), side: int = 16) -> Path:
    """`boxes`, `latents` and `index.parquet` of as many shards as there are numbers of images; keys count through."""
    random = np.random.default_rng(0)
    for name in ("boxes", "latents"):
        (folder / name).mkdir(parents=True)
    first, keys = 0, list[str]()
    for shard, count in enumerate(images):
        some = [f"image_{number:03d}" for number in range(first, first + count)]
        rows = [_row(key, random) for key in some]
        parquet.write_table(pyarrow.Table.from_pylist(rows, SCHEMA), folder / "boxes" / f"corpus-{shard:06d}.parquet")
        latents_NChw = torch.from_numpy(random.standard_normal((count, 4, side, side)).astype(np.float16))
        facts = LatentFacts(some, "vae", None, SCALING_FACTOR, 4 * side, "mode")
        save_latents(folder / "latents" / f"corpus-{shard:06d}.safetensors", latents_NChw, facts)
        first, keys = first + count, keys + some
    parquet.write_table(pyarrow.table({"key": keys}), folder / "index.parquet")
    return folder


def open_corpus(folder: Path, rule: BoxRule = RULE) -> GroundedCorpus:
    """What `write_corpus` wrote."""
    return read_corpus(folder / "boxes", folder / "latents", rule)


def forget_accelerate() -> None:
    """Accelerate keeps one state per interpreter; a stage has an interpreter of its own, tests share one."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def open_training(corpus: Path, model: Path, **changes: Any) -> Training:
    """A training at step 0."""
    forget_accelerate()
    chosen = parameters(**changes)
    accelerator = Accelerator(cpu=True, mixed_precision=chosen.mixed_precision)
    base = load_base_model(str(model), None, "cpu")
    torch.manual_seed(0)
    add_adapters(base.unet)
    mix = DropMix(chosen.prob_use_boxes, chosen.prob_use_caption, chosen.no_caption_only)
    rule = BoxRule(chosen.score_threshold, chosen.most_boxes)
    images = GroundedImages(open_corpus(corpus, rule), mix, 0, chosen.shards_in_memory)
    return Training(accelerator, base, images, chosen, 0)


def weights(training: Training) -> dict[str, torch.Tensor]:
    """Copies of the adapters' weights."""
    return {name: weight.detach().clone() for name, weight in adapter_parameters(training._base.unet).items()}


def stage_options(out: str = "out", parts: str = "parts") -> list[str]:
    """The stage's command line, with all outputs in the folder `out`."""
    names = {field.name for field in dataclasses.fields(igligen.Paths)}
    given = {"index": "corpus/index.parquet", "boxes": "corpus/boxes", "latents": "corpus/latents", "parts": parts}
    files = {
        "out": "adapters",
        "provenance": "provenance.json",
        "figure": "figure.png",
        "curves": "curves",
        "metrics": "metrics.json",
    }
    assert names == {*given, *files}
    values = {"params": "params.yaml", **given, **{name: f"{out}/{file}" for name, file in files.items()}}
    return [word for name, value in values.items() for word in (f"--{name}", value)]
