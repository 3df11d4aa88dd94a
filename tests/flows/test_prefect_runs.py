"""Runs through a real Prefect server with a separate worker for the pool `gpu`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.prefect_for_tests import PROGRAMS, PrefectServer, free_port
from tests.flows.small_projects import journal, make_project, set_stage, variables
from tests.flows.test_local_run import results
from tests.pipeline.workspaces import ROOT, dvc

pytestmark = pytest.mark.timeout(240)


def run(server: PrefectServer, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAMS / "groundreel"), "run", *arguments]
    return subprocess.run(command, cwd=project, env=server.environment(project), capture_output=True, text=True)


def deploy(server: PrefectServer, project: Path) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAMS / "groundreel"), "deploy"]
    return subprocess.run(command, cwd=project, env=server.environment(project), capture_output=True, text=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path_factory.mktemp("server") / "prefect")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("small") / "project")
    shutil.copy(ROOT / "prefect.yaml", folder)
    return folder


def test_without_a_server_it_says_what_starts_one(project: Path) -> None:
    done = run(PrefectServer(project.parent, port=free_port()), project)
    assert done.returncode == 2
    assert "`prefect server start` starts one" in done.stderr
    assert done.stderr.count("\n") == 1
    assert journal(project) == []


def test_without_pools_it_says_what_makes_them(server: PrefectServer, project: Path) -> None:
    done = run(server, project)
    assert done.returncode == 2
    assert (
        "no work pool `gpu` with a deployment `stage/gpu`, which dvc.yaml asks for; `groundreel deploy` makes both"
        in done.stderr
    )
    assert journal(project) == []


def test_it_ends_like_dvc_repro_and_shows_states_and_artifacts(server: PrefectServer, project: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = deploy(server, project)
        assert done.returncode == 0, done.stdout + done.stderr
    server.worker(project, "gpu")
    done = run(server, project)
    assert done.returncode == 0, done.stdout + done.stderr
    newest = server.runs("pipeline")[0]
    assert newest["state_name"] == "Completed"
    assert set(server.task_states(newest["id"]).values()) >= {"Ran"}
    assert [child["name"] for child in server.runs("stage")].count("left") == 1
    artifacts = server.artifacts()
    assert {"stages", "dag", "metrics", "metrics-diff", "previews"} <= set(artifacts)
    assert "left.characters" in artifacts["metrics"]
    assert "data:image/svg+xml;base64," in artifacts["dag"]

    other = make_project(tmp_path / "other")
    assert dvc(other, "repro", **variables(other)).returncode == 0
    assert results(project) == results(other)
    assert sorted(journal(project)) == sorted(journal(other))

    set_stage(project, "right", "another way")
    assert run(server, project).returncode == 0
    states = server.task_states(server.runs("pipeline")[0]["id"])
    assert {name: states[name] for name in ("first", "left", "right", "last")} == {
        "first": "Unchanged",
        "left": "Unchanged",
        "right": "Ran",
        "last": "Ran",
    }


def test_a_failure_says_which_why_and_how_to_go_on(server: PrefectServer, project: Path) -> None:
    set_stage(project, "right", '!sys.exit("the moon is in the way")')
    done = run(server, project)
    assert done.returncode == 1
    assert "groundreel: right: failed with exit code 1: the moon is in the way (log: " in done.stderr
    assert "go on with `groundreel run`" in done.stderr
    newest = server.runs("pipeline")[0]
    assert (newest["state_name"], server.task_states(newest["id"])["right"]) == ("Failed", "Failed")
    assert "the moon is in the way" in newest["state"]["message"]
    set_stage(project, "right", "another way")
    assert run(server, project).returncode == 0
