"""The stage `lvd_stage2` as tests run it: on videos of sprites with known boxes, with a parameter file of its own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from benchmarks.true_videos import true_clip, write_method
from tasks.captions.clause_parser import ClauseParser
from tasks.common import stage
from tasks.lvd import lvd_stage2
from tasks.lvd.benchmark_prompts import BenchmarkPrompt, benchmark_prompts
from tasks.lvd.expectations import TASKS
from tasks.lvd.kinematics import lay_out
from tasks.lvd.layout import DynamicSceneLayout, write_layouts
from tasks.lvd.rules import FRAMES
from tasks.parameters import ProjectParameters as OtherParameters

ROOT = Path(__file__).resolve().parents[2]
SECTION: dict[str, Any] = {
    "detector": str(ROOT / "models" / "sprite" / "detector"),
    "revision": None,
    "resolution": 64,
    "threshold": 0.3,
    "nms_threshold": 0.5,
    "class_aware": True,
    "batch": 48,
    "max_bad_fraction": 0.5,
    "preview_prompts": 2,
}


class ProjectParameters(OtherParameters):
    """All parameters of the project."""

    lvd_stage2: lvd_stage2.Parameters


def one_of_each_task(place: int = 37) -> list[BenchmarkPrompt]:
    """One prompt of each task."""
    return [[item for item in benchmark_prompts() if item.task == task][place] for task in TASKS]


@cache
def planned_layouts() -> tuple[DynamicSceneLayout, ...]:
    """The rule-based planner's layouts of all benchmark prompts."""
    prompts = [prompt.prompt for prompt in benchmark_prompts()]
    scenes = ClauseParser().describe_all(prompts)
    return tuple(lay_out(scene, prompt, FRAMES, "slots/parser") for scene, prompt in zip(scenes, prompts, strict=True))


def put(work: Path, method: str, prompts: Iterable[BenchmarkPrompt], *, right: bool = True, frames: int = 8) -> None:
    """Videos of a method that show what their prompts want, or just not."""
    draws = [(prompt, np.random.default_rng(prompt.index)) for prompt in prompts]
    clips = [(prompt, 0, true_clip(prompt.expectation, draw, frames, right=right)) for prompt, draw in draws]
    write_method(work / "videos", method, clips)


def run(work: Path, **changes: Any) -> int:
    """The stage's exit code; parameters may be changed."""
    yaml = YAML()
    values = yaml.load((ROOT / "profiles" / "toy.yaml").read_text(encoding="utf-8"))
    values["lvd_stage2"] = {**SECTION, **changes}
    with (work / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(values, file)
    write_layouts(work / "layouts" / "slots-parser" / "lvd.jsonl", planned_layouts())
    given = {"prompts": ROOT / "data" / "prompts"}
    words = ["--params", str(work / "params.yaml")]
    for field in dataclasses.fields(lvd_stage2.Paths):
        words += [f"--{field.name}", str(given.get(field.name, work / field.name))]
    return stage.main("lvd_stage2", lvd_stage2.Paths, lvd_stage2.make_scores, __name__, words)


def metrics(work: Path, **changes: Any) -> dict[str, Any]:
    """The metrics of a run that goes well."""
    assert run(work, **changes) == 0
    found: dict[str, Any] = json.loads((work / "metrics").read_text(encoding="utf-8"))
    return found
