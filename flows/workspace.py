"""The frozen workspace of a run: a git worktree of the project as it was when the run began, on the shared DVC cache.

Edits during a run do not reach it, and the user's tree changes only at the end (`flows.results`). The folder stays between
runs, so that hashes and outputs are found again; one run at a time works in it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from flows.errors import RunError, UsageError
from flows.git import git, has_commit
from flows.inputs import link_inputs

RUNS_FOLDER = ".runs"
SNAPSHOT_REF = "refs/groundreel/run"
LARGEST_UNTRACKED_BYTES = 50_000_000
"""Larger files that git does not know are linked into the workspace instead of stored in git."""


@dataclass(frozen=True)
class Snapshot:
    """The project when the run began: `commit` holds all files, on top of `head`; `lock` is the lock file's text."""

    commit: str
    head: str
    lock: bytes


@contextmanager
def one_run_at_a_time(root: Path, *, wait: bool) -> Iterator[None]:
    """Holds the project's run lock, and sees that no worker is still busy with a run that was killed.

    Raises:
        RunError: another run, or a stage of one, is at work, and `wait` is false; names its process.
    """
    folder = root / RUNS_FOLDER
    folder.mkdir(exist_ok=True)
    with _held(folder / "run", f"another run is at work in {root}", wait):
        for left in sorted((folder / "stages").glob("*.lock")):
            with _held(left.with_suffix(""), f"a worker is still busy with {left.stem} of an earlier run", wait):
                pass
        yield


@contextmanager
def stage_at_work(root: Path, stage: str) -> Iterator[None]:
    """Held by a worker while it runs a stage in the frozen workspace, so that no new run changes that under it."""
    (root / RUNS_FOLDER / "stages").mkdir(exist_ok=True)
    with _held(root / RUNS_FOLDER / "stages" / stage, f"{stage} is already at work", wait=False):
        yield


@contextmanager
def _held(path: Path, busy: str, wait: bool) -> Iterator[None]:
    owner = path.with_name(f"{path.name}.owner")
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        pid = owner.read_text(encoding="utf-8") if owner.exists() else "unknown"
        raise RunError(f"{busy} (process {pid}); wait for it or stop it: `kill {pid}`") from None
    try:
        owner.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        lock.release()


def head_commit(root: Path) -> str:
    """The commit that is checked out.

    Raises:
        UsageError: there is none yet.
    """
    if not has_commit(root, "HEAD"):
        raise UsageError(f"{root}: no git repository with a commit; a run freezes files in git: `git init` and commit first")
    return git(root, "rev-parse", "HEAD").strip()


def lock_bytes(root: Path) -> bytes:
    """The lock file as it is; empty if there is none."""
    path = root / "dvc.lock"
    return path.read_bytes() if path.exists() else b""


def take_snapshot(root: Path) -> Snapshot:
    """Stores all tracked and untracked files that git does not ignore as a commit under `SNAPSHOT_REF`.

    The user's index, branch and files stay as they are.
    """
    head = head_commit(root)
    index = root / RUNS_FOLDER / "index"
    real = Path(git(root, "rev-parse", "--git-path", "index").strip())
    if (root / real).exists():
        shutil.copyfile(root / real, index)
    environment = {"GIT_INDEX_FILE": str(index)}
    git(root, "add", "--update", environment=environment)
    listed = git(root, "ls-files", "-z", "--others", "--exclude-standard").split("\0")
    small = [name for name in listed if _is_small_file(root / name)]
    if small:
        names = "\0".join(small).encode(errors="surrogateescape")
        git(root, "add", "--pathspec-from-file=-", "--pathspec-file-nul", environment=environment, given=names)
    tree = git(root, "write-tree", environment=environment).strip()
    unchanged = tree == git(root, "rev-parse", "HEAD^{tree}").strip()
    commit = head if unchanged else git(root, "commit-tree", tree, "-p", head, "-m", "run of a changed tree").strip()
    git(root, "update-ref", SNAPSHOT_REF, commit)
    return Snapshot(commit, head, lock_bytes(root))


def _is_small_file(path: Path) -> bool:
    """False also for a repository inside this one, and for a file that is gone by now."""
    return path.is_file() and path.lstat().st_size <= LARGEST_UNTRACKED_BYTES


def make_workspace(root: Path, folder: Path, commit: str) -> None:
    """Brings the worktree `folder` of the repository `root` to a commit; ignored files in it stay."""
    if _is_worktree(folder):
        git(folder, "checkout", "--quiet", "--detach", "--force", commit)
        git(folder, "clean", "--quiet", "-fd")
        (folder / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)  # left by a killed run; nobody else works here
    else:
        if folder.exists():
            shutil.rmtree(folder)
        git(root, "worktree", "prune")
        git(root, "worktree", "add", "--quiet", "--force", "--detach", str(folder), commit)


def _is_worktree(folder: Path) -> bool:
    if not (folder / ".git").is_file():
        return False
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel").strip()) == folder.resolve()
    except RunError:
        return False


def share_with(root: Path, folder: Path, inputs: Iterable[str]) -> None:
    """Links what git does not carry: the part store, and inputs that neither git nor a stage gives."""
    parts = folder / ".parts"
    (root / ".parts").mkdir(exist_ok=True)
    if not parts.is_symlink():
        shutil.rmtree(parts, ignore_errors=True)
        parts.symlink_to(root / ".parts", target_is_directory=True)
    tracked = set(git(folder, "ls-files", "-z").split("\0"))
    link_inputs(root, folder, inputs, tracked)
