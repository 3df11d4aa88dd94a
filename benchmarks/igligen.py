"""A training step of grounding adapters against the bare forward and backward pass, clipping and update."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import torch
from accelerate import Accelerator
from torch import Tensor

from benchmarks.corpora import project
from benchmarks.result import Result, seconds
from tasks.common.latent_files import LatentFacts, save_latents
from tasks.igligen.adapters import adapter_parameters, add_adapters
from tasks.igligen.base_model import BaseModel, CaptionStates, Denoiser
from tasks.igligen.grounded_corpus import BoxRule, read_corpus
from tasks.igligen.grounded_images import Batch, DropMix, GroundedImages
from tasks.igligen.parameters import Parameters
from tasks.igligen.phrase_embeddings import PhraseEmbedder
from tasks.igligen.training import Training
from tasks.spriteworld.scene import caption_of, sample_scene
from tasks.spriteworld.text_to_video_model import build_noise_schedule, build_unet
from tasks.spriteworld.train_text_encoder import build_text_encoder, build_tokenizer
from tasks.video.spatial_unet import spatial_unet

_IMAGES, _BATCH, _PAIRS, _WARM_UP = 64, 16, 15, 8


def _write_corpus(folder: Path) -> list[str]:
    """One shard of random latents with captions and boxes as the sprite world has them; returns the captions."""
    scenes = {f"sprite_{n}": sample_scene(np.random.default_rng(n)) for n in range(_IMAGES)}
    rows = [
        {
            "key": key,
            "caption": caption_of(scene),
            "boxes": [[value / 64 for value in item.box] for item in scene.objects],
            "scores": [0.9] * len(scene.objects),
            "phrases": [f"{item.colour} {item.class_name}" for item in scene.objects],
        }
        for key, scene in scenes.items()
    ]
    for name in ("boxes", "latents"):
        (folder / name).mkdir()
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "boxes" / "corpus-000000.parquet")
    latents_NChw = torch.randn(_IMAGES, 4, 16, 16, generator=torch.Generator().manual_seed(0)).half()
    facts = LatentFacts(list(scenes), "none", None, 1.0, 64, "mode")
    save_latents(folder / "latents" / "corpus-000000.safetensors", latents_NChw, facts)
    return [caption_of(scene) for scene in scenes.values()]


def _base_model(captions: list[str]) -> BaseModel:
    """The sprite world's image UNet and text encoder with random weights."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(captions, 1000, 64)
    text_encoder = build_text_encoder(tokenizer, 96, 2).eval().requires_grad_(False)
    unet = spatial_unet(build_unet(96)).requires_grad_(False).eval()
    add_adapters(unet)
    return BaseModel(
        unet, build_noise_schedule(), CaptionStates(tokenizer, text_encoder), PhraseEmbedder(tokenizer, text_encoder)
    )


def _bare_step(base: BaseModel, images: GroundedImages, count: int) -> Callable[[], None]:
    """What anybody would write with all inputs at hand, on a UNet of its own; `count` calls see the positions in order."""
    denoiser, weights = Denoiser(base.unet), list(adapter_parameters(base.unet).values())
    for weight in weights:
        weight.requires_grad_(True)
    optimiser = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.0, fused=True)
    ready = iter([_inputs(base, images[range(start, start + _BATCH)]) for start in range(0, count * _BATCH, _BATCH)])

    def step() -> None:
        wanted_BChw, inputs = next(ready)
        torch.nn.functional.mse_loss(denoiser(*inputs), wanted_BChw).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


def _inputs(base: BaseModel, batch: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
    """What is to be predicted, and what the denoiser takes."""
    noise_BChw, timesteps_B = torch.randn_like(batch.latents_BChw), torch.arange(0, 1000, 1000 // _BATCH)[:_BATCH]
    noisy_BChw = base.scheduler.add_noise(batch.latents_BChw, noise_BChw, timesteps_B)
    wanted_BChw = base.scheduler.get_velocity(batch.latents_BChw, noise_BChw, timesteps_B)
    states_BTW, phrases_BSW = base.captions(batch.captions), base.phrase_slots(batch.phrases, batch.mask_BS.shape[1])
    return wanted_BChw, (noisy_BChw, timesteps_B, states_BTW, batch.boxes_BS4, phrases_BSW, batch.mask_BS)


def _measure(name: str, limit: float, captions: list[str], images: GroundedImages, parameters: Parameters) -> Result:
    bare = _bare_step(_base_model(captions), images, _WARM_UP + _PAIRS)
    steps = Training(Accelerator(cpu=True), _base_model(captions), images, parameters, 0).steps()
    for _ in range(_WARM_UP):  # two epochs: most captions have been shown
        bare()
        next(steps)
    pairs = [(seconds(bare), seconds(lambda: next(steps))) for _ in range(_PAIRS)]
    ratio = statistics.median(step / alone for alone, step in pairs)
    alone, step = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Result(name, ratio, limit, False, "x", f"{step * 1e3:.0f} ms against {alone * 1e3:.0f} ms")


def measure_adapter_training(folder: Path) -> list[Result]:
    """Medians of interleaved pairs of steps on the same batches of 16 sprites; texts are encoded beforehand in both.

    The loss is the published one; what the default attention loss costs is told, and has no limit.
    """
    captions = _write_corpus(folder)
    parameters = project(folder).igligen.model_copy(update={"batch": _BATCH, "mixed_precision": "no"})
    published = parameters.model_copy(update={"attention_loss_weight": 0.0})
    corpus = read_corpus(folder / "boxes", folder / "latents", BoxRule(parameters.score_threshold, parameters.most_boxes))
    images = GroundedImages(corpus, DropMix(0.9, 0.5, True), 0, 1)
    return [
        _measure("adapter training, time over the bare step", 1.05, captions, images, published),
        _measure("adapter training with attention loss, the same", math.inf, captions, images, parameters),
    ]
