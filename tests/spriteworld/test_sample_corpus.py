"""The sample corpus has the form that a user would bring."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from PIL import Image

from tasks.common import stage
from tasks.spriteworld import spriteworld
from tasks.spriteworld.render import render_scene

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, seed: int = 0, images: int = 12) -> Path:
    folder.mkdir()
    text = (ROOT / "profiles" / "toy.yaml").read_text().replace("seed: 0", f"seed: {seed}")
    (folder / "params.yaml").write_text(text.replace("images: 500", f"images: {images}"))
    arguments = ["--params", str(folder / "params.yaml")]
    for name, file in (("archive", "image.tar.gz"), ("captions", "captions.csv"), ("truth", "boxes.parquet")):
        arguments += [f"--{name}", str(folder / file)]
    arguments += ["--metrics", str(folder / "metrics.json")]
    assert stage.main("spriteworld", spriteworld.Paths, spriteworld.make_sample, arguments=arguments) == 0
    return folder


def test_archive_captions_and_truth_agree(tmp_path: Path) -> None:
    folder = run(tmp_path / "a")
    with tarfile.open(folder / "image.tar.gz", "r:gz") as tar:
        images = {Path(item.name).stem: Image.open(io.BytesIO(tar.extractfile(item).read())) for item in tar}  # type: ignore[union-attr]
    with (folder / "captions.csv").open(newline="") as file:
        captions = {row["key"]: row["caption"] for row in csv.DictReader(file)}
    truth = {row["key"]: row for row in parquet.read_table(folder / "boxes.parquet").to_pylist()}
    assert list(images) == list(captions) == list(truth)
    assert len(images) == 12
    for key, row in truth.items():
        assert images[key].size == (64, 64)
        assert len(row["boxes"]) == len(row["phrases"]) > 0
        assert all(phrase in captions[key] for phrase in row["phrases"])


def test_same_seed_same_bytes_and_a_key_keeps_its_scene(tmp_path: Path) -> None:
    first, second, other = run(tmp_path / "a"), run(tmp_path / "b"), run(tmp_path / "c", seed=1)
    for name in ("image.tar.gz", "captions.csv", "boxes.parquet", "metrics.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert (first / "captions.csv").read_bytes() != (other / "captions.csv").read_bytes()
    few = spriteworld.sample_scenes(spriteworld.Parameters(images=2, most_objects=4), 0)
    many = spriteworld.sample_scenes(spriteworld.Parameters(images=5, most_objects=4), 0)
    for key in few:
        assert np.array_equal(render_scene(few[key]), render_scene(many[key]))
