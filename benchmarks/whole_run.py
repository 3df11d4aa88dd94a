"""The commands that people wait for, in a temporary clone with this environment and the parameters as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.result import Result, best_seconds, seconds
from tests.pipeline.workspaces import clone, dvc


def _repro(folder: Path) -> None:
    done = dvc(folder, "repro")
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def measure_whole_run(folder: Path) -> list[Result]:
    """What `make run` does once the environment is there, and a run with nothing to do."""
    there = clone(folder / "clone", in_little=False)
    doctor = [str(Path(sys.executable).parent / "groundreel"), "doctor"]
    checked = seconds(lambda: subprocess.run(doctor, cwd=there, check=True, capture_output=True))
    first = checked + seconds(lambda: _repro(there))
    again = best_seconds(lambda: _repro(there), 3)
    return [
        Result("make run after installation", first, 360, False, "s", "doctor and dvc repro from nothing"),
        Result("dvc repro with nothing to do", again, 3, False, "s", "best of three"),
    ]
