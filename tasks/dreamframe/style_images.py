"""The images that a story's style is learned from: generated from its places and style phrases, or a user's own.

The original squashes whatever it is given to a square. Here the central square is cut out: a style learned from squashed
images makes pictures of squashed things.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps

from tasks.common.errors import UserError
from tasks.common.images import BadImage, decode_image, square_crop
from tasks.common.parameters import Compute
from tasks.common.provenance import file_sha256
from tasks.common.quarantine import Quarantine
from tasks.common.seeds import item_seed
from tasks.common.shard_stage import QUARANTINE_FILE
from tasks.dreamframe.picture_archive import write_pictures
from tasks.dreamframe.style_generation import Drawing, Pixels, generate, load_model, out_of_memory, plain
from tasks.dreamframe.style_parameters import Parameters

IMAGES_FILE = "images.tar"
MOST_FILES = 1000
_MOST_BYTES = 50_000_000
_MOST_PIXELS = 50_000_000


class ImagesJob(NamedTuple):
    """What a worker needs for the style images of one story.

    Attributes:
        name: of the story.
        prompts: what to generate; nothing if there is a folder.
        folder: where a user's images are, or None.
        seed: of the story's style.
        settings: all else that decides them.
        compute: where models run.
    """

    name: str
    prompts: tuple[str, ...]
    folder: Path | None
    seed: int
    settings: Parameters
    compute: Compute


def make_style_images(job: ImagesJob, folder: Path) -> dict[str, Any]:
    """Writes `images.tar` and `quarantine.jsonl`; returns counts of images and of files that were looked at.

    Raises:
        StageError: the GPU has not enough memory, or the model makes no numbers.
        UserError: the model or the folder cannot be used.
    """
    quarantine = Quarantine()
    settings = job.settings
    if job.folder:
        images = read_images(job.folder, settings.resolution, settings.autocontrast, quarantine)
    else:
        images = [_square(Image.fromarray(image), settings.resolution, settings.autocontrast) for image in _generated(job)]
    write_pictures(folder / IMAGES_FILE, ((f"{number:03}.png", image) for number, image in enumerate(images)))
    quarantine.write(folder / QUARANTINE_FILE)
    looked_at = len(images) + len(quarantine.lines) if job.folder else 0
    return {"counts": {"images": len(images), "files": looked_at}, "quarantined": dict(quarantine.reasons)}


def _generated(job: ImagesJob) -> list[Pixels]:
    settings = job.settings
    pipeline = load_model(settings.model, settings.revision, settings.scheduler, job.compute)
    seeds = [item_seed(job.seed, f"image:{number}") for number in range(len(job.prompts))]
    drawing = Drawing(settings.image_steps, settings.image_guidance_scale, settings.image_batch)
    try:
        return generate(pipeline, plain, job.prompts, seeds, drawing)
    except torch.OutOfMemoryError as error:
        raise out_of_memory(error, "lower style.image_batch") from None


def _square(picture: Image.Image, side: int, autocontrast: bool) -> Pixels:
    square_RRC = square_crop(picture, side)
    return np.array(ImageOps.autocontrast(Image.fromarray(square_RRC))) if autocontrast else square_RRC


def image_files(folder: Path) -> list[Path]:
    """All in a user's folder by name, but folders and what is hidden.

    Raises:
        UserError: no such folder, or too much in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; style.image_folder names one with images of the style, or null")
    files = sorted(path for path in folder.iterdir() if path.name[0] != "." and not path.is_dir())
    if len(files) > MOST_FILES:
        raise UserError(f"{folder}: {len(files)} files; leave the {MOST_FILES} best images of the style there, or fewer")
    return files


def file_identity(path: Path) -> list[Any]:
    """Name, size and hash of a file; the hash of one that is too large or cannot be read is None."""
    try:
        size = path.stat().st_size
        is_used = path.is_file() and size <= _MOST_BYTES
        return [path.name, size, file_sha256(path) if is_used else None]
    except OSError:
        return [path.name, None, None]


def read_images(folder: Path, side: int, autocontrast: bool, quarantine: Quarantine) -> list[Pixels]:
    """The good images of a folder by name, uint8 [side, side, 3] each; the others are set aside.

    Raises:
        UserError: no such folder, or too much in it.
    """
    images = []
    for path in image_files(folder):
        try:
            images.append(_square(decode_image(_content(path), _MOST_PIXELS).picture, side, autocontrast))
        except BadImage as error:
            quarantine.add(str(path), error.reason, error.detail)
    return images


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise BadImage("not-a-file")
        if path.stat().st_size > _MOST_BYTES:
            raise BadImage("too-large", f"more than {_MOST_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise BadImage("unreadable", error.strerror or "") from None
