"""Corpora to measure on, made on the spot."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.common.parameters import load_parameters
from tasks.parameters import ProjectParameters
from tasks.spriteworld.render import render_scene
from tasks.spriteworld.scene import sample_scene
from tasks.spriteworld.spriteworld import sample_scenes, write_archive, write_captions, write_truth

ROOT = Path(__file__).resolve().parents[1]


def project(folder: Path, **changes: str) -> ProjectParameters:
    """The toy profile with one worker and textual changes."""
    text = (ROOT / "profiles" / "toy.yaml").read_text(encoding="utf-8").replace("workers: 2", "workers: 1")
    for old, new in changes.items():
        text = text.replace(f"{old}: ", f"{old}: {new} # ")
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    return load_parameters(folder / "params.yaml", ProjectParameters)


def write_photo_archive(folder: Path, count: int) -> None:
    """JPEG files of 640x480 with the grain of photographs, in a gzipped tar, and their captions."""
    random = np.random.default_rng(0)
    lines = ["key,caption"]
    with tarfile.open(folder / "image.tar.gz", "w:gz", compresslevel=1) as tar:
        for number in range(count):
            render = Image.fromarray(render_scene(sample_scene(random))).resize((640, 480), Image.Resampling.BICUBIC)
            grain = random.normal(0, 9, (480, 640, 1))
            pixels = np.clip(np.asarray(render) + grain, 0, 255).astype(np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
            member = tarfile.TarInfo(f"image_{number}.jpg")
            member.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(member, buffer)
            lines.append(f"image_{number},a picture with the number {number}")
    (folder / "captions.csv").write_text("\n".join(lines), encoding="utf-8")


def write_sprite_archive(folder: Path, parameters: ProjectParameters) -> None:
    """The sample corpus with its captions and true boxes."""
    scenes = sample_scenes(parameters.spriteworld, parameters.seed)
    write_archive(scenes, folder / "image.tar.gz")
    write_captions(scenes, folder / "captions.csv")
    write_truth(scenes, folder / "truth.parquet")
