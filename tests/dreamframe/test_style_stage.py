"""The stage `style`: its files, the same bytes again, resumption after kill -9, keywords, and faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from tasks.common.parameters import Compute
from tasks.dreamframe import style
from tasks.dreamframe.picture_archive import read_pictures
from tasks.dreamframe.style_files import load_style
from tasks.dreamframe.style_generation import load_model
from tests.dreamframe.sdxl_for_tests import WIDTHS, text_parts, tiny_sdxl
from tests.dreamframe.style_stage_for_tests import (
    COMPUTE,
    MODULE,
    PARAMETERS,
    SIDE,
    files_of,
    metrics,
    options,
    quarantine,
    run,
    save_models,
    story,
    write_images,
    write_params,
    write_stories,
)

ROOT = Path(__file__).resolve().parents[2]
Learned = tuple[Path, StableDiffusionXLPipeline]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_models(folder)
    return folder


def set_up(folder: Path, models: Path) -> Path:
    """A folder with one story, the models and parameters."""
    for name in ("model", "clip"):
        (folder / name).symlink_to(models / name)
    write_stories(folder, story())
    write_params(folder)
    return folder


@pytest.fixture
def work(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set up, and the current folder."""
    monkeypatch.chdir(tmp_path)
    return set_up(tmp_path, models)


@pytest.fixture(scope="module")
def learned(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """A folder in which the stage has run, and the model in memory that it has worked with."""
    folder = set_up(tmp_path_factory.mktemp("learned"), models)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run() == 0
        pipeline = load_model("model", None, "EulerDiscreteScheduler", Compute(**COMPUTE))
        assert load_model.cache_info().misses == 1, "not loaded anew"
    return folder, pipeline


def columns(curve: str, made: str = "made") -> list[list[str]]:
    return [line.split("\t") for line in Path(made, "curves", f"{curve}.tsv").read_text().splitlines()]


def test_from_a_story_to_a_style_and_its_files(learned: Learned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(learned[0])
    assert sorted(path.name for path in Path("made/out").iterdir()) == ["mill-images.tar", "mill.safetensors"]
    vectors, facts = load_style(Path("made/out/mill.safetensors"), WIDTHS)
    assert vectors.vectors == 2
    assert (facts["token"], facts["keyword"], facts["vectors"], facts["images"]) == ("<storybook>", "Storybook", 2, 4)
    pictures = dict(read_pictures(Path("made/out/mill-images.tar")))
    assert list(pictures) == ["000.png", "001.png", "002.png", "003.png"]
    assert {pixels.shape for pixels in pictures.values()} == {(SIDE, SIDE, 3)}
    found = metrics()
    assert (found["stories"], found["styles"], found["images"], found["quarantined"], found["steps"]) == (1, 1, 4, 0, 4)
    gain = found["style_similarity_after"] - found["style_similarity_before"]
    assert found["style_similarity_gain"] == pytest.approx(gain, abs=2e-4)
    assert -1 <= found["style_similarity_before"] <= 1
    assert found["fixed_loss_before"] == facts["fixed_loss_before"] > 0
    assert found["fixed_loss_after"] != found["fixed_loss_before"]
    assert [row[0] for row in columns("style_similarity")] == ["step", "0", "2", "4"]
    assert [row[0] for row in columns("fixed_loss")] == ["step", "0", "4"]
    assert [row[0] for row in columns("loss")] == ["step", "2", "4"]
    assert Path("made/figure").read_bytes().startswith(b"\x89PNG")
    provenance = json.loads(Path("made/provenance").read_text())
    assert set(provenance["checkpoints"]) == {"model", "image_encoder"}
    assert set(provenance["inputs"]) == {"mill.json", "mill-images.tar"}
    assert quarantine() == []
    assert not Path("parts/training").exists()


def test_diffusers_loads_the_style_and_no_word_has_changed(learned: Learned) -> None:
    pipeline, untouched = tiny_sdxl(), tiny_sdxl()
    vectors = load_file(learned[0] / "made/out/mill.safetensors")
    for part, name in zip(text_parts(pipeline), ("clip_l", "clip_g"), strict=True):
        pipeline.load_textual_inversion(vectors[name], "<storybook>", part.tokenizer, part.encoder)
    for part, old, name in zip(text_parts(pipeline), text_parts(untouched), ("clip_l", "clip_g"), strict=True):
        table, before = (one.encoder.get_input_embeddings().weight for one in (part, old))
        assert torch.equal(table[: len(before)], before)
        assert torch.equal(table[len(before) :], vectors[name])
        assert part.tokenizer.tokenize("in <storybook> style").count("<storybook>") == 1


def test_a_run_changes_no_row_of_the_vocabulary(learned: Learned) -> None:
    """The encoders that the stage has worked with are as they were, so the next story starts from the same model."""
    for part, old in zip(text_parts(learned[1]), text_parts(tiny_sdxl()), strict=True):
        assert type(part.encoder.get_input_embeddings()) is torch.nn.Embedding
        for (name, weight), before in zip(part.encoder.state_dict().items(), old.encoder.state_dict().values(), strict=True):
            assert torch.equal(weight, before), name
        assert len(part.tokenizer) == len(old.tokenizer)


def test_the_same_bytes_again_and_nothing_learned_twice(work: Path) -> None:
    write_stories(work, story("inn", "Old Film"))
    assert run() == 0
    write_params(work, checkpoint_every=3)
    assert run("again", "other-parts") == 0
    assert files_of(work / "made") == files_of(work / "again")
    stored = {path: path.stat().st_mtime_ns for path in (work / "parts").rglob("*.safetensors")}
    assert len(stored) == 2
    assert run("third") == 0
    assert files_of(work / "made") == files_of(work / "third")
    assert stored == {path: path.stat().st_mtime_ns for path in (work / "parts").rglob("*.safetensors")}


def test_only_what_is_new_is_done(work: Path) -> None:
    assert run() == 0
    images = {path: path.stat().st_mtime_ns for path in (work / "parts").rglob("images.tar")}
    first = Path("made/out/mill.safetensors").read_bytes()
    write_params(work, steps=3)
    assert run() == 0
    assert images == {path: path.stat().st_mtime_ns for path in (work / "parts").rglob("images.tar")}, "made once"
    assert Path("made/out/mill.safetensors").read_bytes() != first


def test_a_killed_run_goes_on_to_the_same_bytes(work: Path) -> None:
    write_params(work, steps=16, evaluate_every=8)
    process = subprocess.Popen([sys.executable, "-m", MODULE, *options()], env=ENVIRONMENT)
    while process.poll() is None and not list((work / "parts").glob("training/*/*/0*")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (work / "made" / "out").exists()
    assert list((work / "parts").glob("training/mill/*/0*"))
    assert run() == 0
    assert run("straight", "other-parts") == 0
    assert files_of(work / "made") == files_of(work / "straight")


def test_keywords_become_tokens_or_are_set_aside(work: Path) -> None:
    write_stories(
        work, story("film", "Film  noir-like"), story("none", ""), story("wide", "\u732b"), story("long", "x" * 60)
    )
    write_stories(work, story("nowhere", locations=()))
    write_params(work, max_bad_fraction=1.0, steps=1, vectors=1, start="phrase")
    assert run() == 0
    tokens = {path.stem: load_style(path, WIDTHS)[1]["token"] for path in Path("made/out").glob("*.safetensors")}
    assert tokens == {"film": "<film-noir-like>", "mill": "<storybook>"}
    assert {line["item"]: line["reason"] for line in quarantine()} == {
        "none": "no-style-keyword", "wide": "no-style-keyword", "long": "bad-token", "nowhere": "no-places",
    }  # fmt: skip
    assert metrics()["quarantined_by_reason"] == {"bad-token": 1, "no-places": 1, "no-style-keyword": 2}
    assert (metrics()["stories"], metrics()["styles"]) == (6, 2)


def test_in_half_precision_with_a_token_of_ones_own(work: Path) -> None:
    write_stories(work, story("none", ""))
    write_params(work, dtype="bfloat16", gradient_checkpointing=True, steps=1, token="<mine>")  # noqa: S106 - a word
    assert run() == 0
    made = [load_style(path, WIDTHS) for path in Path("made/out").glob("*.safetensors")]
    assert [facts["token"] for _, facts in made] == ["<mine>", "<mine>"]
    assert {vectors.clip_l.dtype for vectors, _ in made} == {torch.float32}


def test_a_model_that_makes_no_numbers_is_one_line(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "model").unlink()
    tiny_sdxl().save_pretrained(work / "model")
    path = work / "model" / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights["conv_out.weight"].fill_(3e38)
    save_file(weights, path, {"format": "pt"})
    write_images(work / "images", 3)
    write_params(work, image_folder="images")
    assert run() == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "style: mill: the model made a picture of NaN or infinity; set compute.dtype to float32"
    assert not Path("made/out").exists()


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"model": "./nowhere"}, "./nowhere: no such folder"),
    ({"model": "models/sprite/text_to_video"}, "text_to_video"),
    ({"model": "clip"}, "clip"),
    ({"image_encoder": "model"}, "model"),
    ({"scheduler": "NoScheduler"}, "NoScheduler"),
    ({"token": "dramatic"}, "is in the tokenizer's vocabulary"),
    ({"token": "Two words"}, "style token"),
    ({"token": ""}, "style.token"),
    ({"template": "no gap"}, "style.template"),
    ({"templates": ["{} and {}"]}, "style.templates"),
    ({"learning_rates": [[1.5, 0.1]]}, "style.learning_rates"),
    ({"learning_rates": [[10, -1]]}, "style.learning_rates"),
    ({"time_ids": [1, 2]}, "style.time_ids"),
    ({"resolution": 30}, "style.resolution"),
    ({"images": 2}, "2 good style images, at least 3 are needed; raise style.images"),
    ({"image_folder": "./nowhere"}, "nowhere: no such folder; style.image_folder"),
    ({"dtype": "float16"}, "compute.dtype = float16"),
]


@pytest.mark.parametrize(
    ("changes", "told"), MISTAKES, ids=[told + str(number) for number, (_, told) in enumerate(MISTAKES)]
)
def test_mistakes_are_one_line(changes: dict[str, Any], told: str, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "models").symlink_to(ROOT / "models")
    write_params(work, **changes)
    assert run() == 2
    lines = capsys.readouterr().err.splitlines()
    assert told in lines[-1]
    assert lines[-1].startswith("style: ")
    assert lines[-1].isprintable()
    assert len(lines[-1]) < 600
    assert not Path("made/out").exists()


def test_stories_must_be_there_and_named_as_they_are(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("stories/mill.json").rename("stories/inn.json")
    assert run() == 2
    assert "name the file mill.json" in capsys.readouterr().err
    Path("stories/inn.json").unlink()
    assert run() == 2
    assert "no stories" in capsys.readouterr().err
    write_stories(work, story("none", ""))
    write_params(work, max_bad_fraction=1.0)
    assert run() == 1
    assert "no story has a style that can be learned" in capsys.readouterr().err
    write_params(work)
    assert run() == 1
    assert "above max_bad_fraction" in capsys.readouterr().err


def test_all_parameters_are_given() -> None:
    assert set(PARAMETERS) == set(style.Parameters.model_fields)
