"""Replies that were paid for, `persist: true, cache: false`: no run loses one, and none is asked for twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.command import CommandRunner
from flows.errors import RunError, UsageError
from flows.inspection.cache_check import check_cache
from flows.inspection.lineage import Lineage, lines
from flows.inspection.locked_stages import locked_stages
from flows.local_run import run_locally
from flows.persisted import addition, additions_kept, bring_persisted, lend
from flows.plan import plan
from flows.pull_request.freshness import stale_stages
from flows.run import Wishes, open_run, open_workspace
from flows.stage_run import run_stage
from flows.workspace import stage_at_work
from tests.flows.machines import make_machines
from tests.flows.prefect_for_tests import PrefectServer, kill_group
from tests.flows.small_projects import DIAMOND, journal, make_project, set_stage, start_run, variables, wait_until
from tests.flows.test_local_run_failures import WAIT_FOR_FILE, pid
from tests.flows.test_prefect_failures import run_lock_is_free, started
from tests.flows.test_prefect_runs import deploy, run
from tests.pipeline.workspaces import ROOT, dvc, git

REPLIES = "replies/right.txt"
PIPELINE = DIAMOND.replace(
    """\
    cmd: python stage.py right data/first.txt data/right.txt
    deps: [stage.py, data/first.txt]
    params: [right]
    outs: [data/right.txt]
""",
    """\
    cmd: python ask.py
    deps: [ask.py, data/first.txt]
    params: [right]
    outs:
      - data/right.txt
      - replies/right.txt: {cache: false, persist: true}
""",
)

# Asks the words that `do` begins with, each once and for ever; then what stands behind `!` happens.
ASK = """\
import os, pathlib, subprocess, sys, time
name = "right"
with open(os.environ["JOURNAL"], "a") as journal:
    journal.write(name + "\\n")
text = next(line for line in pathlib.Path("params.yaml").read_text().splitlines() if line.startswith("right"))
questions, _, then = text.split("do: ")[1].strip(" '}").partition("!")
file = pathlib.Path("REPLIES")
file.parent.mkdir(exist_ok=True)
known = dict(line.split("=") for line in file.read_text().splitlines()) if file.exists() else {}
for question in questions.split():
    if question not in known:
        with open(os.environ["JOURNAL"] + ".paid", "a") as paid:
            paid.write(question + "\\n")
        known[question] = question.upper()
        with file.open("a") as replies:
            replies.write(question + "=" + known[question] + "\\n")
            replies.flush()
            os.fsync(replies.fileno())
exec(then)
pathlib.Path("data/right.txt").write_text("".join(known[question] for question in questions.split()))
"""


def make_asking_project(folder: Path, replies: str = REPLIES) -> Path:
    make_project(folder, PIPELINE.replace(REPLIES, replies))
    (folder / "ask.py").write_text(ASK.replace("REPLIES", replies))
    set_stage(folder, "right", "a b")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a stage that asks")
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_asking_project(tmp_path / "project")
    monkeypatch.setenv("JOURNAL", variables(folder)["JOURNAL"])
    return folder


def states_of_run(folder: Path, *targets: str) -> dict[str, str]:
    """A local run in this process: stage to state."""
    done = run_locally(folder, targets, Wishes(), tell=lambda stage, line: None, done=lambda outcome: None)
    return {outcome.stage: outcome.state for outcome in done}


def paid(folder: Path) -> list[str]:
    """The questions that were asked, in order, over all runs."""
    file = folder.parent / f"{folder.name}.journal.paid"
    return file.read_text().split() if file.exists() else []


def replies(folder: Path) -> str:
    return (folder / REPLIES).read_text()


def in_tree(folder: Path, do: str) -> str:
    """Python for the stage, run in the user's tree, as a user would do it meanwhile: `file` is the replies there."""
    return f'!file = pathlib.Path("{folder / REPLIES}"); {do}'


@pytest.mark.parametrize("path", [REPLIES, "data/ignored.txt"])
def test_it_ends_like_dvc_repro_whatever_happens_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    ours, theirs = (make_asking_project(tmp_path / name, path) for name in ("ours", "theirs"))
    monkeypatch.setenv("JOURNAL", variables(ours)["JOURNAL"])

    def both_run(step: str) -> str:
        state = states_of_run(ours)["right"]
        assert dvc(theirs, "repro", **variables(theirs)).returncode == 0
        for name in ("dvc.lock", path, "data/right.txt"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), step
        assert sorted(journal(ours)) == sorted(journal(theirs)), step
        assert paid(ours) == paid(theirs), step
        return state

    assert both_run("from nothing") == "Ran"
    file = (ours / path).stat()
    assert (file.st_nlink, file.st_mode & 0o200) == (1, 0o200), "an ordinary file of the user's"
    lock = (ours / "dvc.lock").stat()
    assert states_of_run(ours)["right"] == "Unchanged"
    assert (ours / path).stat().st_mtime_ns == file.st_mtime_ns
    assert (ours / "dvc.lock").stat().st_ino == lock.st_ino
    for folder in (ours, theirs):
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "replies")
        set_stage(folder, "right", "a b c")
    assert both_run("one more question") == "Ran"
    if path != REPLIES:
        return
    for folder in (ours, theirs):
        set_stage(folder, "right", "a b")
    assert both_run("a question less, as before: nothing comes from the run cache") == "Ran"
    for folder in (ours, theirs):
        (folder / path).write_text("b=other\nc=C\n")
    assert both_run("an answer changed and one deleted") == "Ran"
    for folder in (ours, theirs):
        (folder / path).unlink()
    assert both_run("the file deleted") == "Ran"
    assert paid(ours) == ["a", "b", "c", "a", "a", "b"]


def test_a_failed_stage_keeps_its_replies_and_the_users_edits(project: Path) -> None:
    set_stage(project, "right", "a b!sys.exit(3)")
    assert states_of_run(project)["right"] == "Failed"
    assert replies(project) == "a=A\nb=B\n"
    set_stage(project, "right", "a b c" + in_tree(project, 'file.write_text("b=mine\\n"); sys.exit(3)'))
    assert states_of_run(project)["right"] == "Failed"
    assert replies(project) == "b=mine\nc=C\n", "what the user took away stays away, what is new is added"
    (project / REPLIES).write_text("c=C\n")
    set_stage(project, "right", "a b c")
    assert states_of_run(project)["right"] == "Ran"
    assert replies(project) == "c=C\na=A\nb=B\n"
    assert paid(project) == ["a", "b", "c", "a", "b"]
    assert set(states_of_run(project).values()) == {"Unchanged"}


def test_a_second_attempt_knows_the_replies_of_the_first(project: Path) -> None:
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text.replace("persist: true}\n", "persist: true}\n    meta: {retries: 1}\n", 1))
    (project / "dvc.yaml").write_text((project / "dvc.yaml").read_text().replace("    meta: {pool: gpu}\n  last", "  last"))
    set_stage(project, "right", 'a b!open(os.environ["JOURNAL"]).read().count("right") == 1 and sys.exit("once")')
    assert states_of_run(project)["right"] == "Ran"
    assert journal(project).count("right") == 2
    assert paid(project) == ["a", "b"]


def test_edits_during_a_run_that_ends_well_make_the_stage_stale_and_nothing_is_lost(project: Path) -> None:
    set_stage(project, "right", "a b" + in_tree(project, 'file.parent.mkdir(exist_ok=True); file.write_text("m=mine")'))
    assert states_of_run(project)["right"] == "Ran"
    assert replies(project) == "m=mine\na=A\nb=B\n"
    assert '"replies/right.txt": "modified"' in dvc(project, "status", "--json").stdout
    assert plan(project, ["right"])[-1].reasons == ("output replies/right.txt modified",)
    set_stage(project, "right", "a b m")
    assert states_of_run(project)["right"] == "Ran"
    assert paid(project) == ["a", "b"]
    assert (project / "data" / "right.txt").read_text() == "ABmine"


def test_a_commit_during_the_run_leaves_all_but_the_replies_to_the_next_run(project: Path) -> None:
    set_stage(project, "right", f'a b!subprocess.run(["git", "-C", "{project}", "commit", "-qam", "x"], check=True)')
    with pytest.raises(RunError, match=r"the commit or dvc\.lock changed during the run"):
        states_of_run(project)
    assert replies(project) == "a=A\nb=B\n"
    assert not (project / "dvc.lock").exists()


def test_a_stage_that_rewrites_its_file_has_its_way_if_it_ends_well(project: Path) -> None:
    states_of_run(project)
    for end, left in (("sys.exit(3)", "a=A\nb=B\nc=C\n"), ("", "c=C\n")):
        set_stage(project, "right", f'a b c!file.write_text("c=C\\n"); {end}')
        states_of_run(project)
        assert replies(project) == left


@pytest.fixture
def signs(tmp_path: Path) -> Path:
    (tmp_path / "signs").mkdir()
    return tmp_path / "signs"


@pytest.fixture
def waiting(project: Path, signs: Path) -> Iterator[subprocess.Popen[str]]:
    """A run whose stage `right` has its replies and waits for the file `go`."""
    set_stage(project, "right", "a b" + WAIT_FOR_FILE.format(signs=signs))
    process = start_run(project)
    pid(signs / "right.pid")
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("victim", ["stage", "run, politely", "run"])
def test_killed_runs_and_stages_keep_their_replies(
    project: Path, signs: Path, waiting: subprocess.Popen[str], victim: str
) -> None:
    if victim == "stage":
        os.kill(pid(signs / "right.pid"), signal.SIGKILL)
    else:
        waiting.send_signal(signal.SIGTERM if victim == "run, politely" else signal.SIGKILL)
    output, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == {"stage": 1, "run, politely": 130, "run": -9}[victim], output
    if victim == "run":
        assert not (project / REPLIES).exists()
    else:
        assert replies(project) == "a=A\nb=B\n"
    (project / REPLIES).parent.mkdir(exist_ok=True)
    with (project / REPLIES).open("a") as file:
        file.write("c=mine\n")
    set_stage(project, "right", "a b c d")
    assert states_of_run(project)["right"] == "Ran"
    assert sorted(replies(project).split()) == ["a=A", "b=B", "c=mine", "d=D"]
    assert paid(project) == ["a", "b", "d"]


def test_a_worker_that_outlives_its_run_keeps_its_replies(project: Path) -> None:
    """As the flow `stage` does it on a worker with the shared workspace."""
    with open_run(project, ["right"], Wishes()) as the_run:  # ends without taking results over
        run_stage(the_run.project, CommandRunner(), "first", the_run.log("first"), lambda line: None)
    with stage_at_work(project, "right"), open_workspace(project) as workspace:
        done = run_stage(workspace, CommandRunner(), "right", the_run.log("right"), lambda line: None)
    assert done.state == "Ran"
    assert not (project / REPLIES).exists()
    assert states_of_run(project) == {"first": "Cached", "left": "Ran", "right": "Ran", "last": "Ran"}
    assert paid(project) == ["a", "b"]


def test_a_tree_that_cannot_be_written_stops_runs_before_anything_is_lost(project: Path) -> None:
    set_stage(project, "right", "a b" + in_tree(project, 'file.parent.write_text("in the way"); sys.exit(3)'))
    for _ in range(2):
        with pytest.raises(RunError, match=r"bringing what stages added from .* into the tree: "):
            states_of_run(project)
    (project / REPLIES).parent.unlink()
    set_stage(project, "right", "a b")
    assert states_of_run(project)["right"] == "Ran"
    assert paid(project) == ["a", "b"]


def test_plan_fsck_explain_and_the_pull_request_check(project: Path) -> None:
    states_of_run(project)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "results")
    assert {item.state for item in plan(project, ())} == {"up to date"}
    assert check_cache(project / ".dvc" / "cache", locked_stages(project)).healthy
    shown = list(lines(Lineage(project).explain(project / REPLIES)))
    assert shown[0] == f"{REPLIES}: as recorded"
    assert "git: " in shown[1]
    assert not any("not there" in line for line in shown)
    clone = project.parent / "clone"
    git(project.parent, "clone", "-q", str(project), str(clone))
    assert stale_stages(clone) == []
    with (clone / REPLIES).open("a") as file:
        file.write("x=X\n")
    assert stale_stages(clone) == ["right"]


def test_workers_elsewhere_read_the_replies_but_do_not_write_them(tmp_path: Path) -> None:
    pipeline = PIPELINE.replace("data/right.txt reports/left.json", f"data/right.txt {REPLIES}")
    pipeline = pipeline.replace("data/right.txt, reports/left.json]", f"data/right.txt, {REPLIES}]")
    machines = make_machines(tmp_path, str(tmp_path / "remote"), pipeline)
    (machines.parent / "ask.py").write_text(ASK.replace("REPLIES", REPLIES))
    set_stage(machines.parent, "right", "a b")
    git(machines.parent, "add", "-A")
    git(machines.parent, "commit", "-qm", "a stage that asks")
    with machines.open() as the_run:
        outcomes = [machines.here(the_run, "first"), machines.here(the_run, "left")]
        with pytest.raises(UsageError, match=r"its output replies/right\.txt has `persist`; set `meta: \{pool: cpu\}`"):
            machines.away(the_run, "right")
        outcomes += [machines.here(the_run, "right"), machines.away(the_run, "last")]
        the_run.finish(outcomes)
    assert "a=A\nb=B\n" in (machines.parent / "data" / "last.txt").read_text()
    assert journal(machines.worker) == ["last"]
    assert replies(machines.parent) == "a=A\nb=B\n"
    assert (machines.parent / ".runs" / "workspace" / REPLIES).stat().st_mode & 0o200
    assert dvc(machines.parent, "status", "--json").stdout.strip() == "{}"


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", ""]), max_size=4).map(
    lambda words: [f"{word}\n" for word in words]
)


@given(WORDS, WORDS, WORDS, st.integers(0, 4), st.booleans())
@settings(deadline=None)
def test_no_line_is_lost(before: list[str], mine: list[str], added: list[str], cut: int, finished: bool) -> None:
    """Whatever the user makes of the file meanwhile: some of its last lines cut, others put behind."""
    base, stage = "".join(before).encode(), "".join([*before, *added]).encode()
    user = "".join([*before[: max(0, len(before) - cut)], *mine]).encode()
    more = addition(base, user, stage, finished=finished)
    assert more is not None
    result, new = set((user + more).split()), set("".join(added).encode().split())
    assert set(user.split()) | (new - set(base.split())) <= result <= set(user.split()) | new
    assert addition(base, user + more, stage, finished=finished) == b"", "after a kill in between nothing comes twice"


@given(st.integers(0, 12))
def test_a_torn_line_is_taken_up_where_it_was_torn(length: int) -> None:
    base, stage = b"a=A\n", b"a=A\nb=B\nc=C\n"
    torn = stage[: max(len(base), length)]
    assert torn + (addition(base, torn, stage, finished=False) or b"") == stage
    assert addition(base, base, torn, finished=False) == torn[len(base) :]
    assert addition(b"a=A\nb", b"a=A\nb", b"a=A\nc=C\n", finished=False) is None, "the stage cut its torn line away"
    assert addition(base, b"x", b"a=A\nb=B\nc", finished=False) == b"\nb=B\n", "a torn line beside an edit is no line"


def test_folders_of_replies() -> None:
    with tempfile.TemporaryDirectory() as name:
        root, workspace = Path(name, "root"), Path(name, "workspace")
        for path, text in (("out/old", "old\n"), ("out/deep/gone", "gone\n")):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        with additions_kept(root, workspace):
            lend(root, workspace, ["out", "never"])
            (workspace / "out" / "new").write_bytes(b"\0not a line")
            with (workspace / "out" / "old").open("a") as file:
                file.write("more\n")
            (root / "out" / "deep" / "gone").unlink()
        found = {path.relative_to(root / "out").as_posix(): path.read_bytes() for path in files(root / "out")}
        assert found == {"old": b"old\nmore\n", "new": b"\0not a line"}
        (root / "out" / "new").unlink()
        with additions_kept(root, workspace):
            lend(root, workspace, ["out", "never"])
            assert {path.name for path in files(workspace)} == {"old"}
            (workspace / "out" / "empty").touch()
        bring_persisted(root, workspace, "out")
        assert {path.name for path in files(root / "out")} == {"old", "empty"}


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path_factory.mktemp("server") / "prefect")
    server.start()
    yield server
    server.stop()


@pytest.mark.server
def test_runs_with_workers_keep_replies_when_stage_or_run_are_killed(
    server: PrefectServer, project: Path, signs: Path
) -> None:
    shutil.copy(ROOT / "prefect.yaml", project)
    assert deploy(server, project).returncode == 0
    worker = server.worker(project, "gpu")
    set_stage(project, "right", "a b!os.kill(os.getpid(), 9)")
    assert run(server, project).returncode == 1
    assert replies(project) == "a=A\nb=B\n"
    set_stage(project, "right", "a b c" + WAIT_FOR_FILE.format(signs=signs))
    with started(server, project) as process:
        pid(signs / "right.pid")
        process.kill()
        process.wait()
    (signs / "go").touch()
    wait_until(lambda: run_lock_is_free(project), 60)
    assert replies(project) == "a=A\nb=B\n"
    set_stage(project, "right", "a b c d")
    done = run(server, project)
    assert done.returncode == 0, done.stderr
    assert replies(project) == "a=A\nb=B\nc=C\nd=D\n"
    assert paid(project) == ["a", "b", "c", "d"]
    assert dvc(project, "status", "--json").stdout.strip() == "{}"
    kill_group(worker)
