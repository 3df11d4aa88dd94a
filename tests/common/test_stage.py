"""The way into a stage: exit codes, one-line messages, signals, metrics."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.common import stage
from tasks.common.errors import StageError, UserError

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "profiles" / "toy.yaml"


@dataclass(frozen=True)
class Paths:
    """For the tests."""

    metrics: Path


def run(tmp_path: Path, body: Any, *more: str, params: Path = TOY) -> int:
    arguments = ["--params", str(params), "--metrics", str(tmp_path / "metrics.json"), *more]
    return stage.main("example", Paths, body, arguments=arguments)


def test_metrics_are_rounded_and_written(tmp_path: Path) -> None:
    assert run(tmp_path, lambda project, paths: {"share": 1 / 3, "nested": {"list": [2 / 3, 1]}}) == 0
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"share": 0.3333, "nested": {"list": [0.6667, 1]}}


@pytest.mark.parametrize(("error", "code"), [(UserError("wrong"), 2), (StageError("failed"), 1), (RuntimeError("bug"), 1)])
def test_errors_are_one_line_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    def body(project: Any, paths: Paths) -> stage.Metrics:
        raise error

    assert run(tmp_path, body) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert str(error) in lines[0]
    assert not (tmp_path / "metrics.json").exists()


def test_a_traceback_appears_with_v_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def body(project: Any, paths: Paths) -> stage.Metrics:
        raise RuntimeError("bug")

    run(tmp_path, body, "-v")
    assert "Traceback" in capsys.readouterr().err


def test_wrong_parameters_stop_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(TOY.read_text().replace("posterior: sample", "posterior: both"))
    called = []
    assert run(tmp_path, lambda project, paths: called.append(1) or {}, params=params) == 2
    assert called == []
    assert "latents.posterior" in capsys.readouterr().err


def test_nan_in_metrics_is_an_error(tmp_path: Path) -> None:
    assert run(tmp_path, lambda project, paths: {"loss": float("nan")}) == 1
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_ends_the_stage_within_five_seconds(tmp_path: Path, number: signal.Signals, workers: int) -> None:
    code = (
        "import sys\n"
        "from dataclasses import dataclass\n"
        "from pathlib import Path\n"
        "from tasks.common import stage\n"
        "from tasks.common.shard_engine import run_jobs\n"
        "from tests.common import shard_work\n"
        "from tests.common.test_shard_engine import jobs\n"
        "from tests.common.test_stage import Paths\n"
        f"def body(project, paths):\n"
        f"    compute, store = shard_work.compute({workers}), paths.metrics.parent / 'store'\n"
        "    run_jobs(jobs(2), shard_work.sleep_long, store, compute, 'jobs')\n"
        "    return {}\n"
        "if __name__ == '__main__':\n"
        "    sys.exit(stage.main('example', Paths, body))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    command = [sys.executable, str(script), "--params", str(TOY), "--metrics", str(tmp_path / "m.json")]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while len(list(tmp_path.glob("store/begun-*"))) < workers and time.monotonic() < end:
        time.sleep(0.05)
    sent = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - sent < 5
    assert "interrupted; run again" in said
    assert not list(tmp_path.glob("store/*.unfinished"))
    assert not (tmp_path / "m.json").exists()


def test_a_second_signal_ends_the_stage_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from tasks.common import stage\n"
        "from tests.common.test_stage import Paths\n"
        "def body(project, paths):\n"
        "    try:\n"
        "        (paths.metrics.parent / 'begun').touch()\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        (paths.metrics.parent / 'stopping').touch()\n"
        "        time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    sys.exit(stage.main('example', Paths, body))\n"
    )
    (tmp_path / "run.py").write_text(code)
    command = [sys.executable, str(tmp_path / "run.py"), "--params", str(TOY), "--metrics", str(tmp_path / "m.json")]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
    for mark in ("begun", "stopping"):
        end = time.monotonic() + 60
        while not (tmp_path / mark).exists() and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == -signal.SIGTERM
