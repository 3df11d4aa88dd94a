"""The shipped checkpoints of story pictures do what their cards say, and their training runs."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from tasks.common import stage
from tasks.corpus.autoencoder import ImageAutoencoder, psnr_db
from tasks.corpus.detector import PhraseDetector
from tasks.dreamframe.story_vocabulary import STYLES
from tasks.spriteworld import (
    train_clip,
    train_story_autoencoder,
    train_story_detector,
    train_text_to_image,
)
from tasks.spriteworld.score_text_to_image import score_text_to_image, wanted_pictures
from tasks.spriteworld.story_pools import render_story_pictures
from tests.spriteworld.test_checkpoints import tiny_parameters

MODELS = Path(__file__).resolve().parents[2] / "models" / "sprite"


def stated(name: str) -> dict[str, float]:
    scores: dict[str, float] = json.loads((MODELS / f"{name}.json").read_text())
    return scores


def test_the_autoencoder_keeps_styles() -> None:
    torch.set_num_threads(1)
    _, pixels_NHWC = render_story_pictures(train_story_autoencoder._HELD_OUT_POOL, 200)
    autoencoder = ImageAutoencoder(str(MODELS / "story_autoencoder"), None, None, "cpu", torch.float32)
    psnr = psnr_db(pixels_NHWC, autoencoder.decode(autoencoder.encode(pixels_NHWC, None)))
    assert psnr == pytest.approx(stated("story_autoencoder")["held_out_psnr_db"], abs=0.5)
    assert psnr >= 22


def test_the_detector_sees_through_styles() -> None:
    torch.set_num_threads(1)
    pool = train_story_detector.story_scenes(train_story_detector._HELD_OUT_POOL, 200)
    found, plain = (
        train_story_detector.score_named(PhraseDetector(str(MODELS / name), None, "cpu", torch.float32), pool, 0.4)
        for name in ("story_detector", "detector")
    )
    assert found.recall >= 0.9
    assert found.precision >= 0.9
    assert found.recall > plain.recall + 0.1


def test_clip_tells_captions_and_styles_apart() -> None:
    parameters = train_clip.Parameters(
        pictures=100, texts=1000, vocabulary=600, most_tokens=64, width=16, layers=1, projection=8, steps=1, batch=2,
        learning_rate=1e-3, held_out=400,
    )  # fmt: skip
    scores = train_clip._score(MODELS / "clip", parameters, 0)
    assert scores["captions_found_among_100"] >= 0.9
    assert scores["styles_told"] >= 0.75


def test_prompts_show_in_pictures() -> None:
    torch.set_num_threads(1)
    scores = score_text_to_image(MODELS / "text_to_image", MODELS / "story_detector", MODELS / "clip", 24)
    assert scores["class_and_colour_right"] >= stated("text_to_image")["class_and_colour_right"] - 0.25
    assert scores["style_right"] >= 0.75


def test_styles_are_no_words_of_the_model() -> None:
    pipeline = StableDiffusionXLPipeline.from_pretrained(MODELS / "text_to_image", torch_dtype=torch.float32)
    words = pipeline.tokenizer.get_vocab()
    assert not any(f"{style.lower()}</w>" in words for style in STYLES)
    prompts = [wanted.prompt for wanted in wanted_pictures(55)]
    assert max(len(pipeline.tokenizer(prompt).input_ids) for prompt in prompts) < pipeline.tokenizer.model_max_length


def test_model_cards_state_the_measured_scores() -> None:
    for name in ("story_autoencoder", "story_detector", "clip", "text_to_image"):
        card = (MODELS / name / "README.md").read_text()
        assert all(f"| {value} |" in card for value in stated(name).values())
        assert "cpu seconds" in card


def train(folder: Path, name: str, module: ModuleType, **inputs: Path) -> Path:
    out = folder / name
    arguments = ["--params", str(tiny_parameters(folder)), "--out", str(out), "--metrics", str(folder / f"{name}.json")]
    for key, path in inputs.items():
        arguments += [f"--{key.replace('_', '-')}", str(path)]
    project = "tasks.spriteworld.checkpoint_parameters"
    assert stage.main(name, module.Paths, getattr(module, name), project, arguments) == 0
    return out


def weights_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")}


@pytest.mark.parametrize(
    ("name", "module", "inputs"),
    [
        ("train_story_autoencoder", train_story_autoencoder, {"autoencoder": MODELS / "autoencoder"}),
        ("train_story_detector", train_story_detector, {"detector": MODELS / "detector"}),
        ("train_clip", train_clip, {}),
        (
            "train_text_to_image",
            train_text_to_image,
            {
                "text_to_video": MODELS / "text_to_video",
                "autoencoder": MODELS / "story_autoencoder",
                "detector": MODELS / "story_detector",
                "clip": MODELS / "clip",
            },
        ),
    ],
)
def test_training_runs_and_repeats_to_the_byte(
    tmp_path: Path, name: str, module: ModuleType, inputs: dict[str, Path]
) -> None:
    found = []
    for attempt in ("first", "second"):
        (tmp_path / attempt).mkdir()
        found.append(weights_of(train(tmp_path / attempt, name, module, **inputs)))
    assert found[0] == found[1]
    assert found[0]


def test_the_text_to_image_model_starts_from_the_video_model() -> None:
    from diffusers import UNet3DConditionModel

    from tasks.spriteworld.text_to_image_model import build_unet
    from tasks.video.spatial_unet import spatial_unet

    video_unet = UNet3DConditionModel.from_pretrained(MODELS / "text_to_video" / "unet", torch_dtype=torch.float32)
    known, unet = spatial_unet(video_unet).state_dict(), build_unet(video_unet).state_dict()
    same = [name for name, weight in known.items() if unet[name].shape == weight.shape]
    assert np.mean([torch.equal(unet[name], known[name]) for name in same]) == 1
    assert {name.split(".")[-2] for name in set(known) - set(same)} == {"to_k", "to_v"}
