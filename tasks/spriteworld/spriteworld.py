"""Stage `spriteworld`: a sample corpus in the form that a user would bring, with its true boxes beside it."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
from PIL import Image
from pydantic import Field

from tasks.common import stage
from tasks.common.files import complete
from tasks.common.parameters import Section
from tasks.common.seeds import item_seed
from tasks.spriteworld.render import render_scene
from tasks.spriteworld.scene import CANVAS_PIXELS, Scene, caption_of, object_phrases, sample_scene

_TRUTH_SCHEMA = pyarrow.schema(
    [
        ("key", pyarrow.string()),
        ("boxes", pyarrow.list_(pyarrow.list_(pyarrow.float32(), 4))),
        ("phrases", pyarrow.list_(pyarrow.string())),
    ]
)


class Parameters(Section):
    """How large the sample corpus is."""

    images: int = Field(ge=1, le=1_000_000, description="images in the sample archive")
    most_objects: int = Field(ge=1, le=4, description="sprites in one image, at most")


@dataclass(frozen=True)
class Paths:
    """Image archive, captions, true boxes and metrics out."""

    archive: Path
    captions: Path
    truth: Path
    metrics: Path


def sample_scenes(parameters: Parameters, seed: int) -> dict[str, Scene]:
    """Scenes by key; each depends on the seed and its key alone."""
    keys = [f"sprite_{number:06d}" for number in range(parameters.images)]
    return {key: sample_scene(np.random.default_rng(item_seed(seed, key)), parameters.most_objects) for key in keys}


def _png(scene: Scene) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(render_scene(scene)).save(buffer, "PNG")
    return buffer.getvalue()


def write_archive(scenes: dict[str, Scene], path: Path) -> None:
    """A gzipped tar of PNG files, `images/KEY.png`, without times or owners."""
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=cast(BinaryIO, packed), mode="w") as tar,
    ):
        for key, scene in scenes.items():
            data = _png(scene)
            member = tarfile.TarInfo(f"images/{key}.png")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def write_captions(scenes: dict[str, Scene], path: Path) -> None:
    """`key,caption` lines with a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["key", "caption"])
        writer.writerows((key, caption_of(scene)) for key, scene in scenes.items())


def write_truth(scenes: dict[str, Scene], path: Path) -> None:
    """Parquet of key, boxes (x0, y0, x1, y1) in 0..1, and the caption's phrase for each."""
    rows = [
        {
            "key": key,
            "boxes": [[value / CANVAS_PIXELS for value in item.box] for item in scene.objects],
            "phrases": list(object_phrases(scene)),
        }
        for key, scene in scenes.items()
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows, _TRUTH_SCHEMA), path)


def _counts(scenes: Sequence[Scene]) -> dict[str, Any]:
    objects = [item for scene in scenes for item in scene.objects]
    return {
        "images": len(scenes),
        "objects": len(objects),
        "objects_by_class": dict(sorted(Counter(item.class_name for item in objects).items())),
        "images_by_object_count": dict(sorted(Counter(len(scene.objects) for scene in scenes).items())),
    }


def make_sample(project: Any, paths: Paths) -> stage.Metrics:
    """Renders the corpus and writes its three files."""
    scenes = sample_scenes(project.spriteworld, project.seed)
    with complete(paths.archive) as path:
        write_archive(scenes, path)
    with complete(paths.captions) as path:
        write_captions(scenes, path)
    with complete(paths.truth) as path:
        write_truth(scenes, path)
    return _counts(list(scenes.values()))


if __name__ == "__main__":
    sys.exit(stage.main("spriteworld", Paths, make_sample))
