"""The shipped tiny checkpoints do what their cards say, and their training runs."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.common import stage
from tasks.common.parameters import load_parameters
from tasks.corpus.autoencoder import ImageAutoencoder, pixels_to_tensor
from tasks.corpus.detector import PhraseDetector
from tasks.parameters import ProjectParameters
from tasks.spriteworld import train_autoencoder, train_detector, train_text_encoder, train_text_to_video
from tasks.spriteworld.checkpoint_parameters import ProjectParameters as CheckpointParameters
from tasks.spriteworld.detector_batches import make_batch
from tasks.spriteworld.detector_model import build_detector, build_processor, widen_queries
from tasks.spriteworld.detector_texts import ground_caption, sample_text
from tasks.spriteworld.renders import HELD_OUT_POOL, render_pool
from tasks.spriteworld.scene import caption_of, sample_scene

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models" / "sprite"


def test_the_autoencoder_keeps_what_it_is_shown() -> None:
    torch.set_num_threads(1)
    pool = render_pool(HELD_OUT_POOL, 500)
    autoencoder = ImageAutoencoder(str(MODELS / "autoencoder"), None, None, "cpu", torch.float32)
    psnr = train_autoencoder.score_autoencoder(autoencoder, pool)
    assert psnr >= 28
    assert psnr == pytest.approx(json.loads((MODELS / "autoencoder.json").read_text())["held_out_psnr_db"], abs=0.05)


def test_the_detector_finds_what_captions_name() -> None:
    torch.set_num_threads(1)
    parameters = load_parameters(ROOT / "profiles" / "toy.yaml", ProjectParameters).boxes
    assert parameters.box_threshold == parameters.text_threshold
    detector = PhraseDetector(str(MODELS / "detector"), None, "cpu", torch.float32)
    counts = train_detector.score_detector(detector, render_pool(HELD_OUT_POOL, 500), parameters.box_threshold)
    assert counts.precision >= 0.90
    assert counts.recall >= 0.90
    stated = json.loads((MODELS / "detector.json").read_text())
    assert counts.precision == pytest.approx(stated["precision"], abs=0.005)
    assert counts.recall == pytest.approx(stated["recall"], abs=0.005)


@pytest.mark.parametrize("name", ["autoencoder", "detector", "text_to_video"])
def test_model_cards_state_the_measured_scores(name: str) -> None:
    card = (MODELS / name / "README.md").read_text()
    stated = json.loads((MODELS / f"{name}.json").read_text())
    assert stated
    for score, value in stated.items():
        assert f"| {score.replace('_', ' ')} | {value} |" in card
    assert "cpu seconds" in card or "of one core" in card, "what the training took"


@given(st.integers(0, 2**32 - 1))
def test_texts_name_objects_where_they_say(seed: int) -> None:
    random = np.random.default_rng(seed)
    scene = sample_scene(random)
    grounded = sample_text(random, scene)
    assert len(grounded.spans) == len(scene.objects)
    for item, spans in zip(scene.objects, grounded.spans, strict=True):
        for start, end in spans:
            words = grounded.text[start:end].split()
            assert words[-1] in (item.class_name, item.class_name + "s")
            assert words[:-1] in ([], [item.colour])
    whole = ground_caption(scene, caption_of(scene))
    assert all(len(spans) == 1 for spans in whole.spans)


def test_token_masks_cover_the_words_of_each_object() -> None:
    processor, pool = build_processor(), render_pool(9, 6)
    inputs, labels, masks_KT = make_batch(pool, np.arange(6), np.random.default_rng(1), processor)
    assert inputs["pixel_values"].shape == (6, 3, 64, 64)
    assert sum(len(label["boxes"]) for label in labels) == len(masks_KT)
    for image, label in enumerate(labels):
        for row in label["class_labels"].tolist():
            tokens = inputs["input_ids"][image][masks_KT[row].bool()].tolist()
            assert processor.tokenizer.decode(tokens).split()[-1].rstrip("s") in ("car", "cat", "bird", "ball", "dog")


def test_more_queries_keep_the_old_ones() -> None:
    torch.manual_seed(0)
    model = build_detector(4)
    old = model.model.query_position_embeddings.weight.detach().clone()
    widen_queries(model, 9)
    new = model.model.query_position_embeddings.weight
    assert new.shape[0] == model.config.num_queries == 9
    assert torch.equal(new[:4], old)
    widen_queries(model, 2)
    assert model.config.num_queries == 9


def tiny_parameters(folder: Path) -> Path:
    text = (
        "seed: 0\n"
        "train_autoencoder: {scenes: 512, steps: 3, batch: 2, learning_rate: 0.001, kl_weight: 0.000001, held_out: 10,\n"
        "  decoder_steps: 2, empty_share: 0.5}\n"
        "train_text_encoder: {texts: 1000, vocabulary: 600, most_tokens: 64, width: 48, layers: 1, steps: 2, batch: 4,\n"
        "  learning_rate: 0.001, held_out: 10}\n"
        "train_text_to_video: {frames: 3, clips: 10, stills: 10, image_steps: 2, image_batch: 2,\n"
        "  image_learning_rate: 0.001, video_steps: 4, video_batch: 1, pictures_beside: 3, temporal_learning_rate: 0.001,\n"
        "  spatial_learning_rate: 0.001, last_steps: 3, last_pictures: 3, last_clips: 1, last_learning_rate: 0.001,\n"
        "  scored_videos: 1}\n"
        "train_detector:\n"
        "  {scenes: 100, easy_scenes: 100, easy_steps: 1, clip: 0.5, held_out: 10, threshold: 0.3, rounds: [\n"
        "    {queries: 4, steps: 2, batch: 2, learning_rate: 0.0005, last_share: 0.5},\n"
        "    {queries: 6, steps: 1, batch: 2, learning_rate: 0.0005, last_share: 0.5}]}\n"
        "train_story_autoencoder: {pictures: 512, steps: 2, batch: 2, learning_rate: 0.001, kl_weight: 0.000001,\n"
        "  held_out: 10}\n"
        "train_story_detector: {pictures: 100, steps: 2, batch: 2, learning_rate: 0.0003, clip: 0.5, held_out: 10,\n"
        "  threshold: 0.4}\n"
        "train_clip: {pictures: 100, texts: 1000, vocabulary: 600, most_tokens: 64, width: 32, layers: 1, projection: 16,\n"
        "  steps: 2, batch: 4, learning_rate: 0.001, held_out: 100}\n"
        "train_text_to_image: {pictures: 10, texts: 1000, vocabulary: 600, most_tokens: 64, scored_pictures: 6, rounds: [\n"
        "  {steps: 2, batch: 2, learning_rate: 0.001}, {steps: 1, batch: 2, learning_rate: 0.001}]}\n"
    )
    (folder / "params.yaml").write_text(text)
    return folder / "params.yaml"


@pytest.mark.parametrize("name", ["autoencoder", "detector"])
def test_training_runs_and_repeats_to_the_byte(tmp_path: Path, name: str) -> None:
    module = {"autoencoder": train_autoencoder, "detector": train_detector}[name]
    body = getattr(module, f"train_{name}")
    files = []
    for attempt in ("first", "second"):
        arguments = ["--params", str(tiny_parameters(tmp_path)), "--out", str(tmp_path / attempt)]
        arguments += ["--metrics", str(tmp_path / f"{attempt}.json")]
        project = "tasks.spriteworld.checkpoint_parameters"
        assert stage.main(f"train_{name}", module.Paths, body, project, arguments) == 0
        files.append(next((tmp_path / attempt).glob("*.safetensors")).read_bytes())
        assert "cpu seconds" in (tmp_path / attempt / "README.md").read_text()
    assert files[0] == files[1]
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()


def run(name: str, module: ModuleType, *arguments: str) -> int:
    body = getattr(module, name)
    return stage.main(name, module.Paths, body, "tasks.spriteworld.checkpoint_parameters", list(arguments))


def test_the_text_to_video_model_is_trained_into_a_pipeline_folder_and_repeats_to_the_byte(tmp_path: Path) -> None:
    params = str(tiny_parameters(tmp_path))
    files = []
    for attempt in ("first", "second"):
        text, out = str(tmp_path / f"text-{attempt}"), tmp_path / attempt
        metrics = str(tmp_path / f"{attempt}.json")
        assert run("train_text_encoder", train_text_encoder, "--params", params, "--out", text, "--metrics", metrics) == 0
        models = ["--text", text, "--autoencoder", str(MODELS / "autoencoder"), "--detector", str(MODELS / "detector")]
        named = ["--params", params, *models, "--out", str(out), "--metrics", metrics]
        assert run("train_text_to_video", train_text_to_video, *named) == 0
        files.append((out / "unet" / "diffusion_pytorch_model.safetensors").read_bytes())
        assert {path.name for path in out.iterdir() if path.is_dir()} == {
            "scheduler", "text_encoder", "tokenizer", "unet", "vae",
        }  # fmt: skip
    assert files[0] == files[1]


def test_refining_the_decoder_leaves_latents_alone() -> None:
    parameters = load_parameters(MODELS / "params.yaml", CheckpointParameters).train_autoencoder
    model = train_autoencoder._build()
    pool = render_pool(4, 12)
    images = pixels_to_tensor(pool.pixels_NHWC)
    before = model.encode(images).latent_dist.mean
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    short = parameters.model_copy(update={"decoder_steps": 2, "batch": 2})
    train_autoencoder.refine_decoder(model, pool, short, np.random.default_rng(0))
    assert torch.equal(model.encode(images).latent_dist.mean, before)
    changed = {name.split(".")[0] for name, weight in model.named_parameters() if not torch.equal(weight, weights[name])}
    assert changed == {"decoder", "post_quant_conv"}
