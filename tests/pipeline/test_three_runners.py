"""The DAG from nothing by `dvc repro`, by `run --local`, and through Prefect with a gpu worker: the same bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.flows.prefect_for_tests import PROGRAMS, PrefectServer
from tests.pipeline.workspaces import clone, dvc, git, hashes, program

METHODS = ("baseline", "guidance", "adapters", "adapters+guidance")
GPU_STAGES = sorted(
    ["boxes", "igligen", "keyframes", "latents", "lvd_stage2", "qa", "style"]
    + [f"lvd_generate@{method}" for method in METHODS]
)
pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


def test_all_end_in_the_same_bytes(tmp_path: Path) -> None:
    folders = {name: clone(tmp_path / name) for name in ("repro", "local", "prefect")}
    done = dvc(folders["repro"], "repro")
    assert done.returncode == 0, done.stderr
    done = program(folders["local"], "groundreel", "run", "--local")
    assert done.returncode == 0, done.stderr
    server = PrefectServer(tmp_path / "server")
    server.start()
    try:
        for command in ("deploy", "run"):
            environment = server.environment(folders["prefect"])
            subprocess.run([PROGRAMS / "groundreel", command], cwd=folders["prefect"], env=environment, check=True)
            if command == "deploy":
                server.worker(folders["prefect"], "gpu")
        assert sorted(run["name"] for run in server.runs("stage")) == GPU_STAGES
    finally:
        server.stop()
    expected = hashes(folders["repro"])
    assert hashes(folders["local"]) == expected
    assert hashes(folders["prefect"]) == expected
    for name in ("local", "prefect"):
        assert dvc(folders[name], "status", "--json").stdout.strip() == "{}"
        assert git(folders[name], "status", "--porcelain") == git(folders["repro"], "status", "--porcelain")
