"""The stage `gold` for tests: its parameters, small, and runs of it in a folder of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tasks.common import stage
from tasks.common.parameters import Compute, Section
from tasks.dysen import gold

ROOT = Path(__file__).resolve().parents[2]
GOLD: dict[str, Any] = {
    "candidates": 4,
    "train": 6,
    "heldout": 12,
    "most_actors": 2,
    "last_tick": 7,
    "frames_checked": 3,
    "preview_clips": 2,
    "detector": str(ROOT / "models/sprite/detector"),
    "revision": None,
    "resolution": 64,
    "box_threshold": 0.3,
    "text_threshold": 0.3,
    "batch": 32,
    "annotations": [],
    "sentences_per_video": 2,
    "least_actions": 3,
    "max_bad_fraction": 0.1,
}
_COMPUTE = {"device": "cpu", "dtype": "float32", "workers": 1, "engine": "processes", "num_gpus": 0.0}


class ProjectParameters(Section):
    """The part of `params.yaml` that the stage reads."""

    seed: int
    compute: Compute
    gold: gold.Parameters


def run(work: Path, seed: int = 0, **changes: Any) -> int:
    """Runs the stage into a folder and returns its exit code."""
    params = work / "params.yaml"
    with params.open("w", encoding="utf-8") as file:
        YAML().dump({"seed": seed, "compute": _COMPUTE, "gold": {**GOLD, **changes}}, file)
    names = ("out", "clips", "quarantine", "provenance", "metrics")
    arguments = [word for name in names for word in (f"--{name}", str(work / name))]
    return stage.main("gold", gold.Paths, gold.make_gold, __name__, ["--params", str(params), *arguments])


def metrics(work: Path) -> dict[str, Any]:
    """What the stage measured."""
    found: dict[str, Any] = json.loads((work / "metrics").read_text(encoding="utf-8"))
    return found
