"""The shard engine: order, reuse, damage, killed workers and runs, and nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.common.errors import StageError
from tasks.common.provenance import digest
from tasks.common.shard_engine import Job, run_jobs
from tests.common import shard_work
from tests.common.shard_work import compute

ROOT = Path(__file__).resolve().parents[2]


def jobs(count: int, log: Path | None = None) -> list[Job]:
    return [Job(f"job-{n}", digest([n, bool(log)]), (n, str(log)) if log else n) for n in range(count)]


@pytest.mark.parametrize("workers", [1, 2])
def test_parts_come_in_the_order_of_the_jobs(tmp_path: Path, workers: int) -> None:
    parts = run_jobs(jobs(5), shard_work.write_number, tmp_path, compute(workers), "jobs")
    assert [part.name for part in parts] == [f"job-{n}" for n in range(5)]
    assert [(part.folder / "square.txt").read_text() for part in parts] == ["0", "1", "4", "9", "16"]
    assert [part.statistics["number"] for part in parts] == list(range(5))


def test_finished_parts_are_not_done_again(tmp_path: Path) -> None:
    log, store = tmp_path / "log", tmp_path / "store"
    run_jobs(jobs(3, log), shard_work.count_calls, store, compute(), "jobs")
    run_jobs(jobs(4, log), shard_work.count_calls, store, compute(), "jobs")
    assert sorted(log.read_text().split()) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("damage", ["change", "delete", "manifest"])
def test_a_damaged_part_is_made_again(tmp_path: Path, damage: str) -> None:
    log, store = tmp_path / "log", tmp_path / "store"
    part = run_jobs(jobs(2, log), shard_work.count_calls, store, compute(), "jobs")[1]
    file = part.folder / ("part.json" if damage == "manifest" else "square.txt")
    file.unlink()
    if damage != "delete":
        file.write_text("9")
    parts = run_jobs(jobs(2, log), shard_work.count_calls, store, compute(), "jobs")
    assert (parts[1].folder / "square.txt").read_text() == "1"
    assert sorted(log.read_text().split()) == ["0", "1", "1"]


def test_parts_that_no_job_needs_are_removed(tmp_path: Path) -> None:
    run_jobs(jobs(3), shard_work.write_number, tmp_path, compute(), "jobs")
    run_jobs(jobs(1), shard_work.write_number, tmp_path, compute(), "jobs")
    assert len([folder for folder in tmp_path.iterdir() if folder.is_dir()]) == 1


def test_a_killed_worker_costs_one_shard(tmp_path: Path) -> None:
    log, store = tmp_path / "log", tmp_path / "store"
    with pytest.raises(StageError, match="a worker died"):
        run_jobs(jobs(6, log), shard_work.die_once, store, compute(2), "jobs")
    done = log.read_text().split() if log.exists() else []
    assert "2" not in done
    parts = run_jobs(jobs(6, log), shard_work.die_once, store, compute(2), "jobs")
    calls = log.read_text().split()
    assert (parts[2].folder / "square.txt").read_text() == "4"
    assert not list(store.glob("*.unfinished"))
    assert set(calls) == {str(n) for n in range(6)}
    assert len(calls) - len(set(calls)) <= 2, "a finished shard was done again"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_is_passed_on(tmp_path: Path, workers: int) -> None:
    with pytest.raises(ValueError, match="number one"):
        run_jobs(jobs(3), shard_work.fail, tmp_path, compute(workers), "jobs")
    assert not list(tmp_path.glob("*.unfinished"))


def test_without_ray_the_install_line_is_named(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tasks.common.shard_engine import run_jobs\n"
        "from tests.common import shard_work\n"
        "from tests.common.test_shard_engine import jobs\n"
        "sys.modules['ray'] = None  # as if it were not installed\n"
        "run_jobs(jobs(2), shard_work.write_number, Path(sys.argv[1]), shard_work.compute(2, 'ray'), 'jobs')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tasks.common.errors.UserError: compute.engine = ray: Ray is not installed")
    assert '`pip install -c constraints.txt -e ".[ray]"`' in last


def test_without_work_ray_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tasks.common.shard_engine_ray", None)
    run_jobs(jobs(2), shard_work.write_number, tmp_path, compute(), "jobs")
    parts = run_jobs(jobs(2), shard_work.write_number, tmp_path, compute(2, "ray"), "jobs")
    assert [part.statistics["number"] for part in parts] == [0, 1]


def start_run(store: Path) -> subprocess.Popen[str]:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tasks.common.shard_engine import run_jobs\n"
        "from tests.common import shard_work\n"
        "from tests.common.test_shard_engine import jobs\n"
        "if __name__ == '__main__':\n"
        "    run_jobs(jobs(2), shard_work.sleep_long, Path(sys.argv[1]), shard_work.compute(2), 'jobs')\n"
    )
    script = store.parent / "run.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(store)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True)


def wait_until(condition: object, seconds: float) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def children(parent: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    store = tmp_path / "store"
    process = start_run(store)
    assert wait_until(lambda: len(list(store.glob("begun-*"))) == 2, 60)
    yield process, store
    process.kill()
    process.wait()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes")
def test_kill_of_the_run_leaves_no_worker(running: tuple[subprocess.Popen[str], Path]) -> None:
    process, _ = running
    workers = children(process.pid)
    assert len(workers) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert wait_until(lambda: not any(Path(f"/proc/{pid}/stat").exists() for pid in workers), 10)


def test_a_second_run_on_the_same_store_is_refused(running: tuple[subprocess.Popen[str], Path]) -> None:
    _, store = running
    with pytest.raises(StageError, match="another run"):
        run_jobs(jobs(2), shard_work.write_number, store, compute(), "jobs")
