"""A worker in another clone, with a cache of its own: inputs, results and the run cache travel through a DVC remote."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.dvc_remote import adopt, send_inputs
from flows.stage_run import Outcome
from tests.flows.machines import S3_VARIABLES, Machines, make_machines, s3_server
from tests.flows.small_projects import DIAMOND, journal, make_project, set_stage, variables
from tests.pipeline.workspaces import dvc, git


@pytest.fixture(scope="module")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in S3_VARIABLES.items():
            patch.setenv(name, value)
        with s3_server(tmp_path_factory.mktemp("s3") / "log") as url:
            yield url


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return make_machines(tmp_path, str(tmp_path / "remote"))


def files(folder: Path) -> dict[str, int]:
    """Every file with the time of its last write."""
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def repro(source: Path, clone: Path) -> Path:
    """`dvc repro` of the same tree in a third place."""
    shutil.copytree(source, clone, ignore=shutil.ignore_patterns(".runs", ".parts", "cache", "tmp"))
    done = dvc(clone, "repro", **variables(clone))
    assert done.returncode == 0, done.stderr
    return clone


@pytest.fixture(scope="module")
def third(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unchanged project after `dvc repro`."""
    folder = tmp_path_factory.mktemp("third")
    return repro(make_project(folder / "source"), folder / "clone")


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_the_run_ends_like_dvc_repro(tmp_path: Path, third: Path, kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "s3":
        machines = make_machines(tmp_path, f"s3://bucket/{tmp_path.name}", endpointurl=request.getfixturevalue("s3_url"))
    else:
        machines = make_machines(tmp_path, str(tmp_path / "remote"))
    parent, worker = machines.parent, machines.worker
    with machines.open() as run:
        outcomes = [machines.here(run, "first")]
        outcomes += [machines.away(run, stage) for stage in ("left", "right")]
        outcomes += [machines.here(run, "last")]
        run.finish(outcomes)
    assert [outcome.state for outcome in outcomes] == ["Ran"] * 4
    assert (journal(parent), journal(worker)) == (["first", "last"], ["left", "right"])
    for name in ("dvc.lock", "reports/left.json", "data/left/a.txt", "data/last.txt"):
        assert (parent / name).read_bytes() == (third / name).read_bytes()
    assert not (worker / "dvc.lock").exists()
    assert git(worker, "status", "--porcelain") == ""


def test_changes_that_are_not_committed_travel_by_the_common_origin(machines: Machines, tmp_path: Path) -> None:
    parent, worker, origin = machines.parent, machines.worker, tmp_path / "origin.git"
    git(tmp_path, "clone", "-q", "--bare", str(parent), str(origin))
    git(parent, "remote", "add", "origin", str(origin))
    git(worker, "remote", "set-url", "origin", str(origin))
    set_stage(parent, "left", "another way")
    (parent / "stage.py").write_text((parent / "stage.py").read_text() + "# not committed\n")
    expected = (repro(parent, tmp_path / "third") / "dvc.lock").read_bytes()
    with machines.open() as run:
        outcomes = [machines.here(run, "first"), machines.away(run, "left"), machines.away(run, "right")]
        run.finish([*outcomes, machines.here(run, "last")])
    assert "left another way" in (parent / "data" / "left" / "a.txt").read_text()
    assert (parent / "dvc.lock").read_bytes() == expected
    assert git(worker, "status", "--porcelain") == ""


def test_metrics_that_only_git_holds_reach_a_worker(machines: Machines) -> None:
    parent = machines.parent
    with machines.open() as run:
        run.finish([machines.here(run, stage) for stage in ("first", "left", "right", "last")])
    git(parent, "add", "-A")
    git(parent, "commit", "-qm", "results")
    md5 = hashlib.md5((parent / "reports" / "left.json").read_bytes(), usedforsecurity=False).hexdigest()
    (parent / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]).unlink()
    set_stage(parent, "right", "differently")
    with machines.open() as run:
        outcomes = [machines.here(run, stage) for stage in ("first", "left", "right")]
        run.finish([*outcomes, machines.away(run, "last")])
    assert [outcome.state for outcome in outcomes] == ["Unchanged", "Unchanged", "Ran"]
    assert journal(machines.worker) == ["last"]
    assert "right differently" in (parent / "data" / "last.txt").read_text()
    assert "characters" in (parent / "data" / "last.txt").read_text()


def test_a_result_is_not_made_twice_and_nothing_is_sent_twice(machines: Machines, tmp_path: Path) -> None:
    with machines.open("left") as run:
        machines.here(run, "first")
        machines.away(run, "left")
        sent = files(tmp_path / "remote")
        again = machines.away(run, "left")
        changed = {path for path, written in files(tmp_path / "remote").items() if sent.get(path) != written}
        run.finish([again])
    assert again.state == "Cached"
    assert journal(machines.worker) == ["left"]
    entries = {path for path in sent if path.startswith("runs/")}
    assert len(entries) == 1, "the run cache of other stages stays where it is"
    assert changed == entries


def test_only_what_a_stage_needs_is_sent(tmp_path: Path) -> None:
    pipeline = DIAMOND.replace("data/first.txt\n", "data/first.txt data/unused.json\n", 1)
    pipeline = pipeline.replace("outs: [data/first.txt]", "outs: [data/first.txt, data/unused.json]")
    machines = make_machines(tmp_path, str(tmp_path / "remote"), pipeline)
    with machines.open("right") as run:
        machines.here(run, "first")
        send_inputs(run, run.graph["right"])
        given = (run.project.root / "data" / "first.txt").read_bytes()
    assert [(tmp_path / "remote" / name).read_bytes() for name in files(tmp_path / "remote")] == [given]


def test_the_newest_of_two_forced_results_is_taken(machines: Machines) -> None:
    set_stage(machines.parent, "left", "!text += str(time.time_ns())")
    with machines.open("left") as run:
        machines.here(run, "first")
        entries = [machines.away(run, "left", *options).entry for options in ([], [], ["--force"])]
    assert journal(machines.worker) == ["left", "left"]
    assert entries[0] == entries[1] != entries[2]


def test_stages_at_once_do_not_collide(machines: Machines) -> None:
    for stage, other in (("left", "right"), ("right", "left")):
        set_stage(machines.parent, stage, f'!while "{other}" not in open(os.environ["JOURNAL"]).read(): time.sleep(0.02)')
    with machines.open() as run:
        outcomes = [machines.here(run, "first")]
        at_work = {stage: machines.start(run, stage, send_inputs(run, run.graph[stage])) for stage in ("left", "right")}
        for stage, process in at_work.items():
            assert process.communicate(timeout=50) == ("Ran", "")
            outcomes.append(Outcome(stage, "Ran", entry=adopt(run, run.graph[stage])))
        run.finish([*outcomes, machines.here(run, "last")])
    assert sorted(journal(machines.worker)) == ["left", "right"]
    assert dvc(machines.parent, "status", "--json").stdout.strip() == "{}"
