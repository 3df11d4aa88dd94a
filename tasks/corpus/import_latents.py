"""Latents of the original project to safetensors as the stage `latents` writes them (LVD specification, section 6.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.common.errors import UserError
from tasks.common.latent_files import LatentFacts, save_latents
from tasks.common.quarantine import Quarantine
from tasks.corpus.import_files import MOST_IMAGES, BadRowError, Imported, Keys, nothing_left, row_name, save
from tasks.corpus.original_arrays import read_original_array

_AUTOENCODER = "stable-diffusion-v1-5/stable-diffusion-v1-5"  # the original's weights under the name that is still served
_SCALING_FACTOR = 0.18215
_CHANNELS = 4
_PIXELS_PER_CELL = 8


def import_latents(path: Path, target: Path, key_pattern: str) -> Imported:
    """Writes one original file `path` as safetensors, and beside it a list of the images that were set aside.

    Raises:
        UserError: the file cannot be read, is not of this form, or has no usable image.
    """
    keys, quarantine = Keys(key_pattern), Quarantine()
    indices, latents_NChw = _read(path)
    finite_N = torch.isfinite(latents_NChw).flatten(1).all(1)
    kept = dict[int, str]()
    for number, (index, finite) in enumerate(zip(indices, finite_N.tolist(), strict=True)):
        try:
            key = keys.of(index)
            if not finite:
                raise BadRowError("not-finite", "NaN or infinity in its latents")
            kept[number] = key
        except BadRowError as error:
            quarantine.add(row_name(number, index), error.reason, str(error))
    if not kept:
        raise nothing_left(path, quarantine)
    if len(kept) < len(indices):
        latents_NChw = latents_NChw[list(kept)]
    resolution = latents_NChw.shape[-1] * _PIXELS_PER_CELL
    facts = LatentFacts(list(kept.values()), _AUTOENCODER, None, _SCALING_FACTOR, resolution, "sample")
    aside = save(target, lambda unfinished: save_latents(unfinished, latents_NChw, facts), quarantine)
    return Imported(f"latents of {len(kept)} images, {resolution} pixels", aside, quarantine.reasons)


def _read(path: Path) -> tuple[list[Any], torch.Tensor]:
    """(index of each image, latents [N, C, h, w] float16); what does not fit into float16 becomes infinite."""
    array = read_original_array(path)
    match array[()] if array.ndim == 0 else None:
        case {"indices": list() as indices, "latents": np.ndarray() as latents}:
            number = (len(indices),)
        case {"indices": np.ndarray(dtype=kind) as indices, "latents": np.ndarray() as latents} if kind.kind in "iu":
            number = indices.shape
        case _:
            raise UserError(f"{path}: no indices and latents in it; `groundreel import boxes` reads boxes")
    shape = latents.shape
    of_images = latents.dtype.kind == "f" and len(shape) == 4 and shape[1] == _CHANNELS and shape[2] == shape[3] > 0
    if not of_images or shape[:1] != number or shape[0] > MOST_IMAGES:
        raise UserError(
            f"{path}: latents {latents.dtype} {list(shape)} for indices {list(number)}; expected numbers [N, 4, h, h] for "
            f"indices [N], at most {MOST_IMAGES}"
        )
    with np.errstate(over="ignore"):
        half = torch.from_numpy(latents.astype(np.float16))
    return list(indices) if isinstance(indices, list) else indices.tolist(), half
