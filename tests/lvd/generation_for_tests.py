"""The stage `lvd_generate` in a folder of its own, with a checkpoint of random weights and adapters that matter."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention import GatedSelfAttentionDense
from ruamel.yaml import YAML

from tasks.common import stage
from tasks.common.parameters import Compute, Section
from tasks.igligen.adapter_files import save_adapters
from tasks.igligen.adapters import add_adapters
from tasks.lvd import layouts, lvd_generate
from tasks.lvd.layout import DynamicSceneLayout, write_layouts
from tests.lvd.layouts_for_tests import along, layout, still
from tests.video.tiny_text_to_video import ATTENTION_LAYERS, tiny_unet, write_tiny_text_to_video

PROJECT = "tests.lvd.generation_for_tests"
FILES = ("quarantine", "provenance", "figure", "metrics")
SETTINGS: dict[str, Any] = {
    "revision": None, "frames": 3, "frames_per_second": 4.0, "width": 32, "height": 32, "prompts": "mine",
    "prompts_per_task": None, "repeats": 1, "seed_offset": 0, "scheduler": "DPMSolverMultistepScheduler", "steps": 2,
    "guidance_scale": 3.0, "negative_prompt": "dull", "beta": 0.5, "batch": 2, "upsampler": None, "upsampler_revision": None,
    "upsample_width": 48, "upsample_height": 48, "upsample_strength": 0.5, "upsample_steps": 2,
    "upsample_guidance_scale": 2.0, "upsample_negative_prompt": "blurry", "max_bad_fraction": 0.0, "preview_videos": 2,
    "guidance": {"layers": list(ATTENTION_LAYERS[:3]), "loss_scale": 20.0, "loss_threshold": 0.0, "max_iter": 1,
                 "max_index_step": 1},
}  # fmt: skip
PROMPTS = [f"a cat number {number} on a street" for number in range(5)]


class ProjectParameters(Section):
    """What of the parameter file this stage reads."""

    compute: Compute
    layouts: layouts.Parameters
    lvd_generate: lvd_generate.Parameters


def cat_layouts(prompts: Sequence[str] = PROMPTS) -> list[DynamicSceneLayout]:
    """A cat that walks, each prompt's in another row, and a thing that its prompt does not name."""
    ball = ("red ball", still((300, 300, 150, 150)))
    made = [
        layout(("cat", along(0, 50, 100, 150, 200, 250, y=20 * number, side=200)), ball, prompt=prompt)
        for number, prompt in enumerate(prompts)
    ]
    return [item.model_copy(update={"background": "street"}) for item in made]


def write_models(folder: Path) -> None:
    """`model` and `adapters` in the folder."""
    write_tiny_text_to_video(folder / "model")
    unet = tiny_unet()
    torch.manual_seed(3)
    add_adapters(unet)
    for module in unet.modules():
        if isinstance(module, GatedSelfAttentionDense):
            torch.nn.init.constant_(module.alpha_attn, 0.7)
    save_adapters(unet, folder / "adapters" / "adapters.safetensors", {})


def set_up(
    work: Path, models: Path, /, prompts: Sequence[str] = PROMPTS, planned: Sequence[DynamicSceneLayout] | None = None,
    workers: int = 1, device: str = "cpu", **changes: Any,
) -> None:  # fmt: skip
    """Writes prompts, layouts and parameters; `changes` are keys of the section `lvd_generate`."""
    (work / "prompts").mkdir(exist_ok=True, parents=True)
    (work / "prompts" / "mine.txt").write_text("".join(f"{line}\n" for line in prompts), encoding="utf-8")
    write_layouts(work / "layouts" / "slots-parser" / "mine.jsonl", cat_layouts(prompts) if planned is None else planned)
    yaml = YAML()
    toy = yaml.load((Path(__file__).resolve().parents[2] / "profiles" / "toy.yaml").read_text(encoding="utf-8"))
    compute = {**toy["compute"], "workers": workers, "device": device}
    generate = {**SETTINGS, "model": str(models / "model"), **changes}
    with (work / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump({"compute": compute, "layouts": toy["layouts"], "lvd_generate": generate}, file)


def arguments(work: Path, models: Path, method: str) -> list[str]:
    """The command line, without the program."""
    options = {"params": work / "params.yaml", "prompts": work / "prompts", "layouts": work / "layouts"}
    options |= {"adapters": models / "adapters", "out": work / "videos" / method, "parts": work / "parts"}
    options |= {name: work / f"{name}-{method}" for name in FILES}
    return [word for name, path in options.items() for word in (f"--{name}", str(path))]


def run(work: Path, models: Path, method: str = "baseline") -> int:
    """The exit code."""
    given = arguments(work, models, method)
    return stage.main("lvd_generate", lvd_generate.Paths, lvd_generate.make_videos, PROJECT, given)


def made(work: Path, method: str) -> dict[str, bytes]:
    """All that a run wrote, the part store excepted."""
    files = [*sorted((work / "videos" / method).iterdir()), *(work / f"{name}-{method}" for name in FILES)]
    return {file.name: file.read_bytes() for file in files}


def quarantine(work: Path, method: str) -> list[dict[str, str]]:
    """What was set aside, its count checked."""
    head, *lines = map(json.loads, (work / f"quarantine-{method}").read_text(encoding="utf-8").splitlines())
    assert head == {"quarantined": len(lines)}
    return lines


def metrics(work: Path, method: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / f"metrics-{method}").read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    sys.exit(stage.main("lvd_generate", lvd_generate.Paths, lvd_generate.make_videos, PROJECT))
