"""Checkpoints that do not fit are refused by name; nothing in them is ever run."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tasks.common.errors import UserError
from tasks.corpus.autoencoder import ImageAutoencoder
from tasks.corpus.detector import PhraseDetector

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models" / "sprite"
WEIGHTS = "diffusion_pytorch_model.safetensors"
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODELS / "autoencoder", tmp_path / "autoencoder"))


def load(folder: Path) -> ImageAutoencoder:
    return ImageAutoencoder(str(folder), None, None, "cpu", torch.float32)


def drop(tensors: Tensors) -> None:
    for key in sorted(tensors)[:7]:
        del tensors[key]


def add(tensors: Tensors) -> None:
    tensors["encoder.more.weight"] = torch.zeros(1)


def reshape(tensors: Tensors) -> None:
    tensors["quant_conv.bias"] = torch.zeros(3)


def poison(tensors: Tensors) -> None:
    tensors["quant_conv.bias"][0] = float("nan")


def test_the_shipped_one_loads(copy: Path) -> None:
    assert load(copy).scaling_factor == json.loads((copy / "config.json").read_text())["scaling_factor"]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (drop, ["(missing)", "and 2 more"]),
        (add, ["encoder.more.weight (not known)"]),
        (reshape, ["quant_conv.bias"]),
        (poison, ["NaN or infinity", "quant_conv.bias"]),
    ],
)
def test_weights_that_differ_are_named(copy: Path, change: Callable[[Tensors], None], parts: list[str]) -> None:
    tensors = load_file(copy / WEIGHTS)
    change(tensors)
    save_file(tensors, copy / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(UserError) as caught:
        load(copy)
    assert "\n" not in str(caught.value)
    for part in [str(copy), *parts]:
        assert part in str(caught.value)


class Canary:
    """Runs a command where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.path,))


def test_a_pickle_in_disguise_is_refused_and_not_run(copy: Path, tmp_path: Path) -> None:
    (copy / WEIGHTS).write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    with pytest.raises(UserError):
        load(copy)
    (copy / WEIGHTS).rename(copy / "diffusion_pytorch_model.bin")
    with pytest.raises(UserError, match=r"`python -m tasks\.lvd\.convert_text_to_video` makes safetensors"):
        load(copy)
    assert not (tmp_path / "canary").exists()


def test_damaged_files_are_refused(copy: Path) -> None:
    whole = (copy / WEIGHTS).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], struct.pack("<Q", 200_000_000) + b"{" * 100):
        (copy / WEIGHTS).write_bytes(damaged)
        with pytest.raises(UserError, match="cannot load it"):
            load(copy)
    (copy / "config.json").write_text("{")
    with pytest.raises(UserError):
        load(copy)


def test_another_family_is_refused() -> None:
    with pytest.raises(UserError, match="AutoencoderKL cannot load"):
        load(MODELS / "detector")
    with pytest.raises(UserError, match="AutoProcessor cannot read"):
        PhraseDetector(str(MODELS / "autoencoder"), None, "cpu", torch.float32)


def test_a_detector_without_its_head_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODELS / "detector", tmp_path / "detector"))
    tensors = {key: value for key, value in load_file(folder / "model.safetensors").items() if "bbox_embed" not in key}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="bbox_embed"):
        PhraseDetector(str(folder), None, "cpu", torch.float32)


@pytest.mark.parametrize("name", ["models/sprite/nothing", "/nowhere/at/all", "./here"])
def test_a_missing_folder_is_not_looked_up_elsewhere(name: str) -> None:
    with pytest.raises(UserError, match="no such folder"):
        PhraseDetector(name, None, "cpu", torch.float32)


def test_the_weights_have_one_precision_and_no_code() -> None:
    for config in MODELS.glob("*/config.json"):
        assert "auto_map" not in json.loads(config.read_text())
    for file in MODELS.glob("*/*.safetensors"):
        wanted = torch.float32 if file.parent.name == "adapters" else torch.float16  # adapters are as `igligen` wrote them
        assert {tensor.dtype for tensor in load_file(file).values() if tensor.is_floating_point()} == {wanted}
    assert not [path for path in MODELS.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt")]
