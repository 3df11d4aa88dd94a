"""Stage `latents`: VAE latents of the corpus's square crops."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from tasks.common import stage
from tasks.common.contact_sheet import Tile, save_contact_sheet
from tasks.common.corpus_shards import read_samples, shard_files
from tasks.common.parameters import Compute, Section
from tasks.common.provenance import checkpoint_identity, made_by
from tasks.common.quarantine import check_bad_share
from tasks.common.shard_engine import Part
from tasks.common.shard_stage import MappedFiles, map_files

_PAIR_PIXELS = (320, 160)


class Parameters(Section):
    """Which autoencoder, and how its posterior is used (LVD specification, section 6.1)."""

    autoencoder: str = Field(min_length=1, description="AutoencoderKL checkpoint: a folder or a hub id")
    revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    subfolder: str | None = Field(description="folder of the autoencoder inside a pipeline, for example vae")
    resolution: int = Field(ge=32, le=2048, multiple_of=8, description="side of the square crop in pixels")
    posterior: Literal["sample", "mode"] = Field(description="a sample with one seed per image, or the mode")
    batch: int = Field(ge=1, le=1024, description="images per model call")
    max_bad_fraction: float = Field(ge=0, le=1, description="share of images without finite latents that fails the stage")
    preview_images: int = Field(ge=1, le=200, description="images on the contact sheet of reconstructions")


@dataclass(frozen=True)
class Paths:
    """Corpus shards in; latents, quarantine list, provenance, metrics and contact sheet out."""

    shards: Path
    out: Path
    quarantine: Path
    provenance: Path
    figure: Path
    metrics: Path
    parts: Path


def _encode(project: Any, paths: Paths, shards: Sequence[Path]) -> MappedFiles:
    from tasks.corpus.shard_to_latents import LatentSettings, LatentsJob, shard_to_latents

    parameters: Parameters = project.latents
    compute: Compute = project.compute
    settings = LatentSettings(**{name: getattr(parameters, name) for name in LatentSettings._fields})
    made = made_by(
        "tasks.corpus.latents",
        settings._asdict(),
        checkpoint=checkpoint_identity(parameters.autoencoder, parameters.revision),
        seed=project.seed,
        device=compute.device,
        dtype=compute.dtype,
    )
    return map_files(
        shards,
        shard_to_latents,
        lambda shard: LatentsJob(shard, settings, project.seed, compute),
        made,
        paths.parts,
        compute,
        "shards",
    )


def channel_statistics(parts: Sequence[Part]) -> dict[str, Any]:
    """Mean and standard deviation per channel and overall, least and most, from the sums of all shards."""
    count = sum(part.statistics["values_per_channel"] for part in parts)
    sums = {
        name: np.array([part.statistics["channels"][name] for part in parts])
        for name in ("sum", "sum_of_squares", "least", "most")
    }
    mean_C = sums["sum"].sum(0) / count
    square_C = sums["sum_of_squares"].sum(0) / count
    return {
        "mean": float(mean_C.mean()),
        "standard_deviation": float(np.sqrt(max(0.0, square_C.mean() - mean_C.mean() ** 2))),
        "least": float(sums["least"].min()),
        "most": float(sums["most"].max()),
        "channel_means": mean_C.tolist(),
        "channel_standard_deviations": np.sqrt(np.maximum(0, square_C - mean_C**2)).tolist(),
    }


def _save_preview(shard: Path, part: Part, parameters: Parameters, compute: Compute, target: Path) -> float:
    """Draws originals beside their reconstructions; returns the PSNR of those images in decibel."""
    from tasks.common.latent_files import load_latents
    from tasks.corpus.autoencoder import psnr_db
    from tasks.corpus.shard_to_latents import LATENTS_FILE, crops_of, load_autoencoder

    latents_NChw, facts = load_latents(part.folder / LATENTS_FILE)
    keys = facts.keys[: parameters.preview_images]
    wanted = set(keys)
    samples = list(itertools.islice((s for s in read_samples(shard) if s.key in wanted), len(keys)))
    originals = crops_of(samples, parameters.resolution)
    autoencoder = load_autoencoder(parameters.autoencoder, parameters.revision, parameters.subfolder, compute)
    starts = range(0, len(keys), parameters.batch)
    decoded = np.concatenate([autoencoder.decode(latents_NChw[i : i + parameters.batch][: len(keys) - i]) for i in starts])
    tiles = [Tile(np.concatenate(pair, axis=1), title=key) for key, *pair in zip(keys, originals, decoded, strict=True)]
    save_contact_sheet(tiles, columns=4, size=_PAIR_PIXELS, target=target)
    return psnr_db(originals, decoded)


def make_latents(project: Any, paths: Paths) -> stage.Metrics:
    """Encodes every shard, links the results into the output, and decodes a few to look at."""
    from tasks.corpus.shard_to_latents import LATENTS_FILE

    parameters: Parameters = project.latents
    shards = shard_files(paths.shards)
    mapped = _encode(project, paths, shards)
    counts = mapped.sum_of("counts")
    mapped.write_records(paths.quarantine, paths.provenance)
    bad = counts["images"] - counts["latents"]
    check_bad_share(bad, counts["images"], parameters.max_bad_fraction, paths.quarantine)
    mapped.link(LATENTS_FILE, paths.out)
    psnr = _save_preview(shards[0], mapped.parts[0], parameters, project.compute, paths.figure)
    return {
        "images": counts["images"],
        "latents": counts["latents"],
        "quarantined": bad,
        "quarantined_by_reason": dict(sorted(mapped.sum_of("quarantined").items())),
        "reconstruction_psnr_db": psnr,
        **channel_statistics(mapped.parts),
    }


if __name__ == "__main__":
    sys.exit(stage.main("latents", Paths, make_latents))
