"""GroundingDINO's own package agrees with transformers on the same weights, alone and in batches; the stage runs with it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from numpy.typing import NDArray

from tasks.common.corpus_shards import CorpusShardWriter
from tasks.common.errors import UserError
from tasks.common.provenance import file_sha256, path_sha256
from tasks.corpus import groundingdino_compatibility
from tasks.corpus.convert_groundingdino import convert
from tasks.corpus.detector import Detector, PhraseDetector
from tasks.corpus.groundingdino_files import read_config, read_text_encoder
from tasks.corpus.groundingdino_package import PackageDetector
from tasks.spriteworld.scene import caption_of, sample_scene
from tasks.spriteworld.spriteworld import _png, write_truth
from tests.corpus.groundingdino_for_tests import CONFIG, write_text_encoder

ROOT = Path(__file__).resolve().parents[2]
TOY = (ROOT / "profiles" / "toy.yaml").read_text(encoding="utf-8")
pytestmark = pytest.mark.groundingdino
TEXTS = ["a red car. a blue cat on the grass.", "two dogs.", "a small bird with a green car and a red dog."]


class Files(NamedTuple):
    """An original checkpoint, its configuration, BERT's folder, and the same checkpoint converted."""

    weights: Path
    config: Path
    text_encoder: Path
    converted: Path


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("original")
    package = groundingdino_compatibility.import_package()
    (folder / "config.py").write_text(CONFIG)
    encoder = write_text_encoder(folder / "bert")
    torch.manual_seed(0)
    model = groundingdino_compatibility.build_model(
        package, read_config(folder / "config.py"), read_text_encoder(str(encoder))
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():  # biases, norms and the box head start at 0 or 1
            if weight.dim() < 2 or "bbox_embed" in name:
                weight.add_(torch.randn_like(weight) * 0.05)
    stored = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    stored |= {"module.label_enc.weight": torch.zeros(2, 2), "module.bert.embeddings.position_ids": torch.arange(3)}
    torch.save({"model": stored, "epoch": 1}, folder / "weights.pth")
    convert(folder / "weights.pth", folder / "config.py", str(encoder), folder / "converted")
    return Files(folder / "weights.pth", folder / "config.py", encoder, folder / "converted")


def opened(files: Files, weights: Path | None = None, dtype: torch.dtype = torch.float32) -> Detector:
    return PackageDetector(weights or files.weights, files.config, str(files.text_encoder), "cpu", dtype)


@pytest.fixture(scope="module")
def package_detector(files: Files) -> Detector:
    return opened(files)


@pytest.fixture(scope="module")
def converted_detector(files: Files) -> PhraseDetector:
    return PhraseDetector(str(files.converted), None, "cpu", torch.float32)


def crops(number: int, side: int = 128) -> list[NDArray[np.uint8]]:
    return [np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8) for seed in range(number)]


LONG = "red car " * 400 + "."


@pytest.mark.parametrize(
    ("texts", "side"),
    [(TEXTS[:1], 64), (TEXTS[1:2], 256), (TEXTS, 128), ([".", LONG], 96), (["???", "... a cat ? a dog.", ""], 96)],
)
def test_both_back_ends_agree(
    package_detector: Detector, converted_detector: PhraseDetector, texts: list[str], side: int
) -> None:
    pictures = crops(len(texts), side)
    original, converted = (each.answer(each.prepare(pictures, texts)) for each in (package_detector, converted_detector))
    assert np.array_equal(original.ids_BT, converted.ids_BT)
    assert np.abs(original.probabilities_BQT - converted.probabilities_BQT).max() < 1e-3
    assert np.abs(original.boxes_BQ4 - converted.boxes_BQ4).max() < 1e-3
    assert original.probabilities_BQT.std() > 0.1, "a comparison of constants"
    both = (each.select(original, 0.3, 0.3) for each in (package_detector, converted_detector))
    found, again = ([item.phrases for item in image] for image in both)
    assert found == again


def test_phrases_are_those_of_the_other_back_end(package_detector: Detector, converted_detector: PhraseDetector) -> None:
    phrases = [
        sorted(
            phrase for item in each.select(each.answer(each.prepare(crops(3), TEXTS)), 0.3, 0.3) for phrase in item.phrases
        )
        for each in (package_detector, converted_detector)
    ]
    assert phrases[0] == phrases[1]
    assert len(set(phrases[0])) > 3


def test_an_image_is_read_alike_alone_and_in_a_batch(package_detector: Detector) -> None:
    pictures = crops(3)
    together = package_detector.answer(package_detector.prepare(pictures, TEXTS))
    for index, (picture, text) in enumerate(zip(pictures, TEXTS, strict=True)):
        alone = package_detector.answer(package_detector.prepare([picture], [text]))
        tokens = alone.ids_BT.shape[1]
        assert np.abs(alone.probabilities_BQT[0] - together.probabilities_BQT[index, :, :tokens]).max() < 1e-3
        assert np.abs(alone.boxes_BQ4[0] - together.boxes_BQ4[index]).max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_autocast(files: Files, dtype: torch.dtype) -> None:
    detector = opened(files, dtype=dtype)
    inputs = detector.prepare(crops(2), TEXTS[:2])
    assert inputs["pixel_values"].dtype == torch.float32
    answer = detector.answer(inputs)
    assert np.isfinite(answer.probabilities_BQT).all()
    assert np.isfinite(answer.boxes_BQ4).all()


def test_texts_are_cut_to_the_model(package_detector: Detector) -> None:
    assert [package_detector.is_cut(text) for text in (LONG, "a red car.")] == [True, False]
    assert package_detector.prepare(crops(1), [LONG])["input_ids"].shape == (1, 256)


def _changed(files: Files, target: Path, change: str) -> Path:
    stored = torch.load(files.weights, weights_only=True)
    weights = stored["model"]
    if change == "missing":
        for name in sorted(weights)[:7]:
            del weights[name]
    elif change == "not known":
        weights["module.more"] = torch.zeros(1)
    elif change == "other shape":
        weights["module.feat_map.bias"] = torch.zeros(3)
    else:
        weights["module.feat_map.bias"][1] = float("nan")
    torch.save(stored, target)
    return target


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("missing", ["backbone.0.layers.0.blocks.0.attn.proj.bias (missing)", "and 2 more"]),
        ("not known", ["more (not known)"]),
        ("other shape", ["feat_map.bias (other shape)"]),
        ("nan", ["1 weights hold NaN or infinity, first feat_map.bias"]),
    ],
)
def test_weights_that_differ_are_named(files: Files, tmp_path: Path, change: str, parts: list[str]) -> None:
    weights = _changed(files, tmp_path / "changed.pth", change)
    with pytest.raises(UserError) as by_the_package:
        opened(files, weights)
    for part in [str(weights), *parts]:
        assert part in str(by_the_package.value)
    with pytest.raises(UserError, match=r"changed\.pth"):
        convert(weights, files.config, str(files.text_encoder), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_downloaded(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert not list(files.text_encoder.glob("*.safetensors"))
    opened(files)


def test_what_fits_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once torchvision can be imported, nothing is declared a second time, which torch would refuse."""
    groundingdino_compatibility.let_torchvision_import()
    declared: list[str] = []
    monkeypatch.setattr(torch.library, "define", lambda name, schema: declared.append(name))
    groundingdino_compatibility.let_torchvision_import()
    assert declared == []


def run_boxes(work: Path, out: str, boxes: dict[str, str]) -> None:
    """The stage in a process of its own, where nothing of transformers or torchvision is imported yet."""
    params = TOY.replace("workers: 2", "workers: 1")
    for name, value in {"box_threshold": "0.05", "text_threshold": "0.05", "max_bad_fraction": "1.0", **boxes}.items():
        params = re.sub(rf"(\nboxes:\n(?:  .*\n)*?  {name}:) [^\n#]*", rf"\1 {value}  ", params)
    (work / "params.yaml").write_text(params)
    names = {"shards": "shards", "truth": "truth.parquet", "out": out, "quarantine": f"{out}.jsonl", "figure": f"{out}.png"}
    names |= {"provenance": f"{out}-made.json", "metrics": f"{out}.json", "parts": f"parts/{out}", "params": "params.yaml"}
    options = [word for name, value in names.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-m", "tasks.corpus.boxes", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


def test_the_stage_runs_with_either_back_end(files: Files, tmp_path: Path) -> None:
    scenes = {f"sprite_{number}": sample_scene(np.random.default_rng(number)) for number in range(3)}
    (tmp_path / "shards").mkdir()
    with CorpusShardWriter(tmp_path / "shards" / "corpus-000000.tar") as writer:
        for key, scene in scenes.items():
            writer.write(key, _png(scene), "png", {"caption": caption_of(scene)})
    write_truth(scenes, tmp_path / "truth.parquet")
    original = {"detector": files.weights, "config": files.config, "text_encoder": files.text_encoder}
    run_boxes(tmp_path, "original", {"backend": "groundingdino", **{name: str(file) for name, file in original.items()}})
    run_boxes(tmp_path, "converted", {"detector": str(files.converted)})
    rows = [parquet.read_table(tmp_path / out / "corpus-000000.parquet").to_pylist() for out in ("original", "converted")]
    assert [row["key"] for row in rows[0]] == list(scenes)
    for row, other in zip(*rows, strict=True):
        assert row["phrases"]
        assert row["scores"] == pytest.approx(other["scores"], abs=1e-3)
    made = json.loads((tmp_path / "original-made.json").read_text())
    assert made["checkpoint"] == {
        "weights": file_sha256(files.weights),
        "config": file_sha256(files.config),
        "text_encoder": path_sha256(files.text_encoder),
        "groundingdino-py": "0.4.0",
    }
    assert made["settings"]["backend"] == "groundingdino"
