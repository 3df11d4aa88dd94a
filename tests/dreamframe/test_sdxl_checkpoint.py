"""Opening Stable Diffusion XL: the pipeline that was saved, and one line for each fault."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tasks.common.errors import UserError
from tasks.dreamframe.sdxl_checkpoint import load_refiner, load_sdxl, text_widths
from tests.dreamframe.keyframes_for_tests import write_models
from tests.dreamframe.sdxl_for_tests import WIDTHS, tiny_sdxl
from tests.video.tiny_text_to_video import write_tiny_text_to_video


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


def test_the_pipeline_is_the_one_that_was_saved(models: Path) -> None:
    found = load_sdxl(str(models / "model"), None, "cpu", torch.float32, "DDPMScheduler")
    assert text_widths(str(models / "model"), None) == WIDTHS
    assert found.watermark is None
    pictures = []
    for pipeline in (found, tiny_sdxl()):
        pipeline.set_progress_bar_config(disable=True)
        generator = torch.Generator().manual_seed(0)
        settings = {"num_inference_steps": 2, "height": 32, "width": 32, "output_type": "np", "generator": generator}
        pictures.append(pipeline("a dog", **settings).images)
    assert np.array_equal(*pictures)


def test_the_refiner_shares_what_it_can(models: Path) -> None:
    base = load_sdxl(str(models / "model"), None, "cpu", torch.float32)
    refiner = load_refiner(base, str(models / "refiner"), None, "cpu", torch.float32)
    assert refiner.vae is base.vae
    assert refiner.text_encoder_2 is base.text_encoder_2
    assert refiner.unet is not base.unet
    assert refiner.config.requires_aesthetics_score
    assert not refiner.config.force_zeros_for_empty_prompt
    assert base.config.force_zeros_for_empty_prompt
    with pytest.raises(UserError, match=r"model: text width 40, but its unet is made for 64"):
        load_refiner(base, str(models / "model"), None, "cpu", torch.float32)


def without(*path: str) -> Callable[[Path], None]:
    def spoil(model: Path) -> None:
        place = model.joinpath(*path)
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    return spoil


def cut_weights(model: Path) -> None:
    file = model / "vae" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:999])


def lost_key(model: Path) -> None:
    file = model / "text_encoder_2" / "model.safetensors"
    weights = load_file(file)
    del weights["text_projection.weight"]
    save_file(weights, file, {"format": "pt"})


def nan_weight(model: Path) -> None:
    file = model / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["conv_out.bias"][0] = torch.nan
    save_file(weights, file, {"format": "pt"})


def other_family(model: Path) -> None:
    shutil.rmtree(model)
    write_tiny_text_to_video(model)


def pickled(model: Path) -> None:
    file = model / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(file), file.with_suffix(".bin"))
    file.unlink()


def other_text(model: Path) -> None:
    """Encoders of two models."""
    shutil.rmtree(model / "text_encoder_2")
    shutil.copytree(model / "text_encoder", model / "text_encoder_2")


def broken_index(model: Path) -> None:
    (model / "model_index.json").write_text("{")


def hostile_index(model: Path) -> None:
    (model / "model_index.json").write_text(json.dumps({"_class_name": "\x1b[31mStable\n" * 100}))


FAULTS = {
    "family": (other_family, "TextToVideoSDPipeline, not of the family of Stable Diffusion XL"),
    "cut": (cut_weights, "AutoencoderKL cannot load it"),
    "key": (lost_key, r"text_projection.weight (missing)"),
    "nan": (nan_weight, "NaN or infinity"),
    "pickle": (pickled, "UNet2DConditionModel cannot load it"),
    "no folder": (without(), "no such folder"),
    "no index": (without("model_index.json"), "no pipeline"),
    "broken index": (broken_index, "no pipeline"),
    "hostile index": (hostile_index, "not of the family"),
    "no tokenizer": (without("tokenizer_2"), "tokenizer"),
    "no encoder": (without("text_encoder_2"), "cannot load it"),
    "no scheduler": (without("scheduler"), "EulerDiscreteScheduler cannot read it"),
    "encoders": (other_text, "text_projection.weight"),
}


@pytest.mark.parametrize(("spoil", "said"), FAULTS.values(), ids=FAULTS)
def test_faults_are_one_line(spoil: Callable[[Path], None], said: str, models: Path, tmp_path: Path) -> None:
    own = tmp_path / "model"
    shutil.copytree(models / "model", own)
    spoil(own)
    with pytest.raises(UserError) as caught:
        load_sdxl(str(own), None, "cpu", torch.float32)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


def test_a_scheduler_that_is_none(models: Path) -> None:
    for name in ("WishScheduler", "UNet2DConditionModel", "os"):
        with pytest.raises(UserError, match="no such scheduler"):
            load_sdxl(str(models / "model"), None, "cpu", torch.float32, name)
