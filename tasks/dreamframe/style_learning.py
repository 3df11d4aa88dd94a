"""Learning the style of one story: training, what it looks like on the way, and checkpoints that survive a kill.

Legend: N style images, K pictures per measurement, R pixels a side, P width of an image embedding.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from diffusers import DDPMScheduler
from torch import Tensor

from tasks.common.checkpoint_loading import load_part
from tasks.common.devices import select_device
from tasks.common.errors import StageError
from tasks.common.parameters import Compute
from tasks.common.progress import track
from tasks.common.seeds import item_seed
from tasks.common.shard_stage import QUARANTINE_FILE
from tasks.common.stage import rounded
from tasks.common.training_checkpoints import Checkpoints
from tasks.corpus.autoencoder import ImageAutoencoder
from tasks.dreamframe.image_similarity import ImageTextEncoder, similarity_to_references
from tasks.dreamframe.picture_archive import read_pictures, write_pictures
from tasks.dreamframe.style_files import StyleEmbedding, save_style
from tasks.dreamframe.style_generation import Drawing, Pixels, generate, load_model, out_of_memory, styled, text_parts
from tasks.dreamframe.style_objective import style_latents
from tasks.dreamframe.style_parameters import Parameters
from tasks.dreamframe.style_tokens import StyleTokens, TextPart, phrase_start, random_start
from tasks.dreamframe.style_training import StyleSettings, StyleTraining

if TYPE_CHECKING:
    from diffusers import StableDiffusionXLPipeline

STYLE_FILE, PICTURES_FILE = "style.safetensors", "pictures.tar"
_FIXED_DRAWS = 16
_PICTURES = "pictures."


class StyleJob(NamedTuple):
    """What a worker needs to learn one style.

    Attributes:
        name: of the story.
        token: what names the style.
        phrase: the style in words.
        prompts: of the pictures that show how far it is.
        images: archive of the style images.
        seed: of the story's style.
        settings: all else that decides it.
        compute: where models run.
        checkpoints: store of its checkpoints, and the key of this training in it.
        facts: what the style's file says of it.
    """

    name: str
    token: str
    phrase: str
    prompts: tuple[str, ...]
    images: Path
    seed: int
    settings: Parameters
    compute: Compute
    checkpoints: tuple[Path, str]
    facts: dict[str, Any]


class Likeness:
    """How like the style images pictures of the story's frames are, by a CLIP's image embeddings."""

    def __init__(
        self, job: StyleJob, pipeline: StableDiffusionXLPipeline, tokens: StyleTokens, images: list[Pixels]
    ) -> None:
        """Takes the style images, uint8 [R, R, 3] each."""
        settings = job.settings
        self._pipeline, self._conditions, self._prompts = pipeline, styled(tokens), job.prompts
        self._seeds = [item_seed(job.seed, f"picture:{number}") for number in range(len(job.prompts))]
        self._drawing = Drawing(settings.image_steps, settings.image_guidance_scale, settings.image_batch)
        self._encoder = _load_encoder(settings.image_encoder, settings.image_encoder_revision, job.compute)
        self._references_NP = self._encoder.images(images)

    def measure(self) -> tuple[float | None, Tensor]:
        """(mean cosine with the style images' mean embedding, pictures uint8 [K, H, W, 3]), always from the same seeds."""
        pictures = generate(self._pipeline, self._conditions, self._prompts, self._seeds, self._drawing)
        similarity = similarity_to_references(self._encoder.images(pictures), self._references_NP)
        return similarity, torch.from_numpy(np.stack(pictures))


@lru_cache(maxsize=1)
def _load_encoder(checkpoint: str, revision: str | None, compute: Compute) -> ImageTextEncoder:
    device, _ = select_device(compute)
    return ImageTextEncoder(checkpoint, revision, device, torch.float32)


def learn_style(job: StyleJob, folder: Path) -> dict[str, Any]:
    """Writes `style.safetensors` and the pictures on the way, `pictures.tar`; returns curves and counts.

    Raises:
        StageError: the training diverged, or the GPU has not enough memory.
        UserError: a checkpoint, the token or a setting is not usable.
    """
    settings = job.settings
    pipeline = load_model(settings.model, settings.revision, settings.scheduler, job.compute)
    images = [image for _, image in read_pictures(job.images)]
    parts = text_parts(pipeline)
    tokens = StyleTokens(job.token, parts, _start(parts, job))
    try:
        latents_NChw = _latents(job, images)
        scheduler = load_part(DDPMScheduler, settings.model, settings.revision, subfolder="scheduler")
        training = StyleTraining(tokens, pipeline.unet, scheduler, latents_NChw, _style_settings(settings), job.seed)
        pictures = _train(training, Likeness(job, pipeline, tokens, images), job)
        return _written(tokens.embedding(), training, pictures, job, folder)
    except torch.OutOfMemoryError as error:
        advice = (
            "set style.gradient_checkpointing, lower style.image_batch, or halve style.batch and double style.accumulate"
        )
        raise out_of_memory(error, advice) from None
    except StageError as error:
        raise StageError(f"{job.name}: {error}") from None
    finally:
        tokens.remove()


def _start(parts: list[TextPart], job: StyleJob) -> StyleEmbedding:
    if job.settings.start == "phrase":
        return phrase_start(parts, job.phrase, job.settings.vectors)
    return random_start(parts, job.settings.vectors, job.seed)


def _latents(job: StyleJob, images: list[Pixels]) -> Tensor:
    """The autoencoder is in float32, as published: that of Stable Diffusion XL makes NaN in half precision."""
    settings = job.settings
    device, _ = select_device(job.compute)
    autoencoder = ImageAutoencoder(settings.model, settings.revision, "vae", device, torch.float32)
    return style_latents(autoencoder, np.stack(images), settings.mirror, item_seed(job.seed, "latents"))


def _style_settings(settings: Parameters) -> StyleSettings:
    return StyleSettings(
        steps=settings.steps, batch=settings.batch, accumulate=settings.accumulate, rates=settings.rates,
        weight_decay=settings.weight_decay, clip=settings.clip, templates=tuple(settings.templates),
        suffixes=tuple(settings.suffixes), time_ids=settings.conditioning,
        gradient_checkpointing=settings.gradient_checkpointing, log_every=settings.log_every,
    )  # fmt: skip


def _shown(settings: Parameters) -> set[int]:
    """Steps whose pictures are kept: the first, the measured one next to the middle, and the last."""
    between = range(settings.evaluate_every, settings.steps, settings.evaluate_every)
    return {0, settings.steps, *sorted(between, key=lambda step: abs(2 * step - settings.steps))[:1]}


def _train(training: StyleTraining, likeness: Likeness, job: StyleJob) -> dict[int, Tensor]:
    """Trains from the newest checkpoint on; returns the pictures [K, H, W, 3] of some steps."""
    settings, pictures = job.settings, dict[int, Tensor]()
    checkpoints = Checkpoints(*job.checkpoints)

    def measure(step: int) -> None:
        similarity, pictures_KHWC = likeness.measure()
        training.curves.add("style_similarity", step, similarity=similarity)
        if step in (0, settings.steps):
            loss = training.fixed_loss(_FIXED_DRAWS)
            training.curves.add("fixed_loss", step, loss=loss if math.isfinite(loss) else None)
        if step in _shown(settings):
            pictures[step] = pictures_KHWC

    with checkpoints.locked():
        newest = checkpoints.newest()
        if newest:
            training.restore(newest)
            kept = {name: tensor for name, tensor in newest.tensors.items() if name.startswith(_PICTURES)}
            pictures.update({int(name.removeprefix(_PICTURES)): tensor for name, tensor in kept.items()})
        else:
            measure(0)
        left = settings.steps - training.step
        for step in track(training.steps(), f"{job.name}: steps", left, lambda: _newest_loss(training)):
            is_last = step == settings.steps
            if is_last or step % settings.evaluate_every == 0:
                measure(step)
            if (is_last or step % settings.checkpoint_every == 0) and not training.skipped_in_a_row:
                _save(checkpoints, training, pictures)
    return pictures


def _newest_loss(training: StyleTraining) -> str:
    loss = training.curves.last("loss", "loss")
    return "" if loss is None else f"loss {loss:.4f}"


def _save(checkpoints: Checkpoints, training: StyleTraining, pictures: dict[int, Tensor]) -> None:
    checkpoint = training.checkpoint()
    kept = {f"{_PICTURES}{step}": pictures_KHWC for step, pictures_KHWC in pictures.items()}
    checkpoints.save(checkpoint._replace(tensors={**checkpoint.tensors, **kept}))


def _written(
    style: StyleEmbedding, training: StyleTraining, pictures: dict[int, Tensor], job: StyleJob, folder: Path
) -> dict[str, Any]:
    curves = training.curves
    scores = {
        "fixed_loss_before": curves.points["fixed_loss"][0]["loss"],
        "fixed_loss_after": curves.last("fixed_loss", "loss"),
        "style_similarity_before": curves.points["style_similarity"][0]["similarity"],
        "style_similarity_after": curves.last("style_similarity", "similarity"),
    }
    save_style(folder / STYLE_FILE, style, rounded({**job.facts, **scores}))
    named = (
        (f"{step:08}-{number:03}.png", picture.numpy())
        for step, pictures_KHWC in sorted(pictures.items())
        for number, picture in enumerate(pictures_KHWC)
    )
    write_pictures(folder / PICTURES_FILE, named)
    (folder / QUARANTINE_FILE).write_text("", encoding="utf-8")
    counts = {"steps": training.step, "skipped_steps": training.skipped}
    return {"counts": counts, "quarantined": {}, "scores": scores, "curves": curves.to_json()["points"]}
