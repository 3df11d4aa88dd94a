"""The stage `keyframes`: its files, what it sets aside, and that nothing finished is made twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tasks.common.provenance import file_sha256
from tasks.common.seeds import item_seed
from tasks.dreamframe.keyframe_archive import read_keyframes, read_manifest
from tasks.dreamframe.style_files import save_style
from tests.dreamframe.keyframes_for_tests import (
    a_story,
    made,
    metrics,
    parts,
    quarantine,
    refused,
    run,
    set_parameters,
    set_up,
    write_models,
    write_styles,
)
from tests.dreamframe.sdxl_for_tests import TOKEN, style_of

FRAMES = ["01-01-01", "01-01-02", "01-01-03", "01-02-01", "01-02-02", "01-02-03"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


def test_two_stories_in_two_styles(tmp_path: Path, models: Path) -> None:
    set_up(tmp_path, models, a_story(), a_story("boat"), preview_stories=2)
    assert run(tmp_path) == 0
    out = tmp_path / "made" / "out"
    assert {file.name for file in out.iterdir()} == {"boat.jsonl", "boat.tar", "kite.jsonl", "kite.tar"}
    stories = {name: list(read_keyframes(out, name)) for name in ("kite", "boat")}
    for name, found in stories.items():
        assert [keyframe.id for keyframe, _ in found] == FRAMES
        for keyframe, pixels in found:
            assert pixels.shape == (32, 32, 3)
            assert keyframe.seed == item_seed(0, f"{name}:{keyframe.id}")
            assert keyframe.prompt == keyframe.text.replace("Dramatic", TOKEN)
            assert keyframe.place == "hill"
    first, second = (np.stack([pixels for _, pixels in found]) for found in stories.values())
    assert not (first == second).all((1, 2, 3)).any()
    counts = metrics(tmp_path)
    assert (counts["keyframes"], counts["stories"], counts["quarantined"], counts["compared_prompts"]) == (12, 2, 0, 4)
    scores = [*counts["style_consistency"].values(), *counts["style_similarity"].values(), counts["text_alignment"]]
    assert all(isinstance(value, float) and -1 <= value <= 1 for value in scores)
    assert len(set(counts["style_similarity"].values())) == 3
    assert counts["prompts_cut"] == 0
    with Image.open(tmp_path / "made" / "figure") as figure:
        assert figure.size == (2 * 166 + 6, 8 * 184 + 6)
    sheets = {sheet.name: Image.open(sheet).size for sheet in (tmp_path / "made" / "contact_sheets").iterdir()}
    assert sheets == {f"{name}-01.png": (3 * 166 + 6, 2 * 184 + 6) for name in ("kite", "boat")}
    provenance = json.loads((tmp_path / "made" / "provenance").read_text(encoding="utf-8"))
    assert provenance["stage"] == "tasks.dreamframe.keyframes"
    assert set(provenance["checkpoints"]) == {"model", "clip"}
    assert provenance["inputs"]["kite.safetensors"] == file_sha256(tmp_path / "styles" / "kite.safetensors")


def test_batches_change_no_byte(tmp_path: Path, models: Path) -> None:
    results = []
    for batch in (1, 3, 5):
        work = tmp_path / str(batch)
        set_up(work, models, batch=batch)
        assert run(work) == 0
        results.append({name.partition("/")[2]: data for name, data in made(work).items()})
    assert results[0] == results[1] == results[2]


def test_what_is_finished_is_not_made_again(tmp_path: Path, models: Path) -> None:
    set_up(tmp_path, models)
    assert run(tmp_path) == 0
    first, before = made(tmp_path), parts(tmp_path)
    assert len(before) == 6 + 2 * 2
    shutil.rmtree(tmp_path / "made")
    lost = sorted(before)[::2]
    for key in lost:
        shutil.rmtree(tmp_path / "parts" / "pictures" / key)
    damaged = sorted(before)[1]
    for file in (tmp_path / "parts" / "pictures" / damaged).glob("*.png"):
        file.write_bytes(b"damaged")
    set_parameters(tmp_path, models, batch=4)
    assert run(tmp_path) == 0
    after = parts(tmp_path)
    assert after.keys() == before.keys()
    assert {key for key in after if after[key] != before[key]} == {*lost, damaged}
    assert made(tmp_path) == first
    assert not list(tmp_path.rglob("*.unfinished"))


def changed_keys(work: Path, before: dict[str, int]) -> tuple[int, int]:
    """How many pictures are new, and how many of the old ones are still there untouched."""
    after = parts(work)
    kept = {key for key, time in after.items() if before.get(key) == time}
    return len(after) - len(kept), len(kept)


def test_a_change_makes_only_what_it_changes(tmp_path: Path, models: Path) -> None:
    def change(**changes: Any) -> tuple[int, int]:
        before = parts(tmp_path)
        set_parameters(tmp_path, models, **changes)
        assert run(tmp_path) == 0
        return changed_keys(tmp_path, before)

    story = a_story()
    set_up(tmp_path, models, story)
    assert run(tmp_path) == 0
    assert change(preview_stories=2, handover=0.3) == (0, 10), "there is no refiner to hand over to"
    text = (tmp_path / "stories" / "kite.json").read_text()
    (tmp_path / "stories" / "kite.json").write_text(text.replace("hill 2, a cat", "hill 2, a red cat"))
    assert change() == (1, 9), "that frame is not among those compared"
    assert change(compared_prompts=1) == (0, 8)
    save_style(tmp_path / "styles" / "kite.safetensors", style_of(2, 0), {"token": TOKEN, "loss": 1.0})
    assert change(compared_prompts=1) == (0, 8), "other facts, the same vectors"
    save_style(tmp_path / "styles" / "kite.safetensors", style_of(2, 5), {"token": TOKEN})
    assert change(compared_prompts=1) == (6, 2)
    assert change(compared_prompts=1, seed=1) == (8, 0)
    assert change(compared_prompts=1, seed=1, refiner=str(models / "refiner")) == (8, 0)


def test_a_story_without_a_style(tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(tmp_path, models, a_story(), a_story("boat"))
    (tmp_path / "styles" / "boat.safetensors").unlink()
    assert "6 of 16 items are bad" in refused(tmp_path, capsys, code=1)
    set_parameters(tmp_path, models, max_bad_fraction=0.5)
    assert run(tmp_path) == 0
    (line,) = quarantine(tmp_path)
    assert (line["item"], line["reason"]) == ("boat", "no-style")
    assert "run the stage style" in line["detail"]
    assert {file.name for file in (tmp_path / "made" / "out").iterdir()} == {"kite.jsonl", "kite.tar"}
    counts = metrics(tmp_path)
    assert (counts["stories"], counts["quarantined_by_reason"]) == (1, {"no-style": 1})
    assert counts["style_consistency"]["between"] is None


def test_a_style_without_images_is_not_compared(tmp_path: Path, models: Path) -> None:
    set_up(tmp_path, models)
    (tmp_path / "styles" / "kite-images.tar").unlink()
    assert run(tmp_path) == 0
    assert len(parts(tmp_path)) == 6
    assert metrics(tmp_path)["style_similarity"] == {"learned": None, "untrained": None, "plain": None}
    assert metrics(tmp_path)["compared_prompts"] == 0


def spoilt_decoder(models: Path, target: Path, bias: float, weight: float) -> Path:
    """A model whose every picture has one colour, or has sums of infinities of both signs."""
    shutil.copytree(models, target)
    file = target / "model" / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["decoder.conv_out.bias"].fill_(bias)
    weights["decoder.conv_out.weight"][:, ::2] = weight
    weights["decoder.conv_out.weight"][:, 1::2] = -weight
    save_file(weights, file, {"format": "pt"})
    return target


LARGEST = torch.finfo(torch.float32).max


@pytest.mark.parametrize(("bias", "weight", "reason"), [(0.25, 0.0, "flat"), (0.0, LARGEST, "not-finite")])
def test_pictures_that_cannot_be_used(bias: float, weight: float, reason: str, tmp_path: Path, models: Path) -> None:
    set_up(tmp_path, spoilt_decoder(models, tmp_path / "models", bias, weight), max_bad_fraction=1.0)
    assert run(tmp_path) == 0
    lines = quarantine(tmp_path)
    assert {line["reason"] for line in lines} == {reason}
    assert [line["item"] for line in lines[:6]] == [f"kite {frame} learned" for frame in FRAMES]
    assert metrics(tmp_path)["quarantined_by_reason"] == {reason: 10}
    assert list((tmp_path / "made" / "out").iterdir()) == []
    before = parts(tmp_path)
    assert run(tmp_path) == 0
    assert parts(tmp_path) == before, "they are not made again either"


def test_hostile_stories_are_only_stories(tmp_path: Path, models: Path) -> None:
    texts = ["../../etc/passwd", "<script>alert(1)</script>", f"{TOKEN} {TOKEN}_1", "{} %s ${HOME}", "\u732b" * 100]
    set_up(tmp_path, models, a_story(keyword="(a+)+$", texts=texts), steps=1)
    assert run(tmp_path) == 0
    found = read_manifest(tmp_path / "made" / "out", "kite")
    assert len(found) == 10
    assert all(keyframe.prompt.startswith(f"generate an image in {TOKEN} style: hill") for keyframe in found)
    assert {file.name for file in tmp_path.iterdir()} == {"made", "params.yaml", "parts", "stories", "styles"}


def no_styles(work: Path) -> None:
    shutil.rmtree(work / "styles")


def no_token(work: Path) -> None:
    save_style(work / "styles" / "kite.safetensors", style_of(2), {})


def cut_style(work: Path) -> None:
    file = work / "styles" / "kite.safetensors"
    file.write_bytes(file.read_bytes()[:50])


def word_as_token(work: Path) -> None:
    save_style(work / "styles" / "kite.safetensors", style_of(2), {"token": "dramatic"})


def cut_images(work: Path) -> None:
    file = work / "styles" / "kite-images.tar"
    file.write_bytes(file.read_bytes()[:700])


def long_style(work: Path) -> None:
    write_styles(work / "styles", "kite")
    save_style(work / "styles" / "kite.safetensors", style_of(64), {"token": TOKEN})


def renamed_story(work: Path) -> None:
    (work / "stories" / "kite.json").rename(work / "stories" / "boat.json")


def broken_story(work: Path) -> None:
    (work / "stories" / "kite.json").write_text("{" * 1000)


def no_stories(work: Path) -> None:
    shutil.rmtree(work / "stories")


def nothing(work: Path) -> None:
    pass


FAULTS: dict[str, tuple[Callable[[Path], None], dict[str, Any], str]] = {
    "styles": (no_styles, {}, "run the stage style"),
    "token": (no_token, {}, "what its style is called"),
    "cut style": (cut_style, {}, "not a whole safetensors file"),
    "a word": (word_as_token, {}, "vocabulary"),
    "long style": (long_style, {}, "train fewer vectors"),
    "images": (cut_images, {}, "truncated-archive"),
    "story's name": (renamed_story, {}, "name the file kite.json"),
    "story": (broken_story, {}, "expected a story tree"),
    "no stories": (no_stories, {}, "run the stage story"),
    "model": (nothing, {"model": "models/none"}, "no such folder"),
    "clip": (nothing, {"image_encoder": "models/none"}, "no such folder"),
    "refiner": (nothing, {"refiner": "models/none"}, "no such folder"),
    "scheduler": (nothing, {"scheduler": "WishScheduler"}, "WishScheduler"),
    "sides": (nothing, {"width": 20}, "keyframes.width"),
    "handover": (nothing, {"handover": 1.0}, "keyframes.handover"),
    "device": (nothing, {"device": "cuda"}, "compute.device"),
}


@pytest.mark.parametrize(("spoil", "changes", "said"), FAULTS.values(), ids=FAULTS)
def test_faults_are_one_line(
    spoil: Callable[[Path], None],
    changes: dict[str, Any],
    said: str,
    tmp_path: Path,
    models: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "device" in changes and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    set_up(tmp_path, models, **{"steps": 1, **changes})
    spoil(tmp_path)
    line = refused(tmp_path, capsys)
    assert said in line
    assert line.isprintable()
    assert len(line) < 600
