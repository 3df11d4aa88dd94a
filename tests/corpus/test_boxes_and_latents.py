"""The two model stages on small corpora: formats, order, posterior samples, refusal of NaN."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch

from tasks.common import stage
from tasks.common.corpus_shards import CorpusShardWriter, read_samples
from tasks.common.latent_files import LatentFacts, load_latents, save_latents
from tasks.common.provenance import file_sha256, path_sha256
from tasks.corpus import boxes, latents
from tasks.corpus.autoencoder import ImageAutoencoder
from tasks.corpus.shard_to_latents import load_autoencoder
from tasks.spriteworld.scene import caption_of, sample_scene
from tasks.spriteworld.spriteworld import _png, write_truth

ROOT = Path(__file__).resolve().parents[2]
TOY = (ROOT / "profiles" / "toy.yaml").read_text(encoding="utf-8").replace("workers: 2", "workers: 1")
SCENES = {f"sprite_{n}": sample_scene(np.random.default_rng(n)) for n in range(7)}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two shards (five and two images; one without a caption), true boxes and parameters."""
    shards = tmp_path / "shards"
    shards.mkdir()
    keys = list(SCENES)
    for number, some in enumerate((keys[:5], keys[5:])):
        with CorpusShardWriter(shards / f"corpus-{number:06d}.tar") as writer:
            for key in some:
                caption = "" if key == "sprite_3" else caption_of(SCENES[key])
                writer.write(key, _png(SCENES[key]), "png", {"caption": caption})
    write_truth(SCENES, tmp_path / "truth.parquet")
    (tmp_path / "params.yaml").write_text(TOY)
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_boxes(work: Path, out: str = "boxes") -> int:
    arguments = {"shards": "shards", "truth": "truth.parquet", "out": out, "quarantine": f"{out}.jsonl"}
    arguments["provenance"] = f"{out}-provenance.json"
    arguments |= {"figure": f"{out}.png", "metrics": f"{out}.json", "parts": f"parts/{out}", "params": "params.yaml"}
    return stage.main("boxes", boxes.Paths, boxes.make_boxes, arguments=options(arguments))


def run_latents(work: Path, out: str = "latents") -> int:
    arguments = {"shards": "shards", "out": out, "quarantine": f"{out}.jsonl", "figure": f"{out}.png"}
    arguments["provenance"] = f"{out}-provenance.json"
    arguments |= {"metrics": f"{out}.json", "parts": f"parts/{out}", "params": "params.yaml"}
    return stage.main("latents", latents.Paths, latents.make_latents, arguments=options(arguments))


def options(values: dict[str, str]) -> list[str]:
    return [word for name, value in values.items() for word in (f"--{name}", value)]


def test_boxes_are_parquet_per_shard(work: Path) -> None:
    assert run_boxes(work) == 0
    tables = [parquet.read_table(work / "boxes" / f"corpus-{n:06d}.parquet") for n in (0, 1)]
    assert [table.num_rows for table in tables] == [4, 2], "the image without a caption has no row"
    row = tables[0].to_pylist()[0]
    assert row["key"] == "sprite_0"
    assert row["caption"] == caption_of(SCENES["sprite_0"])
    assert len(row["boxes"]) == len(row["scores"]) == len(row["phrases"])
    assert all(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 for x0, y0, x1, y1 in row["boxes"])
    settings = json.loads(tables[0].schema.metadata[b"groundreel"])
    assert settings["detector"] == "models/sprite/detector"
    metrics = json.loads((work / "boxes.json").read_text())
    assert metrics["images"] == 7
    assert metrics["images_without_caption"] == 1
    assert metrics["images_with_true_boxes"] == 6
    assert metrics["recall"] > 0.5
    provenance = json.loads((work / "boxes-provenance.json").read_text())
    assert provenance["settings"] == settings
    assert provenance["checkpoint"] == path_sha256(ROOT / "models/sprite/detector")
    assert provenance["inputs"] == {file.name: file_sha256(file) for file in sorted((work / "shards").iterdir())}
    assert (work / "boxes.png").read_bytes().startswith(b"\x89PNG")


def test_without_true_boxes_the_scores_are_unknown(work: Path) -> None:
    write_truth({}, work / "truth.parquet")
    assert run_boxes(work) == 0
    metrics = json.loads((work / "boxes.json").read_text())
    assert metrics["images_with_true_boxes"] == 0
    assert metrics["precision"] is None


def test_images_without_boxes_are_kept_or_left_out(work: Path) -> None:
    nothing = TOY.replace("box_threshold: 0.4", "box_threshold: 0.999")
    for keep, rows in (("true", 4), ("false", 0)):
        (work / "params.yaml").write_text(nothing.replace("keep_empty: true", f"keep_empty: {keep}"))
        assert run_boxes(work, out=f"boxes-{keep}") == 0
        assert parquet.read_table(work / f"boxes-{keep}" / "corpus-000000.parquet").num_rows == rows
        assert json.loads((work / f"boxes-{keep}.json").read_text())["images_without_boxes"] == 6


def test_latents_are_safetensors_per_shard(work: Path) -> None:
    assert run_latents(work) == 0
    latents_NChw, facts = load_latents(work / "latents" / "corpus-000000.safetensors")
    assert latents_NChw.shape == (5, 4, 16, 16)
    assert latents_NChw.dtype == torch.float16
    assert facts.keys == [f"sprite_{n}" for n in range(5)]
    assert facts.scaling_factor == json.loads((ROOT / "models/sprite/autoencoder/config.json").read_text())["scaling_factor"]
    metrics = json.loads((work / "latents.json").read_text())
    assert metrics["latents"] == 7
    assert metrics["reconstruction_psnr_db"] > 25
    every = torch.cat([load_latents(work / "latents" / f"corpus-{n:06d}.safetensors")[0] for n in (0, 1)]).double()
    assert metrics["mean"] == pytest.approx(float(every.mean()), abs=1e-3)
    assert metrics["standard_deviation"] == pytest.approx(float(every.std()), abs=1e-3)


def test_the_same_inputs_give_the_same_bytes(work: Path) -> None:
    for out in ("first", "second"):
        assert run_latents(work, out) == 0
    for name in ("corpus-000000.safetensors", "corpus-000001.safetensors"):
        assert (work / "first" / name).read_bytes() == (work / "second" / name).read_bytes()
    for name in ("first", "second"):
        assert run_boxes(work, f"boxes-{name}") == 0
    for name in ("corpus-000000.parquet", "corpus-000001.parquet"):
        assert (work / "boxes-first" / name).read_bytes() == (work / "boxes-second" / name).read_bytes()


def test_a_sample_differs_from_the_mode_by_seed_and_key() -> None:
    autoencoder = ImageAutoencoder(str(ROOT / "models/sprite/autoencoder"), None, None, "cpu", torch.float32)
    images = np.stack([np.full((64, 64, 3), 90, np.uint8)] * 2)
    mode = autoencoder.encode(images, None)
    first, again, other = (
        autoencoder.encode(images, [1, 2]),
        autoencoder.encode(images, [1, 2]),
        autoencoder.encode(images, [2, 1]),
    )
    assert torch.equal(first, again)
    assert torch.allclose(first, other.flip(0))
    assert not torch.equal(first[0], first[1])
    assert float((first - mode).abs().mean()) > 0


def test_latents_that_are_not_finite_are_quarantined(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A huge scaling factor makes real latents overflow half precision."""
    load_autoencoder.cache_clear()
    config = json.loads((ROOT / "models/sprite/autoencoder/config.json").read_text())
    folder = work / "overflowing"
    folder.mkdir()
    for file in (ROOT / "models/sprite/autoencoder").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {"scaling_factor": 1e9}))
    (work / "params.yaml").write_text(TOY.replace("models/sprite/autoencoder", "./overflowing"))
    assert run_latents(work) == 1
    assert not (work / "latents").exists()


def test_metadata_survives_and_bytes_do_not_vary(tmp_path: Path) -> None:
    facts = LatentFacts(["a", "ü"], "vae", None, 0.5, 64, "mode")
    for name in ("a", "b"):
        save_latents(tmp_path / name, torch.ones(2, 4, 2, 2).half(), facts)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert load_latents(tmp_path / "a")[1] == facts


def test_shards_read_back_as_written(work: Path) -> None:
    samples = list(read_samples(work / "shards" / "corpus-000001.tar"))
    assert [sample.key for sample in samples] == ["sprite_5", "sprite_6"]
    assert samples[0].image == _png(SCENES["sprite_5"])
    assert samples[0].facts["caption"] == caption_of(SCENES["sprite_5"])
