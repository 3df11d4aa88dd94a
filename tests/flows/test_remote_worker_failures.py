"""What cannot travel to or from a worker on another machine is said in one line, and nothing wrong is taken over."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.dvc_project import DvcProject
from flows.dvc_remote import adopt, check_remote, send_inputs
from flows.errors import RunError, UsageError
from tests.flows.machines import S3_VARIABLES, Machines, make_machines, set_remote
from tests.flows.prefect_for_tests import free_port
from tests.flows.small_projects import DIAMOND, journal, make_project, set_stage
from tests.pipeline.workspaces import ROOT, dvc, git, replace


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return make_machines(tmp_path, str(tmp_path / "remote"))


def empty(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


def refusal(project: Path, stage: str) -> str:
    """What `check_remote` says to a stage of the project."""
    with DvcProject(project) as opened, pytest.raises((UsageError, RunError)) as refused:
        check_remote(opened, [opened.graph[stage]])
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_no_default_remote(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    assert refusal(project, "left") == (
        "workers on other machines need a default DVC remote; `dvc remote add --default NAME URL`"
    )


def test_a_remote_without_a_run_cache(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    set_remote(project, f"http://127.0.0.1:{free_port()}/store")
    assert refusal(project, "left") == "DVC remote store: DVC keeps no run cache on http; take another remote"


@pytest.mark.parametrize(
    ("before", "after", "obstacle"),
    [
        ("outs: [data/left]", "outs: [data/left: {persist: true}]", "its output data/left has `persist`"),
        (
            "outs: [data/left]",
            "outs: [data/left: {cache: false}]",
            "its output data/left has `cache: false` and is no metric and no plot",
        ),
        ("params: [left]", "params: [left]\n    always_changed: true", "it has no deps, no outs, or `always_changed`"),
    ],
)
def test_stages_without_a_run_cache_entry(tmp_path: Path, before: str, after: str, obstacle: str) -> None:
    project = make_project(tmp_path / "project", DIAMOND.replace(before, after))
    set_remote(project, str(tmp_path / "remote"))
    assert refusal(project, "left") == f"left: cannot run on another machine: {obstacle}; set `meta: {{pool: cpu}}`"
    with DvcProject(project) as opened:
        check_remote(opened, [opened.graph["right"]])


def test_an_s3_remote_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in S3_VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    project = make_project(tmp_path / "project")
    set_remote(project, "s3://bucket/store", endpointurl=f"http://127.0.0.1:{free_port()}")
    assert refusal(project, "left").startswith("DVC remote store: Could not connect to the endpoint URL")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    set_remote(project, "s3://bucket/store", endpointurl=f"http://127.0.0.1:{free_port()}")
    assert refusal(project, "left") == "DVC remote store: Unable to locate credentials"


def test_s3_without_its_package(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    set_remote(project, "s3://bucket/store")
    program = (
        "import sys; sys.modules['dvc_s3'] = None\n"
        "from pathlib import Path\n"
        "from flows.dvc_project import DvcProject\n"
        "from flows.dvc_remote import check_remote\n"
        "from flows.errors import UsageError\n"
        "try:\n    check_remote(DvcProject(Path.cwd()), [])\n"
        "except UsageError as error:\n    sys.stdout.write(str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (
        "DVC remote store: s3 is supported, but requires 'dvc-s3' to be installed; for S3: `pip install dvc-s3`",
        "",
    )


def test_an_input_that_is_nowhere_but_where_the_run_is(machines: Machines) -> None:
    parent, worker = machines.parent, machines.worker
    advice = "neither git nor DVC brings it; `dvc add data/raw/input.txt` where the run is\n"
    with machines.open("first") as run:
        state, errors = machines.ask(run, "first")
        assert (state, errors) == ("", f"first: data/raw/input.txt is missing on the worker: {advice}")
        (worker / "data" / "raw").mkdir(parents=True)
        (worker / "data" / "raw" / "input.txt").write_text("another one\n")
        assert machines.ask(run, "first") == ("", f"first: data/raw/input.txt differs on the worker: {advice}")
    assert journal(worker) == []
    (parent / ".gitignore").write_text("/.runs/\n/.parts/\n/data/*.txt\n")
    shutil.copyfile(ROOT / "data" / "raw" / ".gitignore", parent / "data" / "raw" / ".gitignore")
    assert dvc(parent, "add", "data/raw/input.txt").returncode == 0
    with machines.open("first") as run:
        run.finish([machines.away(run, "first")])
    assert "given" in (parent / "data" / "first.txt").read_text()
    assert (worker / "data" / "raw" / "input.txt").read_text() == "another one\n"


def test_an_input_that_is_lost_where_the_run_is(machines: Machines) -> None:
    with machines.open("left") as run:
        machines.here(run, "first")
        shutil.rmtree(machines.parent / ".dvc" / "cache" / "files")
        with pytest.raises(RunError) as refused:
            send_inputs(run, run.graph["left"])
    assert str(refused.value) == (
        "left: sending inputs: neither in DVC's cache nor in its remote: data/first.txt; make or `dvc add` them again"
    )


def test_an_input_that_the_remote_lost(machines: Machines, tmp_path: Path) -> None:
    with machines.open("left") as run:
        machines.here(run, "first")
        lock = send_inputs(run, run.graph["left"])
        empty(tmp_path / "remote")
        state, errors = machines.start(run, "left", lock).communicate()
        assert (state, errors) == (
            "",
            "left: fetching inputs: not whole in the DVC remote: data/first.txt; `dvc push` where they are, or run again\n",
        )
        assert journal(machines.worker) == []
        run.finish([machines.away(run, "left")])
    assert (machines.parent / "data" / "left" / "a.txt").exists()


def test_a_result_that_the_remote_lost(machines: Machines, tmp_path: Path) -> None:
    with machines.open("left") as run:
        machines.here(run, "first")
        machines.away(run, "left")
        before = (run.project.root / "data" / "left" / "a.txt").read_bytes()
        set_stage(run.project.root, "left", "unused")  # the workspace's own parameters: another key
        with pytest.raises(RunError, match=r"^left: the worker's result is not in the DVC remote, or was made from other"):
            adopt(run, run.graph["left"])
    set_stage(machines.parent, "left", "new")
    with machines.open("left") as run:
        machines.here(run, "first")
        machines.ask(run, "left")
        empty(tmp_path / "remote" / "files")
        with pytest.raises(RunError) as refused:
            adopt(run, run.graph["left"])
        assert (run.project.root / "data" / "left" / "a.txt").read_bytes() == before
    assert str(refused.value) == (
        "left: fetching the result: not whole in the DVC remote: data/left, reports/left.json; "
        "`dvc push` where they are, or run again"
    )


def test_a_result_from_other_inputs_is_not_taken_over(machines: Machines) -> None:
    with machines.open("left") as run:
        machines.here(run, "first")
        machines.ask(run, "left")
    set_stage(machines.parent, "left", "changed meanwhile")
    with machines.open("left") as run:
        first = machines.here(run, "first")
        with pytest.raises(RunError) as refused:
            adopt(run, run.graph["left"])
        run.finish([first])
    assert str(refused.value) == "left: the worker's result is not in the DVC remote, or was made from other inputs"
    assert "left:" not in (machines.parent / "dvc.lock").read_text()


def test_a_damaged_run_cache_entry_is_not_taken_over(machines: Machines, tmp_path: Path) -> None:
    with machines.open("left") as run:
        machines.here(run, "first")
        machines.ask(run, "left")
        (entry,) = (path for path in (tmp_path / "remote" / "runs").rglob("*") if path.is_file())
        replace(entry, "path: data/left", "path: ../../elsewhere")
        with pytest.raises(RunError, match="was made from other inputs"):
            adopt(run, run.graph["left"])
    assert not list(tmp_path.rglob("elsewhere"))


def test_a_remote_that_does_not_take_an_input(machines: Machines, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with machines.open("left") as run:
        machines.here(run, "first")
        md5 = hashlib.md5((run.project.root / "data" / "first.txt").read_bytes(), usedforsecurity=False).hexdigest()
        (tmp_path / "remote" / "files" / "md5").mkdir(parents=True)
        (tmp_path / "remote" / "files" / "md5" / md5[:2]).symlink_to("/nowhere")
        with pytest.raises(RunError) as refused:
            send_inputs(run, run.graph["left"])
    assert str(refused.value).startswith("left: sending inputs: 1 objects could not be sent to the DVC remote ([Errno ")
    assert "\n" not in str(refused.value) + capfd.readouterr().err


def test_a_commit_that_the_worker_cannot_get(machines: Machines) -> None:
    set_stage(machines.parent, "left", "not committed")
    git(machines.worker, "remote", "set-url", "origin", "/nowhere")
    with machines.open("left") as run:
        machines.here(run, "first")
        state, errors = machines.ask(run, "left")
    start = f"left: the run's commit is not in the origin of the worker's clone {machines.worker} (git fetch in "
    assert (state, errors.count("\n")) == ("", 1)
    assert errors.startswith(start)
