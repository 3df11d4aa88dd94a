"""The stage `lvd_generate`: its files, what it sets aside, and that an end in the middle costs no finished video."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet3DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.modules.module import register_module_forward_pre_hook

from tasks.common.errors import StageError
from tasks.lvd.generate_videos import load_video_model, make_within_memory
from tasks.lvd.grounding import METHODS, Method
from tasks.lvd.layout import DynamicSceneLayout
from tasks.lvd.video_index import read_index
from tasks.lvd.video_requests import video_requests
from tasks.lvd.video_settings import VideoSettings
from tasks.video.mp4 import read_mp4
from tests.common.shard_work import compute
from tests.lvd.generation_for_tests import (
    PROJECT,
    PROMPTS,
    SETTINGS,
    arguments,
    cat_layouts,
    made,
    metrics,
    quarantine,
    run,
    set_up,
    write_models,
)
from tests.lvd.layouts_for_tests import layout, still

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


def refused(work: Path, models: Path, capsys: pytest.CaptureFixture[str], method: str = "baseline", code: int = 2) -> str:
    """The one line that says why there are no videos."""
    assert run(work, models, method) == code
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("lvd_generate: ")]
    assert len(said) == 1
    assert not (work / "videos" / method).exists()
    return said[0]


@pytest.mark.parametrize("method", METHODS)
def test_files_of_a_method(method: Method, tmp_path: Path, models: Path) -> None:
    set_up(tmp_path, models, prompts=PROMPTS[:3])
    assert run(tmp_path, models, method) == 0
    records = read_index(tmp_path / "videos" / method)
    assert [(record.file, record.prompt, record.seed, record.method) for record in records] == [
        (f"00{n}-0.mp4", PROMPTS[n], n, method) for n in range(3)
    ]
    for record in records:
        frames = read_mp4(tmp_path / "videos" / method / record.file)
        assert frames.shape == (3, 32, 32, 3) == (record.frames, record.height, record.width, 3)
        assert frames.std() > 5
    provenance = json.loads((tmp_path / "videos" / method / "001-0.provenance.json").read_text(encoding="utf-8"))
    assert (provenance["stage"], provenance["seed"], provenance["method"]) == ("tasks.lvd.lvd_generate", 1, method)
    assert ("guidance" in provenance["settings"]) == method.endswith("guidance")
    assert set(provenance["checkpoints"]) == {"model", *(["adapters"] if method.startswith("adapters") else [])}
    assert provenance["text"].startswith(PROMPTS[1])
    found = metrics(tmp_path, method)
    assert (found["videos"], found["quarantined"], found["adapter_slots_dropped"]) == (3, 0, 0)
    assert found["guidance_iterations"] == (1 if method.endswith("guidance") else 0)
    assert ("energy_before" in found) == method.endswith("guidance")
    with Image.open(tmp_path / f"figure-{method}") as figure:
        assert figure.size[0] > 6 * 200
    assert {file.name for file in (tmp_path / "videos").iterdir()} == {method}


def test_repeats_have_seeds_of_their_own(tmp_path: Path, models: Path) -> None:
    set_up(tmp_path, models, prompts=PROMPTS[:2], repeats=2, seed_offset=500, batch=3)
    assert run(tmp_path, models) == 0
    records = read_index(tmp_path / "videos" / "baseline")
    assert [(record.file, record.seed) for record in records] == [
        ("000-0.mp4", 500), ("001-0.mp4", 501), ("000-1.mp4", 7289), ("001-1.mp4", 7290),
    ]  # fmt: skip
    assert len({(tmp_path / "videos" / "baseline" / record.file).read_bytes() for record in records}) == 4


def test_results_depend_on_neither_workers_nor_batch(tmp_path: Path, models: Path) -> None:
    one, two, apart = (tmp_path / name for name in ("one", "two", "apart"))
    set_up(one, models, prompts=PROMPTS[:3])
    set_up(two, models, prompts=PROMPTS[:3], workers=2)
    set_up(apart, models, prompts=PROMPTS[:3], batch=1)
    for work in (one, two, apart):
        assert run(work, models, "adapters+guidance") == 0
    assert made(one, "adapters+guidance") == made(two, "adapters+guidance")
    for record in read_index(one / "videos" / "adapters+guidance"):
        together, alone = (read_mp4(work / "videos" / "adapters+guidance" / record.file) for work in (one, apart))
        assert np.abs(together.astype(int) - alone).mean() < 1


def wait_for_parts(store: Path, count: int, process: subprocess.Popen[str]) -> list[Path]:
    for _ in range(1200):
        parts = [part for part in store.glob("[0-9a-f]*") if part.is_dir()]
        if len(parts) >= count or process.poll() is not None:
            return parts
        time.sleep(0.05)
    raise AssertionError("no part in a minute")


def test_a_killed_run_goes_on(tmp_path: Path, models: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for work in (undisturbed, killed):
        set_up(work, models, batch=1)
    command = [sys.executable, "-m", PROJECT, *arguments(killed, models, "baseline")]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    store = killed / "parts" / "baseline"
    parts = wait_for_parts(store, 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    assert 2 <= len(parts) < len(PROMPTS)
    assert not (killed / "videos").exists()
    before = {part.name: (part / "part.json").stat().st_mtime_ns for part in parts}
    assert run(killed, models) == 0
    after = {part: (store / part / "part.json").stat().st_mtime_ns for part in before}
    assert after == before, "what was finished is not done again"
    assert run(undisturbed, models) == 0
    assert made(killed, "baseline") == made(undisturbed, "baseline")
    assert not list(tmp_path.rglob("*.unfinished"))


def test_parts_are_keyed_by_what_decides_a_video(tmp_path: Path, models: Path) -> None:
    def parts_after(**changes: Any) -> dict[str, int]:
        set_up(tmp_path, models, prompts=PROMPTS[:2], **changes)
        assert run(tmp_path, models, "guidance") == 0
        parts = [part for part in (tmp_path / "parts" / "guidance").iterdir() if part.is_dir()]
        return {part.name: (part / "part.json").stat().st_mtime_ns for part in parts}

    first = parts_after()
    assert parts_after(beta=1.0, upsample_steps=9, preview_videos=1) == first, "what guidance does not use"
    assert not first.keys() & parts_after(negative_prompt="grey").keys()
    moved = cat_layouts(["x", *PROMPTS[:2]])[1:]
    assert not first.keys() & parts_after(planned=moved).keys()


def test_a_prompt_without_a_layout(tmp_path: Path, models: Path) -> None:
    set_up(tmp_path, models, prompts=PROMPTS[:3], planned=cat_layouts(PROMPTS[1:3]), max_bad_fraction=0.5)
    assert run(tmp_path, models, "guidance") == 0
    (line,) = quarantine(tmp_path, "guidance")
    assert (line["item"], line["reason"]) == (f"000-0 {PROMPTS[0]}", "no-layout")
    assert [record.prompt_index for record in read_index(tmp_path / "videos" / "guidance")] == [1, 2]
    assert metrics(tmp_path, "guidance")["quarantined_by_reason"] == {"no-layout": 1}
    assert run(tmp_path, models, "baseline") == 0, "the baseline needs no layout"
    assert metrics(tmp_path, "baseline")["quarantined"] == 0


def test_too_much_set_aside(tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(tmp_path, models, prompts=PROMPTS[:2], planned=[])
    assert "max_bad_fraction" in refused(tmp_path, models, capsys, "adapters", code=1)


HOSTILE = ["../../etc/passwd", "cat)(*+[", "\u202ecat\x1b[31m", "猫 " * 60, "<script>alert(1)</script>", "-rf", "cat | dog"]


def hostile_layout(prompt: str, name: str) -> DynamicSceneLayout:
    return layout((name, still()), ("cat", still((-300, 400, 900, 900))), prompt=prompt).model_copy(
        update={"background": name}
    )


def test_hostile_names(tmp_path: Path, models: Path) -> None:
    planned = [hostile_layout(name.strip(), name) for name in HOSTILE]
    set_up(tmp_path, models, prompts=HOSTILE, planned=planned, max_bad_fraction=1.0, batch=7, preview_videos=7, steps=1)
    assert run(tmp_path, models, "adapters+guidance") == 0
    lines = quarantine(tmp_path, "adapters+guidance")
    assert {line["reason"] for line in lines} <= {"too-long"}
    assert "\x1b" not in (tmp_path / "quarantine-adapters+guidance").read_text(encoding="utf-8")
    records = read_index(tmp_path / "videos" / "adapters+guidance")
    assert len(records) + len(lines) == len(HOSTILE)
    assert len(records) >= 5
    assert [record.prompt for record in records] == [HOSTILE[record.prompt_index].strip() for record in records]
    expected = {"videos", "prompts", "layouts", "parts", "params.yaml"}
    assert {file.name for file in tmp_path.iterdir() if "adapters" not in file.name} == expected


def test_larger_videos(tmp_path: Path, models: Path) -> None:
    set_up(tmp_path, models, prompts=PROMPTS[:1], upsampler=str(models / "model"))
    assert run(tmp_path, models) == 0
    (record,) = read_index(tmp_path / "videos" / "baseline")
    assert (record.width, record.height) == (48, 48)
    assert read_mp4(tmp_path / "videos" / "baseline" / record.file).shape == (3, 48, 48, 3)
    provenance = json.loads((tmp_path / "videos" / "baseline" / "000-0.provenance.json").read_text(encoding="utf-8"))
    assert provenance["settings"]["upsample_strength"] == 0.5


def test_enlarged_videos_of_an_unfinished_batch_are_kept(
    tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A device that has enough memory to enlarge one video, and then no more."""
    undisturbed, stopped = tmp_path / "undisturbed", tmp_path / "stopped"
    for work in (undisturbed, stopped):
        set_up(work, models, prompts=PROMPTS[:2], upsampler=str(models / "model"), upsample_steps=2)
    enlarging = 0

    def limit(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal enlarging
        if isinstance(module, UNet3DConditionModel) and inputs[0].shape[-1] == 12:
            enlarging += 1
            if enlarging == 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    handle = register_module_forward_pre_hook(limit)
    try:
        said = refused(stopped, models, capsys, code=1)
        assert "out of memory with 1 x 3 frames of 48x48 at once" in said
        assert "upsample_width" in said
        (kept,) = (stopped / "parts" / "baseline").glob("videos-*/*.mp4")
        inode = kept.stat().st_ino
        assert run(stopped, models) == 0
    finally:
        handle.remove()
    assert enlarging == 3, "the second video alone is enlarged again"
    assert (stopped / "videos" / "baseline" / "000-0.mp4").stat().st_ino == inode
    assert not kept.exists()
    assert run(undisturbed, models) == 0
    assert made(stopped, "baseline") == made(undisturbed, "baseline")


def request_settings(models: Path, **changes: Any) -> VideoSettings:
    values = {**SETTINGS, "model": str(models / "model"), **changes}
    return VideoSettings.model_validate({name: values[name] for name in VideoSettings.model_fields})


@pytest.mark.parametrize(("most", "done"), [(3, [3]), (2, [2, 1]), (1, None)])
def test_memory_that_does_not_suffice(tmp_path: Path, models: Path, most: int, done: list[int] | None) -> None:
    """A device that holds `most` videos at once; with classifier-free guidance the UNet sees two of each."""
    set_up(tmp_path, models, prompts=PROMPTS[:3])
    requests = video_requests("mine", tmp_path / "prompts", tmp_path / "layouts/slots-parser/mine.jsonl", None, 1, 0)
    settings = request_settings(models)
    pipeline = load_video_model(settings.model, None, settings.scheduler, None, compute())
    finished: list[int] = []

    def limit(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > 2 * most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        finished.append(len(inputs[0]) // 2)

    handle = pipeline.unet.register_forward_pre_hook(limit)
    try:
        if done is None:
            with pytest.raises(StageError, match=r"2 x 3 frames of 32x32.*Tried to allocate 20.00 MiB.*lvd_generate\.batch"):
                make_within_memory(pipeline, requests, "baseline", settings)
            return
        batch = make_within_memory(pipeline, requests, "baseline", settings)
    finally:
        handle.remove()
    assert [request.name for request, _, _ in batch.made] == ["000-0", "001-0", "002-0"]
    steps = int(SETTINGS["steps"])
    assert finished == [count for count in done for _ in range(steps)]


def test_prompts_of_the_benchmark(tmp_path: Path) -> None:
    file = tmp_path / "layouts.jsonl"
    file.write_text("")
    few = video_requests("lvd_dynamic", tmp_path, file, 3, 1, 0)
    assert [request.task for request in few] == ["visibility"] * 3 + ["dynamic_spatial"] * 3 + ["sequential"] * 3
    assert len({request.prompt for request in few}) == 9
    assert all(200 <= request.prompt_index < 500 for request in few)
    assert len(video_requests("lvd", tmp_path, file, None, 2, 0)) == 1000
    assert len(video_requests("lvd", tmp_path, file, 10_000, 1, 0)) == 184


def test_the_layout_of_an_occurrence_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "twice.txt").write_text("a cat.\na dog\na cat.\na cat.\n")
    planned = [cat_layouts(["a cat."])[0].model_copy(update={"background": name}) for name in ("street", "meadow")]
    file = tmp_path / "layouts.jsonl"
    file.write_text("".join(item.model_dump_json() + "\n" for item in planned))
    found = video_requests("twice", tmp_path, file, None, 1, 0)
    assert [request.layout and request.layout.background for request in found] == ["street", None, "meadow", None]


def no_layouts(work: Path, models: Path) -> None:
    shutil.rmtree(work / "layouts")


def cut_adapters(work: Path, models: Path) -> None:
    file = models / "adapters" / "adapters.safetensors"
    file.write_bytes(file.read_bytes()[:500])


def no_adapters(work: Path, models: Path) -> None:
    shutil.rmtree(models / "adapters")


def nan_model(work: Path, models: Path) -> None:
    file = models / "model" / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["conv_out.bias"][0] = torch.inf
    save_file(weights, file, {"format": "pt"})


def no_model(work: Path, models: Path) -> None:
    shutil.rmtree(models / "model")


FAULTS = {
    "layouts": (no_layouts, {}, "mine.jsonl"),
    "cut adapters": (cut_adapters, {}, "adapters.safetensors"),
    "no adapters": (no_adapters, {}, "adapters"),
    "weights": (nan_model, {}, "NaN or infinity"),
    "no model": (no_model, {}, "no such folder"),
    "layers": (lambda work, models: None, {"guidance": {"layers": ["up_blocks.9.attentions.0"]}}, "up_blocks.9"),
    "scheduler": (lambda work, models: None, {"scheduler": "WishScheduler"}, "WishScheduler"),
    "sides": (lambda work, models: None, {"width": 20, "height": 4}, "lvd_generate.height"),
    "energy": (lambda work, models: None, {"guidance": {"layers": ["a"], "energy": {"fg_top": 1}}}, "fg_top"),
    "device": (lambda work, models: None, {"device": "cuda"}, "compute.device"),
}


@pytest.mark.parametrize(("spoil", "changes", "said"), FAULTS.values(), ids=FAULTS)
def test_faults_are_one_line(
    spoil: Any,
    changes: dict[str, Any],
    said: str,
    tmp_path: Path,
    models: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "device" in changes and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    own = tmp_path / "models"
    shutil.copytree(models, own)
    set_up(tmp_path, own, prompts=PROMPTS[:1], **changes)
    spoil(tmp_path, own)
    assert said in refused(tmp_path, own, capsys, "adapters+guidance")


def test_the_folder_says_the_method(tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(tmp_path, models, prompts=PROMPTS[:1])
    assert "adapters+guidance" in refused(tmp_path, models, capsys, "magic")
