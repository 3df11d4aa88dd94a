"""A run whose `gpu` stages go through Prefect to a worker in another clone, with its own cache and a DVC remote between."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.flows.machines import S3_VARIABLES, s3_server, set_remote
from tests.flows.prefect_for_tests import PrefectServer
from tests.flows.small_projects import journal, make_project, set_stage, variables
from tests.flows.test_local_run import results
from tests.flows.test_prefect_runs import deploy, run
from tests.pipeline.workspaces import ROOT, dvc, git

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


def test_the_worker_does_its_stages_and_the_run_alone_writes_the_lock_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in S3_VARIABLES.items():
        monkeypatch.setenv(name, value)
    project = make_project(tmp_path / "project")
    shutil.copy(ROOT / "prefect.yaml", project)
    clone = tmp_path / "clone"
    server = PrefectServer(tmp_path / "prefect")
    with s3_server(tmp_path / "s3.log") as address:
        set_remote(project, "s3://bucket/project", endpointurl=address)
        git(project, "add", "-A")
        git(project, "commit", "-qm", "remote")
        git(tmp_path, "clone", "-q", str(project), str(clone))
        set_stage(project, "left", "not committed")
        server.start()
        try:
            assert deploy(server, project).returncode == 0
            server.worker(clone, "gpu", GROUNDREEL_CHECKOUT=str(clone))
            done = run(server, project, "--remote-workers")
            assert done.returncode == 0, done.stdout + done.stderr
        finally:
            server.stop()
    assert sorted(journal(clone)) == ["left", "right"]
    assert sorted(journal(project)) == ["first", "last"]
    assert not (clone / "dvc.lock").exists()
    other = make_project(tmp_path / "other")
    set_stage(other, "left", "not committed")
    assert dvc(other, "repro", **variables(other)).returncode == 0
    assert results(project) == results(other)
