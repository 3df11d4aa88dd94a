"""What goes wrong while a run is at work: locks, signals, kills, edits, a full disk. Each is provoked for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.small_projects import (
    groundreel,
    is_alive,
    journal,
    make_project,
    run_local,
    set_stage,
    start_run,
    states,
    variables,
    wait_until,
)
from tests.pipeline.workspaces import dvc, git

WAIT_FOR_FILE = '!(pathlib.Path("{signs}") / (name + ".pid")).write_text(str(os.getpid()))' + (
    '; child = subprocess.Popen(["sleep", "300"]); (pathlib.Path("{signs}") / "child.pid").write_text(str(child.pid))'
    '; [time.sleep(0.02) for _ in range(3000) if not (pathlib.Path("{signs}") / "go").exists()]; child.kill()'
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def signs(tmp_path: Path) -> Path:
    (tmp_path / "signs").mkdir()
    return tmp_path / "signs"


def pid(file: Path) -> int:
    wait_until(lambda: file.exists() and file.read_text() != "")
    return int(file.read_text())


@pytest.fixture
def waiting(project: Path, signs: Path) -> Iterator[subprocess.Popen[str]]:
    """A run whose stage `right` waits for the file `go`."""
    set_stage(project, "right", WAIT_FOR_FILE.format(signs=signs))
    run = start_run(project)
    pid(signs / "right.pid")
    pid(signs / "child.pid")
    left = project / ".runs" / "workspace" / "data" / "left" / "a.txt"
    wait_until(lambda: left.exists() and left.stat().st_nlink > 1)  # its result is in the cache
    yield run
    (signs / "go").touch()
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def hold_dvc_lock(project: Path, signs: Path) -> subprocess.Popen[bytes]:
    code = (
        "import sys, time, pathlib\n"
        "from dvc.lock import Lock\n"
        "with Lock(sys.argv[1]):\n"
        "    pathlib.Path(sys.argv[2], 'held').touch()\n"
        "    time.sleep(5)\n"
    )
    lock = project / ".runs" / "workspace" / ".dvc" / "tmp" / "lock"
    holder = subprocess.Popen([sys.executable, "-c", code, str(lock), str(signs)])
    wait_until((signs / "held").exists)
    return holder


def test_a_lock_that_is_held_when_a_stage_ends_is_waited_for(
    project: Path, signs: Path, waiting: subprocess.Popen[str]
) -> None:
    holder = hold_dvc_lock(project, signs)
    (signs / "go").touch()
    output, _ = waiting.communicate(timeout=60)
    assert holder.poll() == 0, "the run ended before the lock was free"
    assert waiting.returncode == 0, output
    assert journal(project).count("right") == 1


def test_a_second_run_is_refused_with_the_process_of_the_first(project: Path, waiting: subprocess.Popen[str]) -> None:
    second = groundreel(project, "run", "--local")
    assert second.returncode == 1
    assert f"another run is at work in {project} (process {waiting.pid})" in second.stderr
    assert waiting.poll() is None


def test_dvc_repro_beside_a_run_harms_neither(project: Path, signs: Path, waiting: subprocess.Popen[str]) -> None:
    assert dvc(project, "repro", "left", **variables(project)).returncode == 0
    (signs / "go").touch()
    output, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 1
    assert "dvc.lock changed during the run, so nothing was brought into the tree" in output
    again = run_local(project)
    assert set(states(again).values()) <= {"Cached", "Unchanged"}
    assert journal(project).count("right") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_leaves_no_child(
    project: Path, signs: Path, waiting: subprocess.Popen[str], number: signal.Signals
) -> None:
    processes = [pid(signs / "right.pid"), pid(signs / "child.pid")]
    assert all(is_alive(process) for process in processes)
    waiting.send_signal(number)
    output, _ = waiting.communicate(timeout=15)
    assert waiting.returncode == 130
    assert "the next run goes on from there" in output
    assert not any(is_alive(process) for process in processes)
    assert not (project / "dvc.lock").exists()
    (signs / "go").touch()
    assert states(run_local(project)) == {"first": "Cached", "left": "Cached", "right": "Ran", "last": "Ran"}


def test_a_killed_run_takes_its_stages_along_and_the_next_one_goes_on(
    project: Path, signs: Path, waiting: subprocess.Popen[str]
) -> None:
    processes = [pid(signs / "right.pid"), pid(signs / "child.pid")]
    waiting.kill()
    wait_until(lambda: not any(is_alive(process) for process in processes), 15)
    (signs / "go").touch()
    assert states(run_local(project)) == {"first": "Cached", "left": "Cached", "right": "Ran", "last": "Ran"}
    assert [journal(project).count(name) for name in ("first", "left", "right", "last")] == [1, 1, 2, 1]


def test_a_killed_stage_is_reported(project: Path, signs: Path, waiting: subprocess.Popen[str]) -> None:
    os.kill(pid(signs / "right.pid"), signal.SIGKILL)
    output, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 1
    assert "right: killed by signal 9, perhaps by a lack of memory" in output
    assert not is_alive(pid(signs / "child.pid"))


def test_edits_of_the_tree_do_not_reach_a_run(project: Path, signs: Path, waiting: subprocess.Popen[str]) -> None:
    set_stage(project, "last", "edited while the run was at work")
    (project / "stage.py").write_text("raise SystemExit('edited')\n")
    (signs / "go").touch()
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert "edited" not in (project / "data" / "last.txt").read_text()
    stale = dvc(project, "status", "--json").stdout
    assert '"stage.py": "modified"' in stale, "the lock file tells what was run, not what was edited"


def test_an_input_that_moves_is_caught_and_never_served_later(project: Path) -> None:
    """The user's own archive is linked into the workspace, so that writing into it in place reaches the run."""
    archive = project / "data" / "raw" / "input.txt"
    edit = f'!file = open("{archive}", "a"); file.write("late"); file.close()'
    set_stage(project, "first", edit)
    done = groundreel(project, "run", "--local", "first")
    assert done.returncode == 1
    assert "first: data/raw/input.txt changed while the stage ran; its result is not kept" in done.stderr
    assert not (project / "dvc.lock").exists()
    archive.write_text("given\n")
    before = journal(project).count("first")
    assert groundreel(project, "run", "--local", "first").returncode == 1, "runs again and is caught again"
    assert journal(project).count("first") == before + 1
    archive.write_text("given\nlate")
    set_stage(project, "first", "")
    assert states(run_local(project, "first")) == {"first": "Ran"}


def test_another_commit_meanwhile_stays_untouched(project: Path, signs: Path, waiting: subprocess.Popen[str]) -> None:
    git(project, "commit", "-q", "--allow-empty", "-m", "meanwhile")
    (signs / "go").touch()
    output, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 1
    assert "the commit or dvc.lock changed during the run" in output
    assert not (project / "dvc.lock").exists()
    assert not (project / "data" / "last.txt").exists()
    assert set(states(run_local(project)).values()) == {"Cached"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of six megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True)
    if mount.returncode != 0:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(disk: Path) -> None:
    project = make_project(disk / "project")
    set_stage(project, "left", '!open("data/right.bin", "wb").write(bytes(20_000_000))')
    done = groundreel(project, "run", "--local")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "make room, then run again" in done.stderr
    (project / ".runs" / "workspace" / "data" / "right.bin").unlink()
    set_stage(project, "left", "")
    assert states(run_local(project))["first"] in ("Cached", "Unchanged")
    assert journal(project).count("first") == 1


def test_no_room_for_the_cache_is_one_line(disk: Path, project: Path) -> None:
    (project / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {disk}/cache\n")
    set_stage(project, "first", '!text += "x" * 9_000_000')
    done = groundreel(project, "run", "--local", "first")
    assert done.returncode == 1
    assert "groundreel: first: " in done.stderr
    assert "No space left on device; make room, then run again" in done.stderr


def test_the_supervisor_ends_what_ignores_it(tmp_path: Path) -> None:
    """A command that ignores polite signals is killed after the grace; a second request kills at once."""
    up = str(tmp_path / "up")
    code = f"import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen({up!r}, 'w').close()\ntime.sleep(60)"
    supervise = Path(__file__).parents[2] / "flows" / "supervise.py"
    for polite in (True, False):
        (tmp_path / "up").unlink(missing_ok=True)
        grace = "0.5" if polite else "60"
        process = subprocess.Popen(
            [sys.executable, str(supervise), grace, sys.executable, "-c", code], stdin=subprocess.PIPE
        )
        wait_until((tmp_path / "up").exists)
        started = time.monotonic()
        assert process.stdin
        process.stdin.close()
        if not polite:
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == -signal.SIGKILL
        assert time.monotonic() - started >= (0.5 if polite else 0.2)
