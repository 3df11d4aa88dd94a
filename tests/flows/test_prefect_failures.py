"""What goes wrong around a Prefect run, provoked for real: pools, workers, flows and servers that are missing or killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from filelock import FileLock, Timeout

from tests.flows.prefect_for_tests import PROGRAMS, PrefectServer, free_port, kill_group
from tests.flows.small_projects import is_alive, journal, make_project, set_stage, wait_until
from tests.flows.test_local_run_failures import WAIT_FOR_FILE, pid
from tests.flows.test_prefect_runs import deploy, run
from tests.pipeline.workspaces import ROOT, program

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL server of the tests' own; gives the address of an empty database."""
    owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    port = free_port()
    folder.mkdir()
    if owner:
        shutil.chown(folder, "postgres")
        for parent in folder.parents[:3]:
            parent.chmod(0o755)
    data = folder / "data"
    subprocess.run([*owner, "initdb", "-D", str(data), "-U", "prefect", "-A", "trust"], check=True, capture_output=True)
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=200"
    control = [*owner, "pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-w"]
    subprocess.run([*control, "-o", options, "start"], check=True, capture_output=True)
    try:
        subprocess.run(["createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "prefect", "runs"], check=True)
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/runs"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True)


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    folder = tmp_path_factory.mktemp("server")
    if getattr(request, "param", "sqlite") == "sqlite":
        server = PrefectServer(folder / "prefect")
        server.start()
        yield server
        server.stop()
        return
    if shutil.which("initdb") is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres(folder / "postgres") as database:
        server = PrefectServer(folder / "prefect", database)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def signs(tmp_path: Path) -> Path:
    (tmp_path / "signs").mkdir()
    return tmp_path / "signs"


@pytest.fixture
def project(server: PrefectServer, tmp_path: Path) -> Path:
    folder = make_project(tmp_path / "project")
    shutil.copy(ROOT / "prefect.yaml", folder)
    done = deploy(server, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@contextmanager
def started(server: PrefectServer, project: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`groundreel run` in the background."""
    command = [str(PROGRAMS / "groundreel"), "run", *arguments]
    with (server.folder / "run.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=project,
            env=server.environment(project),
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def said(server: PrefectServer) -> str:
    return (server.folder / "run.log").read_text()


def pool(server: PrefectServer, **changes: object) -> None:
    """Changes the pool; SQLite may be busy at the first attempt."""
    wait_until(lambda: httpx.patch(f"{server.url}/work_pools/gpu", json=changes, timeout=30).status_code == 204)


@contextmanager
def serving(server: PrefectServer, project: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker for the pool `gpu`."""
    process = server.worker(project, "gpu")
    try:
        yield process
    finally:
        kill_group(process)


@pytest.fixture
def worker(server: PrefectServer, project: Path) -> Iterator[subprocess.Popen[bytes]]:
    with serving(server, project) as process:
        yield process


@pytest.mark.usefixtures("worker")
def test_a_paused_or_full_pool_is_waited_for_and_named(server: PrefectServer, project: Path) -> None:
    pool(server, is_paused=True)
    with started(server, project) as process:
        wait_until(lambda: "work pool gpu is paused; `prefect work-pool resume gpu` goes on" in said(server), 60)
        pool(server, is_paused=False, concurrency_limit=1)
        assert process.wait(timeout=120) == 0, said(server)
    starts = [run["start_time"] for run in server.runs("stage")]
    ends = [run["end_time"] for run in server.runs("stage")]
    assert min(ends) <= max(starts), "two stages ran at a time in a pool of one"


def test_a_pool_without_worker_is_named_and_served_when_one_comes(server: PrefectServer, project: Path) -> None:
    with started(server, project, "left") as process:
        wait_until(lambda: "waiting: " in said(server), 60)
        with serving(server, project):
            assert process.wait(timeout=90) == 0, said(server)


@pytest.mark.usefixtures("worker")
def test_ctrl_c_cancels_the_stage_of_the_worker(server: PrefectServer, project: Path, signs: Path) -> None:
    set_stage(project, "right", WAIT_FOR_FILE.format(signs=signs))
    with started(server, project) as process:
        processes = [pid(signs / "right.pid"), pid(signs / "child.pid")]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130, said(server)
        wait_until(lambda: not any(is_alive(one) for one in processes), 60)
    assert not (project / "dvc.lock").exists()
    (signs / "go").touch()
    assert run(server, project).returncode == 0
    assert journal(project).count("first") == 1


@pytest.mark.usefixtures("worker")
def test_a_killed_flow_leaves_its_stage_to_the_worker_and_the_next_run_takes_the_result(
    server: PrefectServer, project: Path, signs: Path
) -> None:
    set_stage(project, "right", WAIT_FOR_FILE.format(signs=signs))
    with started(server, project) as process:
        pid(signs / "right.pid")
        process.kill()
        process.wait()
    refused = run(server, project)
    assert refused.returncode == 1
    assert "a worker is still busy with right of an earlier run (process " in refused.stderr
    (signs / "go").touch()
    wait_until(lambda: run_lock_is_free(project), 60)
    done = run(server, project)
    assert done.returncode == 0, done.stderr
    assert sorted(journal(project)) == ["first", "last", "left", "right"]


def run_lock_is_free(project: Path) -> bool:
    try:
        with FileLock(project / ".runs" / "stages" / "right.lock", timeout=0):
            return True
    except Timeout:
        return False


def test_a_killed_worker_alone_loses_nothing(server: PrefectServer, project: Path, signs: Path) -> None:
    """The flow that it had started lives on, and its result counts."""
    set_stage(project, "right", WAIT_FOR_FILE.format(signs=signs))
    with serving(server, project) as worker, started(server, project) as process:
        pid(signs / "right.pid")
        worker.kill()
        worker.wait()
        time.sleep(3)
        (signs / "go").touch()
        with serving(server, project):
            assert process.wait(timeout=120) == 0, said(server)
    assert sorted(journal(project)) == ["first", "last", "left", "right"]


def test_a_lost_worker_is_noticed_by_its_missing_heartbeat(server: PrefectServer, project: Path, signs: Path) -> None:
    """As when a machine dies: worker, flow and stage go at once, and nobody is left to say so."""
    set_stage(project, "right", WAIT_FOR_FILE.format(signs=signs))
    with serving(server, project) as worker, started(server, project) as process:
        processes = [pid(signs / "right.pid"), pid(signs / "child.pid")]
        time.sleep(40)  # the first heartbeat comes after 30 s
        kill_group(worker)
        for engine in engines(server):
            os.kill(engine, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(one) for one in processes), 30)
        assert process.wait(timeout=200) == 1
    assert "right: its run on the pool gpu was lost (no heartbeat for 90 s)" in said(server)
    assert "`groundreel worker gpu`" in said(server)
    (signs / "go").touch()
    with serving(server, project):
        assert run(server, project).returncode == 0
    assert journal(project).count("left") == 1


def engines(server: PrefectServer) -> list[int]:
    """Processes in which workers of the server run flows."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text()
            if "prefect" in command and "engine" in command and server.url in (folder / "environ").read_text():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("server", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.usefixtures("worker")
def test_a_killed_server_comes_back_and_the_run_ends_well(server: PrefectServer, project: Path, signs: Path) -> None:
    set_stage(project, "right", WAIT_FOR_FILE.format(signs=signs))
    with started(server, project) as process:
        pid(signs / "right.pid")
        kill_group(server.processes[0])
        time.sleep(3)
        server.processes[0] = server.start()
        (signs / "go").touch()
        assert process.wait(timeout=150) == 0, said(server)
    assert program(project, "dvc", "status", "--json").stdout.strip() == "{}"
    assert sorted(journal(project)) == ["first", "last", "left", "right"]
