"""One corpus shard to one safetensors file of VAE latents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.common.corpus_shards import Sample, read_samples
from tasks.common.devices import select_device
from tasks.common.errors import StageError
from tasks.common.images import square_crop, stored_picture
from tasks.common.latent_files import LatentFacts, save_latents
from tasks.common.parameters import Compute
from tasks.common.prefetch import batches, prefetch
from tasks.common.quarantine import Quarantine
from tasks.common.seeds import item_seed
from tasks.common.shard_stage import QUARANTINE_FILE
from tasks.corpus.autoencoder import ImageAutoencoder

LATENTS_FILE = "latents.safetensors"


class LatentSettings(NamedTuple):
    """How images are encoded; also kept in each file's metadata."""

    autoencoder: str
    revision: str | None
    subfolder: str | None
    resolution: int
    posterior: str
    batch: int


class LatentsJob(NamedTuple):
    """What a worker needs for one shard."""

    shard: Path
    settings: LatentSettings
    seed: int
    compute: Compute


@lru_cache(maxsize=1)
def load_autoencoder(checkpoint: str, revision: str | None, subfolder: str | None, compute: Compute) -> ImageAutoencoder:
    """The autoencoder, once per worker."""
    device, dtype = select_device(compute)
    return ImageAutoencoder(checkpoint, revision, subfolder, device, dtype)


def crops_of(samples: Sequence[Sample], resolution: int) -> NDArray[np.uint8]:
    """Square crops [N, R, R, 3] of stored images."""
    return np.stack([square_crop(stored_picture(item.image), resolution) for item in samples])


def _channel_sums(latents_NChw: torch.Tensor) -> dict[str, list[float]]:
    by_channel_CM = latents_NChw.double().transpose(0, 1).flatten(1)
    return {
        "sum": by_channel_CM.sum(1).tolist(),
        "sum_of_squares": (by_channel_CM**2).sum(1).tolist(),
        "least": by_channel_CM.min(1).values.tolist(),
        "most": by_channel_CM.max(1).values.tolist(),
    }


def _encoded_batches(job: LatentsJob, autoencoder: ImageAutoencoder) -> Iterator[tuple[list[str], torch.Tensor]]:
    """(keys, float16 latents) batch by batch; a posterior sample takes its noise from the run's seed and the image's key."""
    settings = job.settings

    def prepare(batch: list[Sample]) -> tuple[list[str], NDArray[np.uint8]]:
        return [item.key for item in batch], crops_of(batch, settings.resolution)

    def encode(prepared: tuple[list[str], NDArray[np.uint8]]) -> tuple[list[str], torch.Tensor]:
        keys, crops = prepared
        seeds = [item_seed(job.seed, key) for key in keys] if settings.posterior == "sample" else None
        return keys, autoencoder.encode(crops, seeds).half()

    return prefetch(encode, prefetch(prepare, batches(read_samples(job.shard), settings.batch)))


def shard_to_latents(job: LatentsJob, folder: Path) -> dict[str, Any]:
    """Writes `latents.safetensors` and `quarantine.jsonl`; returns counts and sums per channel.

    Images whose latents are not finite in half precision are quarantined.

    Raises:
        StageError: not one image of the shard could be encoded.
    """
    settings = job.settings
    autoencoder = load_autoencoder(settings.autoencoder, settings.revision, settings.subfolder, job.compute)
    quarantine, kept, blocks, images = Quarantine(), list[str](), list[torch.Tensor](), 0
    for keys, latents_BChw in _encoded_batches(job, autoencoder):
        finite_B = torch.isfinite(latents_BChw).flatten(1).all(1)
        images += len(keys)
        for key, finite in zip(keys, finite_B.tolist(), strict=True):
            if finite:
                kept.append(key)
            else:
                quarantine.add(key, "not-finite", "NaN or infinity in its latents")
        blocks.append(latents_BChw[finite_B])
    if not kept:
        raise StageError(f"{job.shard}: every latent is NaN or infinite; set compute.dtype to float32")
    latents_NChw = torch.cat(blocks)
    facts = LatentFacts(
        kept, settings.autoencoder, settings.revision, autoencoder.scaling_factor, settings.resolution, settings.posterior
    )  # fmt: skip
    save_latents(folder / LATENTS_FILE, latents_NChw, facts)
    quarantine.write(folder / QUARANTINE_FILE)
    return {
        "counts": {"images": images, "latents": len(kept)},
        "values_per_channel": latents_NChw.numel() // latents_NChw.shape[1],
        "channels": _channel_sums(latents_NChw),
        "quarantined": dict(quarantine.reasons),
    }
