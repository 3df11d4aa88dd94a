"""Pictures by their style, and the store that keeps each as soon as its batch is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.common.files import remove
from tasks.common.parameters import Compute
from tasks.common.provenance import digest, file_sha256
from tasks.common.shard_engine import Job, Part, make_part, run_jobs
from tasks.dreamframe.keyframe_denoising import ImageModel, Picture, PictureRequest, denoise_within_memory, load_image_model
from tasks.dreamframe.keyframe_settings import KeyframeSettings
from tasks.dreamframe.style_files import load_style
from tasks.dreamframe.style_tokens import StyleTokens, random_start

PICTURE_FILE = "picture.png"


class StyleSource(NamedTuple):
    """Where the vectors of a style come from.

    Attributes:
        file: the learned style.
        token: its name.
        vectors: how many it has.
        start: seed of random vectors that are taken instead of the learned ones; None for those.
    """

    file: Path
    token: str
    vectors: int
    start: int | None = None


class PicturesJob(NamedTuple):
    """What a worker needs for some pictures in one style.

    Attributes:
        requests: the pictures.
        style: what their prompts' token stands for.
        settings: everything else that decides them.
        batch: pictures at once, except on a CPU.
        compute: where models run.
        store: the part store of single pictures.
    """

    requests: tuple[PictureRequest, ...]
    style: StyleSource
    settings: KeyframeSettings
    batch: int
    compute: Compute
    store: Path


def make_pictures(jobs: Sequence[PicturesJob], store: Path, compute: Compute) -> dict[str, Part]:
    """A part for each picture, by its name; those in the store are not made again.

    A part holds `PICTURE_FILE` and its statistics `width`, `height`, `sha256` and `prompt_cut`, or no file and the `reason`.

    Args:
        jobs: pictures by style, in any number.
        store: a folder with the part stores.
        compute: where and in how many processes they are made.

    Raises:
        StageError: the memory does not suffice, or as `shard_engine.run_jobs`.
        UserError: a checkpoint, the device or a setting is not usable.
    """
    pictures = store / "pictures"
    batches = []
    for job in jobs:
        missing = [request for request in job.requests if not (pictures / request.key).is_dir()]
        for start in range(0, len(missing), job.batch):
            some = tuple(missing[start : start + job.batch])
            key = digest([request.key for request in some])
            remove(store / "batches" / key)  # a batch that was done before, but its pictures are gone
            batches.append(Job(some[0].name, key, job._replace(requests=some, store=pictures)))
    run_jobs(batches, _make_batch, store / "batches", compute, "batches of pictures")
    single = [
        Job(request.name, request.key, job._replace(requests=(request,), store=pictures))
        for job in jobs
        for request in job.requests
    ]
    return {part.name: part for part in run_jobs(single, _make_single, pictures, compute, "pictures")}


def _make_batch(job: PicturesJob, folder: Path) -> dict[str, Any]:
    """Puts each picture of a batch into the store of single ones."""
    for request, picture in zip(job.requests, generate(job), strict=True):
        make_part(Job(request.name, request.key, picture), write_picture, job.store)
    return {}


def _make_single(job: PicturesJob, folder: Path) -> dict[str, Any]:
    """Only for a picture that is damaged in the store: all others have been made in batches."""
    return write_picture(generate(job)[0], folder)


def write_picture(picture: Picture, folder: Path) -> dict[str, Any]:
    """Writes a picture that can be used; returns its statistics, or the reason why it cannot."""
    if not np.isfinite(picture.levels).all():
        return {"reason": "not-finite", "detail": "NaN or infinity in the picture", "prompt_cut": picture.prompt_cut}
    pixels = (picture.levels * 255).round().astype(np.uint8)
    if (pixels == pixels[0, 0]).all():
        detail = f"one colour all over: {pixels[0, 0].tolist()}"
        return {"reason": "flat", "detail": detail, "prompt_cut": picture.prompt_cut}
    Image.fromarray(pixels).save(folder / PICTURE_FILE)
    height, width, _ = pixels.shape
    sha256 = file_sha256(folder / PICTURE_FILE)
    return {"width": width, "height": height, "sha256": sha256, "prompt_cut": picture.prompt_cut}


def is_made(part: Part) -> bool:
    """Whether there is a picture in a finished part."""
    return "reason" not in part.statistics


def pixels_of(part: Part) -> NDArray[np.uint8]:
    """The picture in a part, [height, width, 3]."""
    with Image.open(part.folder / PICTURE_FILE) as picture:
        return np.array(picture)


def generate(job: PicturesJob) -> list[Picture]:
    """The pictures of a job, in its order; the models are afterwards as they were before.

    Raises:
        StageError: the device's memory does not suffice for half of a batch.
        UserError: a checkpoint, the style, the device or a setting is not usable.
    """
    settings = job.settings
    model = load_image_model(
        settings.model, settings.revision, settings.refiner, settings.refiner_revision, settings.scheduler, job.compute
    )
    tokens = _style_tokens(model, job.style)
    at_once = 1 if model.base.device.type == "cpu" else job.batch
    try:
        return denoise_within_memory(model, tokens, job.requests, settings, at_once)
    finally:
        tokens.remove()


def _style_tokens(model: ImageModel, style: StyleSource) -> StyleTokens:
    parts = model.text_parts
    first, second = (part.encoder.config.hidden_size for part in parts)
    if style.start is None:
        return StyleTokens(style.token, parts, load_style(style.file, (first, second))[0])
    return StyleTokens(style.token, parts, random_start(parts, style.vectors, style.start))
