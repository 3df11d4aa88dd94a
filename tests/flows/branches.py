"""A bare repository whose branches change a small DVC project of two stages, and the check run on clones of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.pipeline.workspaces import dvc, git, program

HOSTILE = (
    "|`</code><img src=x onerror=alert(1)>` @everyone #1 \u202e[x](javascript:1)\n| a | b |\n\n<!-- groundreel metrics -->"
)
PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [recall, names, note]
    outs: [model.json, reports/loss.csv: {cache: false}]
    plots: [reports/figures/curve.png: {cache: false}]
  evaluate:
    cmd: python evaluate.py
    deps: [evaluate.py, model.json]
    metrics: [reports/scores.json: {cache: false}]
"""
TRAIN = """\
import json, pathlib
from PIL import Image
settings = json.loads(pathlib.Path("params.yaml").read_text())
pathlib.Path("model.json").write_text(json.dumps(settings))
pathlib.Path("reports/loss.csv").write_text(f"step,loss\\n0,1\\n1,{1 - settings['recall']}\\n")
pathlib.Path("reports/figures").mkdir(exist_ok=True)
Image.new("RGB", (8, 8), (int(255 * settings["recall"]), 0, 0)).save("reports/figures/curve.png")
"""
EVALUATE = """\
import json, pathlib
model = json.loads(pathlib.Path("model.json").read_text())
scores = {"recall": model["recall"], "counts": {"images": 3}, **{name: model["recall"] for name in model["names"]}}
pathlib.Path("reports/scores.json").write_text(json.dumps(scores))
"""
GATE = """\
reports/scores.json:
  recall: {direction: higher, tolerance: 0.02}
  counts.images: {direction: equal, tolerance: 0}
"""
FILES = {
    "dvc.yaml": PIPELINE,
    "train.py": TRAIN,
    "evaluate.py": EVALUATE,
    "reports/gate.yaml": GATE,
    ".dvc/config": "[core]\n    analytics = false\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".gitignore": "/model.json\n/.runs/\n",
}


def _settings(recall: float, names: tuple[str, ...] = (), note: str = "") -> str:
    return json.dumps({"recall": recall, "names": names, "note": note})


def _regression(folder: Path) -> None:
    (folder / "params.yaml").write_text(_settings(0.7, (HOSTILE,), HOSTILE))


def _improvement(folder: Path) -> None:
    (folder / "params.yaml").write_text(_settings(0.85))
    (folder / "dvc.yaml").write_text(f"{PIPELINE}plots: [reports/loss.csv: {{x: step, y: loss}}]\n")


def _missing(folder: Path) -> None:
    text = EVALUATE.replace('"recall": model["recall"]', '"recall": [model["recall"]]')
    (folder / "evaluate.py").write_text(text)
    looser = GATE.replace("0.02", "0.5")
    (folder / "reports/gate.yaml").write_text(looser)


def _stale(folder: Path) -> None:
    (folder / "params.yaml").write_text(_settings(0.9))


BRANCHES: dict[str, Callable[[Path], None]] = {
    "improvement": _improvement,
    "regression": _regression,
    "missing": _missing,
    "stale": _stale,
}


def build(folder: Path) -> tuple[Path, Path]:
    """The bare repository and the working one, which has the data and is on main.

    All branches leave main at its first commit; main goes on with a recall that none of them reaches.
    """
    bare, work = folder / "bare.git", folder / "work"
    for name, text in {**FILES, "params.yaml": _settings(0.8)}.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text, encoding="utf-8")
    git(work, "init", "-q", "-b", "main")
    _commit(work, run=True)
    for name, edit in BRANCHES.items():
        git(work, "switch", "-q", "-c", name, "main")
        edit(work)
        _commit(work, run=name != "stale")
    git(work, "switch", "-q", "main")
    (work / "params.yaml").write_text(_settings(0.95))
    _commit(work, run=True)
    git(folder, "clone", "-q", "--bare", str(work), str(bare))
    return bare, work


def _commit(work: Path, *, run: bool) -> None:
    if run:
        done = dvc(work, "repro", **state(work))
        assert done.returncode == 0, done.stdout + done.stderr
    git(work, "add", "-A")
    git(work, "commit", "-qm", "change")


def state(folder: Path) -> dict[str, str]:
    """Keeps DVC's databases beside a project."""
    return {"DVC_SITE_CACHE_DIR": str(folder.with_name(f"{folder.name}-state"))}


def clone(bare: Path, branch: str, target: Path) -> Path:
    """A branch as a pull request's runner has it: all history, no data."""
    shutil.rmtree(target, ignore_errors=True)
    git(bare.parent, "clone", "-q", "--branch", branch, str(bare), str(target))
    return target


def run_check(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command that `make pull-request` runs."""
    return program(folder, "python", "-m", "flows.pull_request.check", *arguments, **state(folder), **environment)


def verdict(folder: Path) -> dict[str, Any]:
    """What the check wrote."""
    found: dict[str, Any] = json.loads((folder / ".runs/pull_request/verdict.json").read_text(encoding="utf-8"))
    return found
