"""The stage: its files, the same bytes again, resumption after kill -9, faults, and several processes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from tasks.common import provenance, stage
from tasks.common.latent_files import load_latents, save_latents
from tasks.common.training_checkpoints import Checkpoints
from tasks.igligen import igligen
from tasks.igligen.adapter_files import load_adapters
from tasks.igligen.adapters import adapter_parameters
from tests.igligen.training_for_tests import PARAMETERS, forget_accelerate, stage_options, write_corpus, write_params
from tests.video.tiny_text_to_video import tiny_unet

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "tests.igligen.training_for_tests"
COMMAND = (
    "import sys; from tasks.common import stage; from tasks.igligen import igligen; "
    f"sys.exit(stage.main('igligen', igligen.Paths, igligen.train_adapters, {PROJECT!r}))"
)


@pytest.fixture
def work(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with corpus, model and parameters."""
    write_corpus(tmp_path / "corpus")
    (tmp_path / "model").symlink_to(model)
    (tmp_path / "models").symlink_to(ROOT / "models")
    write_params(tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(out: str = "out", parts: str = "parts") -> int:
    forget_accelerate()
    return stage.main("igligen", igligen.Paths, igligen.train_adapters, PROJECT, stage_options(out, parts))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_stage_writes_adapters_curves_scores_and_pictures(work: Path) -> None:
    assert run() == 0
    metrics = json.loads((work / "out" / "metrics.json").read_text())
    assert metrics["images"] == 16
    assert metrics["images_trained_on"] + metrics["images_held_out"] == 16
    assert (metrics["steps"], metrics["images_per_step"], metrics["diverged"]) == (6, 4, False)
    assert metrics["box_following_gain"] == pytest.approx(
        metrics["box_following_iou"] - metrics["box_following_iou_untrained"], abs=2e-4
    )
    assert 0 <= metrics["boxes_followed"] <= 1
    assert metrics["gates_attention"] > 0
    unet = tiny_unet()
    facts = load_adapters(unet, str(work / "out" / "adapters"))
    assert facts == json.loads((work / "out" / "adapters" / "config.json").read_text())
    assert facts["steps"] == 6
    assert any(parameter.any() for name, parameter in adapter_parameters(unet).items() if name.endswith("alpha_attn"))
    curves = {path.stem: path.read_text().splitlines() for path in (work / "out" / "curves").iterdir()}
    assert set(curves) == {"attention", "box_following", "gates", "learning_rate", "loss", "loss_by_timestep"}
    assert [line.split("\t")[0] for line in curves["box_following"]] == ["step", "0", "4", "6"]
    assert [line.split("\t")[0] for line in curves["loss"]] == ["step", "2", "4", "6"]
    assert (work / "out" / "figure.png").read_bytes().startswith(b"\x89PNG")
    provenance = json.loads((work / "out" / "provenance.json").read_text())
    assert set(provenance["checkpoints"]) == {"model", "detector"}
    assert len(provenance["inputs"]) == 5


def test_the_same_bytes_again_whatever_the_workers(work: Path) -> None:
    assert run() == 0
    write_params(work / "params.yaml", workers=2, checkpoint_every=1)
    assert run("again", "parts-again") == 0
    assert files_of(work / "out") == files_of(work / "again")
    checkpoints = {path: path.stat().st_mtime_ns for path in (work / "parts").rglob("*.safetensors")}
    assert run("third") == 0
    assert files_of(work / "out") == files_of(work / "third")
    assert checkpoints == {path: path.stat().st_mtime_ns for path in (work / "parts").rglob("*.safetensors")}, "none trained"


def test_a_killed_run_goes_on_to_the_same_bytes(work: Path) -> None:
    write_params(work / "params.yaml", steps=12, checkpoint_every=1, evaluate_every=6)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *stage_options()], env=environment)
    while process.poll() is None and not list((work / "parts").glob("*/0*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert [path.name for path in (work / "out").iterdir() if path.name[0] != "."] == ["curves"]
    header, start, *_ = (work / "out" / "curves" / "box_following.tsv").read_text().splitlines()
    assert (header, start.split("\t")[0]) == ("step\tiou", "0"), "curves can be watched while it trains"
    assert run() == 0
    assert run("straight", "other-parts") == 0
    assert files_of(work / "out") == files_of(work / "straight")


def _another_rate(work: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    write_params(work / "params.yaml", steps=3, learning_rate=2e-3)


def _other_latents(work: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    file = next((work / "corpus" / "latents").iterdir())
    latents_NChw, facts = load_latents(file)
    save_latents(file, -latents_NChw, facts)


def _as_one_of_two(_work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Accelerator, "num_processes", 2)


def _other_code(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "tasks", work / "project" / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    with (work / "project" / "tasks" / "igligen" / "training.py").open("a") as file:
        file.write("# another way to train\n")
    monkeypatch.setattr(provenance, "_ROOT", work / "project")


@pytest.mark.parametrize("change", [_another_rate, _other_latents, _as_one_of_two, _other_code])
def test_another_training_starts_fresh(
    work: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    write_params(work / "params.yaml", steps=3)
    assert run() == 0
    first = [path.name for path in (work / "parts").iterdir() if path.is_dir()]
    change(work, monkeypatch)
    assert run() == 0
    second = [path.name for path in (work / "parts").iterdir() if path.is_dir()]
    assert len(first) == len(second) == 1
    assert first != second
    assert run("fresh", "other-parts") == 0
    assert files_of(work / "out") == files_of(work / "fresh")


def test_adapters_can_be_trained_further(work: Path) -> None:
    write_params(work / "params.yaml", steps=2)
    assert run() == 0
    write_params(work / "params.yaml", steps=1, learning_rate=1e-7, adapters="out/adapters")
    assert run("further") == 0
    before, after = (load_file(work / out / "adapters" / "adapters.safetensors") for out in ("out", "further"))
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    first, then = (json.loads((work / out / "metrics.json").read_text()) for out in ("out", "further"))
    assert first["box_following_iou_given"] is None
    assert then["box_following_iou_given"] == first["box_following_iou"]
    assert then["box_following_iou_untrained"] == first["box_following_iou_untrained"]
    assert "adapters" in json.loads((work / "further" / "provenance.json").read_text())["checkpoints"]


def _infinite_latents(work: Path) -> None:
    for file in (work / "corpus" / "latents").iterdir():
        latents_NChw, facts = load_latents(file)
        save_latents(file, torch.full_like(latents_NChw, float("inf")), facts)


def test_a_diverged_training_says_so(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _infinite_latents(work)
    assert run() == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the training diverged: NaN or infinity in 3 steps in a row" in error
    metrics = json.loads((work / "out" / "metrics.json").read_text())
    assert metrics["diverged"] is True
    assert metrics["skipped_steps"] == 3
    assert metrics["box_following_iou"] is None
    assert not (work / "out" / "adapters").exists()


def test_the_last_good_checkpoint_survives_a_divergence(work: Path) -> None:
    """One image's latents are infinite: all is well until its turn comes."""
    file = work / "corpus" / "latents" / "corpus-000001.safetensors"
    latents_NChw, facts = load_latents(file)
    latents_NChw[2] = float("inf")
    save_latents(file, latents_NChw.clone(), facts)
    write_params(work / "params.yaml", batch=2, checkpoint_every=1, evaluate_every=100, most_nonfinite_steps=1)
    kept = []
    for _ in range(2):  # the second run goes on from the checkpoint, and leaves it alone
        assert run() == 1
        metrics = json.loads((work / "out" / "metrics.json").read_text())
        assert (metrics["diverged"], metrics["skipped_steps"]) == (True, 1)
        (key,) = [path.name for path in (work / "parts").iterdir() if path.is_dir()]
        newest = Checkpoints(work / "parts", key).newest()
        assert newest is not None
        assert newest.step == metrics["steps"] - 1 > 0
        assert all(torch.isfinite(tensor).all() for tensor in newest.tensors.values())
        kept.append(files_of(work / "parts"))
    assert kept[0] == kept[1]


def _other_scale(work: Path) -> None:
    for file in (work / "corpus" / "latents").iterdir():
        latents_NChw, facts = load_latents(file)
        save_latents(file, latents_NChw.clone(), dataclasses.replace(facts, scaling_factor=0.18215))


def _three_channels(work: Path) -> None:
    for file in (work / "corpus" / "latents").iterdir():
        latents_NChw, facts = load_latents(file)
        save_latents(file, latents_NChw[:, :3].clone(), facts)


def _nothing(work: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("damage", "changes", "message"),
    [
        (_nothing, {"device": "cuda"}, "compute.device = cuda"),
        (_nothing, {"mixed_precision": "fp16"}, "igligen.mixed_precision = fp16"),
        (_nothing, {"evaluation_images": 16}, "igligen.evaluation_images = 16"),
        (_nothing, {"model": "./nowhere"}, "./nowhere"),
        (_nothing, {"model": "models/sprite/detector"}, "no pipeline with a unet"),
        (_nothing, {"adapters": "./nowhere.safetensors"}, "./nowhere.safetensors"),
        (_nothing, {"steps": 0}, "igligen.steps"),
        (_nothing, {"prob_use_boxes": 1.5}, "igligen.prob_use_boxes"),
        (_other_scale, {}, "scaled by 0.18215"),
        (_three_channels, {}, "latents of 3 channels"),
    ],
)
def test_mistakes_are_one_line(
    work: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], changes: dict[str, Any], message: str
) -> None:
    if "device" in changes and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    damage(work)
    write_params(work / "params.yaml", **changes)
    assert run() == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert message in error[-1]
    assert error[-1].startswith("igligen: ")
    assert not (work / "out").exists()


def test_two_processes_train_as_one_with_their_batches(work: Path) -> None:
    """As `accelerate launch` starts them on GPUs: twice two images per step are about what four in one process are."""
    write_params(work / "params.yaml", steps=3, batch=2)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    (work / "stage.py").write_text(COMMAND)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, "stage.py", *stage_options()], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("igligen: done") == 1, "only the first process writes"
    assert json.loads((work / "out" / "metrics.json").read_text())["images_per_step"] == 4
    write_params(work / "params.yaml", steps=3, batch=4)
    assert run("alone", "parts-alone") == 0
    together, alone = (load_file(work / out / "adapters" / "adapters.safetensors") for out in ("out", "alone"))
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, rtol=1e-3, atol=2e-4)


def test_all_parameters_are_given() -> None:
    assert set(PARAMETERS) == set(igligen.Parameters.model_fields)
