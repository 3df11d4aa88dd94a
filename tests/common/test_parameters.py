"""The parameter file: profiles are valid, and what is wrong is refused with field, range and nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.common.errors import UserError
from tasks.common.parameters import load_parameters
from tasks.parameters import ProjectParameters
from tasks.spriteworld import checkpoint_parameters

ROOT = Path(__file__).resolve().parents[2]
TOY = (ROOT / "profiles" / "toy.yaml").read_text(encoding="utf-8")


def refusal(folder: Path, text: str) -> str:
    file = folder / "params.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_parameters(file, ProjectParameters)
    message = str(caught.value)
    assert "\n" not in message
    assert str(file) in message
    return message


@pytest.mark.parametrize("file", ["profiles/toy.yaml", "profiles/hub.yaml", "params.yaml"])
def test_shipped_files_are_valid(file: str) -> None:
    project = load_parameters(ROOT / file, ProjectParameters)
    assert project.profile in ("toy", "hub")
    assert project.seed == 0


def test_checkpoint_parameters_are_valid() -> None:
    file = ROOT / "models" / "sprite" / "params.yaml"
    assert load_parameters(file, checkpoint_parameters.ProjectParameters).train_detector.rounds


def test_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    message = refusal(tmp_path, TOY.replace("box_threshold: 0.4", "box_treshold: 0.4"))
    assert "boxes.box_treshold: unknown key; did you mean `box_threshold`?" in message


def test_a_misspelt_engine_names_the_nearest(tmp_path: Path) -> None:
    message = refusal(tmp_path, TOY.replace("engine: processes", "engin: ray"))
    assert "compute.engin: unknown key; did you mean `engine`?" in message


def test_unknown_section_names_the_nearest(tmp_path: Path) -> None:
    message = refusal(tmp_path, TOY.replace("\nlatents:", "\nlatent:"))
    assert "latents: missing" in message or "did you mean `latents`?" in message


@pytest.mark.parametrize(
    ("good", "bad", "parts"),
    [
        ("box_threshold: 0.4", "box_threshold: 1.5", ["boxes.box_threshold", "1.5", "above 0", "below 1"]),
        ("images: 500", "images: -3", ["spriteworld.images", "-3", "at least 1"]),
        ("images: 500", "images: many", ["spriteworld.images", "many", "int"]),
        ("images: 500", "images: true", ["spriteworld.images", "True", "int"]),
        ("images_per_shard: 125", "images_per_shard: 12.5", ["ingest.images_per_shard", "12.5", "int"]),
        ("  resolution: 64\n  box", "  resolution: 63\n  box", ["boxes.resolution", "63", "a multiple of 8"]),
        ("posterior: sample", "posterior: both", ["latents.posterior", "both", "one of sample, mode"]),
        ("device: cpu", "device: tpu", ["compute.device", "tpu", "auto, cpu, cuda, mps"]),
        ("engine: processes", "engine: dask", ["compute.engine", "dask", "one of processes, ray"]),
        ("num_gpus: 0", "num_gpus: -1", ["compute.num_gpus", "-1", "at least 0"]),
        ("num_gpus: 0", "num_gpus: 1.5", ["compute.num_gpus", "1.5", "a part of one GPU or whole ones"]),
        ("num_gpus: 0", "num_gpus: .inf", ["compute.num_gpus", "inf", "at most 64"]),
        ("max_bad_fraction: 0.0", "max_bad_fraction: .nan", ["latents.max_bad_fraction", "nan"]),
    ],
)
def test_wrong_values_are_refused_with_their_range(tmp_path: Path, good: str, bad: str, parts: list[str]) -> None:
    assert good in TOY
    message = refusal(tmp_path, TOY.replace(good, bad))
    for part in parts:
        assert part in message


def test_missing_seed_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, TOY.replace("\nseed: 0\n", "\n"))
    assert "seed: missing; allowed: int, at least 0" in message


def test_python_tags_are_refused_and_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    message = refusal(tmp_path, TOY.replace("seed: 0", f"seed: !!python/object/apply:os.mkdir ['{canary}']"))
    assert "constructor" in message
    assert not canary.exists()


def test_duplicate_keys_are_refused(tmp_path: Path) -> None:
    assert "duplicate key" in refusal(tmp_path, TOY + "\nseed: 1\n")


def test_alias_bombs_are_refused(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    assert "aliases" in refusal(tmp_path, TOY + bomb)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b", "a: [", "\t- x", "x" * 1_000_001])
def test_files_that_are_no_parameters_are_refused(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="groundreel profile toy"):
        load_parameters(tmp_path / "params.yaml", ProjectParameters)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"seed: \xff\xfe")
    with pytest.raises(UserError, match="UTF-8"):
        load_parameters(tmp_path / "params.yaml", ProjectParameters)
