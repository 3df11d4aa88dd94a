"""Stages against the bare work that they cannot do without."""

from __future__ import annotations

import dataclasses
import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.corpora import project, write_photo_archive, write_sprite_archive
from benchmarks.result import Result, best_seconds, seconds
from tasks.common.corpus_shards import Sample, read_samples
from tasks.common.images import square_crop, stored_picture
from tasks.corpus import boxes, ingest, latents
from tasks.corpus.detector import query_text
from tasks.corpus.detector_backends import DetectorSettings
from tasks.corpus.shard_to_boxes import load_detector
from tasks.corpus.shard_to_latents import crops_of, load_autoencoder

_PHOTOS, _SPRITES = 400, "3000"


def _paths(kind: type[Any], folder: Path, **given: Path) -> Any:
    """A stage's paths; those not given lie in `folder` under the stage's name."""
    place = folder / kind.__module__
    return kind(**{field.name: place / field.name for field in dataclasses.fields(kind)} | given)


def _ingest_paths(folder: Path) -> ingest.Paths:
    paths: ingest.Paths = _paths(
        ingest.Paths, folder, images=folder / "image.tar.gz", captions=folder / "captions.csv", out=folder / "shards"
    )
    return paths


def _plain_decode_and_write(folder: Path) -> None:
    """What anybody would write in ten lines: read, decode to RGB, write the file on."""
    with tarfile.open(folder / "image.tar.gz", "r:gz") as source, tarfile.open(folder / "plain.tar", "w") as target:
        for member in source:
            file = source.extractfile(member)
            data = file.read() if file else b""
            Image.open(io.BytesIO(data)).convert("RGB")
            target.addfile(member, io.BytesIO(data))


def measure_ingest(folder: Path) -> Result:
    """Ingestion of photograph-sized JPEG files against decoding and writing them."""
    write_photo_archive(folder, _PHOTOS)
    parameters, paths = project(folder), _ingest_paths(folder)

    def whole_stage() -> None:
        shutil.rmtree(paths.parts, ignore_errors=True)
        ingest.ingest(parameters, paths)

    _plain_decode_and_write(folder)
    whole_stage()
    plain, stage = best_seconds(lambda: _plain_decode_and_write(folder), 3), best_seconds(whole_stage, 3)
    detail = f"{_PHOTOS / stage:.0f} against {_PHOTOS / plain:.0f} images/s"
    return Result("ingest, speed of plain decode-and-write", plain / stage, 0.8, True, "x", detail)


def _sprite_shards(folder: Path) -> Path:
    parameters = project(folder, images_per_shard=_SPRITES)
    sized = parameters.model_copy(
        update={"spriteworld": parameters.spriteworld.model_copy(update={"images": int(_SPRITES)})}
    )
    write_sprite_archive(folder, sized)
    ingest.ingest(parameters, _ingest_paths(folder))
    return folder / "shards"


def _batches(shards: Path, size: int) -> list[list[Sample]]:
    samples = [sample for shard in sorted(shards.glob("*.tar")) for sample in read_samples(shard)]
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def measure_boxes(folder: Path) -> Result:
    """The boxes stage against its detector's forward calls on the same batches."""
    shards = _sprite_shards(folder)
    parameters = project(folder)
    settings, compute = parameters.boxes, parameters.compute
    detector = load_detector(
        DetectorSettings(**{name: getattr(settings, name) for name in DetectorSettings._fields}), compute
    )
    prepared = []
    for batch in _batches(shards, settings.batch):
        crops = [square_crop(stored_picture(item.image), settings.resolution) for item in batch]
        prepared.append(detector.prepare(crops, [query_text(item.facts["caption"]) for item in batch]))

    @torch.inference_mode()
    def bare() -> None:
        for inputs in prepared:
            detector.model(**inputs)

    names = {
        "out": "boxes",
        "quarantine": "b.jsonl",
        "provenance": "p.json",
        "figure": "b.png",
        "metrics": "b.json",
        "parts": "parts-b",
    }
    paths = boxes.Paths(shards=shards, truth=folder / "truth.parquet", **{k: folder / v for k, v in names.items()})
    return _against("boxes", bare, lambda: boxes.make_boxes(parameters, paths), paths.parts)


def measure_latents(folder: Path) -> Result:
    """The latents stage against its encoder's forward calls on the same batches."""
    shards = _sprite_shards(folder)
    parameters = project(folder)
    settings = parameters.latents
    autoencoder = load_autoencoder(settings.autoencoder, settings.revision, settings.subfolder, parameters.compute)
    prepared = [crops_of(batch, settings.resolution) for batch in _batches(shards, settings.batch)]

    def bare() -> None:
        for images in prepared:
            autoencoder.encode(images, None)

    names = {
        "out": "latents",
        "quarantine": "l.jsonl",
        "provenance": "p.json",
        "figure": "l.png",
        "metrics": "l.json",
        "parts": "parts-l",
    }
    paths = latents.Paths(shards=shards, **{k: folder / v for k, v in names.items()})
    return _against("latents", bare, lambda: latents.make_latents(parameters, paths), paths.parts)


def _against(name: str, bare: Callable[[], object], stage: Callable[[], object], parts: Path) -> Result:
    """Interleaved, so that a change of the machine's pace meets both."""
    bare()
    times: dict[str, list[float]] = {"bare": [], "stage": []}
    for _ in range(5):
        times["bare"].append(seconds(bare))
        shutil.rmtree(parts, ignore_errors=True)
        times["stage"].append(seconds(stage))
    best = {key: min(values) for key, values in times.items()}
    detail = f"{best['stage']:.1f} s against {best['bare']:.1f} s"
    return Result(f"{name}, time over bare model calls", best["stage"] / best["bare"], 1.10, False, "x", detail)
