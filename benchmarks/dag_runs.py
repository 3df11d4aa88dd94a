"""What running the DAG in parallel gains and costs: against `dvc repro`, against the ideal, and through a Prefect server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.result import Result, best_seconds, seconds
from tests.flows.prefect_for_tests import PrefectServer
from tests.flows.small_projects import make_project
from tests.pipeline.workspaces import ROOT, clone, dvc, replace

_GROUNDREEL = str(Path(sys.executable).with_name("groundreel"))
_STAGES, _WIDTH, _SLEEP_S, _RUNS = 200, 20, 0.5, 20


def _run(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**(environment or os.environ), "PATH": path}
    done = subprocess.run([_GROUNDREEL, "run", *arguments], cwd=folder, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout


def _toy_dag(folder: Path, workers: int, limit: float, detail: str) -> tuple[Result, Path, Path]:
    walls: dict[str, list[float]] = {"local": [], "repro": []}
    for number in range(2):
        there, other = (clone(folder / f"{name}-{workers}-{number}") for name in walls)
        for project in (there, other):
            replace(project / "params.yaml", "workers: 2", f"workers: {workers}")
        walls["local"].append(seconds(partial(_run, there, "--local")))
        walls["repro"].append(seconds(partial(dvc, other, "repro")))
        if (there / "dvc.lock").read_bytes() != (other / "dvc.lock").read_bytes():
            raise AssertionError("the lock files differ")
    local, repro = min(walls["local"]), min(walls["repro"])
    name = f"toy DAG from nothing, {workers} worker(s) a stage: run --local to dvc repro"
    return Result(name, local / repro, limit, False, "x", f"{local:.1f} s to {repro:.1f} s; {detail}"), there, other


def measure_toy_dag(folder: Path) -> list[Result]:
    """`run --local` and `dvc repro` of the whole toy DAG, in turn: from nothing, and with nothing to do.

    With one worker a stage leaves a core free, and two of the five stages can overlap; with two it fills both itself.
    """
    overlap, _, _ = _toy_dag(folder, 1, 0.75, "boxes and latents overlap")
    full, there, other = _toy_dag(folder, 2, 1.05, "each stage fills both cores")
    local, repro = best_seconds(partial(_run, there, "--local"), 5), best_seconds(partial(dvc, other, "repro"), 5)
    idle = Result("toy DAG with nothing to do", local / repro, 1.05, False, "x", f"{local:.2f} s to {repro:.2f} s")
    return [overlap, full, idle]


def _wide_dag() -> str:
    stages = {}
    for number in range(_STAGES):
        layer, column = divmod(number, _WIDTH)
        before = [f"data/{layer - 1}-{(column + shift) % _WIDTH}.txt" for shift in (0, 1)] if layer else []
        out = f"data/{layer}-{column}.txt"
        stages[f"s{number}"] = {
            "cmd": f"sleep {_SLEEP_S}; cat params.yaml {' '.join(before)} | md5sum > {out}",
            "deps": [*before, "params.yaml"],
            "outs": [out],
        }
    return json.dumps({"stages": stages})


def measure_wide_dag(folder: Path) -> list[Result]:
    """A DAG of 200 sleeping stages, 20 wide: speed-up against the ideal, the cost of unchanged stages, lost lock entries."""
    project = make_project(folder / "wide", _wide_dag())
    limit = ["--local", "--pool-jobs", f"cpu={_WIDTH}"]
    walls, lost = [], 0
    for number in range(_RUNS):
        (project / "params.yaml").write_text(f"run: {number}\n")
        walls.append(seconds(lambda: _run(project, *limit)))
        lost += _STAGES - sum(f"\n  s{stage}:" in (project / "dvc.lock").read_text() for stage in range(_STAGES))
    idle = best_seconds(lambda: _run(project, *limit), 3)
    ideal = _STAGES * _SLEEP_S / _WIDTH
    detail = f"{min(walls):.1f} s; {_STAGES * _SLEEP_S:.0f} s of sleep, {ideal:.0f} s at best"
    return [
        Result("200 stages, 20 wide: speed-up", _STAGES * _SLEEP_S / min(walls), 2, True, "x", detail),
        Result(f"lock entries lost in {_RUNS} runs", lost, 0, False, "", f"of {_RUNS * _STAGES}"),
        Result("an unchanged stage", idle / _STAGES, 0.2, False, "s", f"{idle:.1f} s for {_STAGES} stages, start included"),
    ]


def _chain(count: int, pool: str) -> str:
    stages = {
        f"s{number}": {
            "cmd": f"cat params.yaml > data/{number}.txt",
            "deps": ["params.yaml", *([f"data/{number - 1}.txt"] if number else [])],
            "outs": [f"data/{number}.txt"],
            "meta": {"pool": pool},
        }
        for number in range(count)
    }
    return json.dumps({"stages": stages})


def measure_prefect(folder: Path) -> list[Result]:
    """What a running Prefect server adds per stage: in place, and given to a worker of another pool."""
    server = PrefectServer(folder / "prefect")
    server.start()
    try:
        results = []
        for pool, count, limit in (("cpu", 10, 1.5), ("gpu", 3, 60)):
            project = make_project(folder / pool, _chain(count, pool))
            shutil.copy(ROOT / "prefect.yaml", project)
            subprocess.run(
                [_GROUNDREEL, "deploy"], cwd=project, env=server.environment(project), check=True, capture_output=True
            )
            if pool == "gpu":
                server.worker(project, pool)
            (project / "params.yaml").write_text("run: local\n")
            local = seconds(partial(_run, project, "--local"))
            (project / "params.yaml").write_text("run: prefect\n")
            through = seconds(partial(_run, project, environment=server.environment(project)))
            name = "in place" if pool == "cpu" else "given to a worker (reported)"
            detail = f"{through:.1f} s to {local:.1f} s for {count} stages in a row"
            results.append(Result(f"Prefect, per stage {name}", (through - local) / count, limit, False, "s", detail))
        return results
    finally:
        server.stop()
