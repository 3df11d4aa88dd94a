"""Outputs with `persist: true` and `cache: false`: lines that a stage adds to over many runs, such as paid replies.

DVC leaves such an output where it is, so that what a stage added before it failed or was killed is there the next time. In
a run the stage adds to a copy in the frozen workspace. What is new in the copy comes into the user's tree when the run ends,
however it ends, and after a kill when the next run begins. What the copy was made from is noted, so that lines that the
stage added are told from lines that the user took away meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.dvc_project import one_line_errors
from flows.inputs import files_in
from flows.workspace import RUNS_FOLDER

_GIVEN = f"{RUNS_FOLDER}/persisted"
_OUTS = f"{RUNS_FOLDER}/persisted.txt"


@contextmanager
def additions_kept(root: Path, workspace: Path) -> Iterator[None]:
    """Brings what stages added into the user's tree: first what a killed run left, and at the end what this one added.

    Raises:
        RunError: the tree cannot be written; the additions stay in the workspace, and no run begins.
    """
    _bring_additions(root, workspace)
    (root / _OUTS).unlink(missing_ok=True)
    try:
        yield
    finally:
        _bring_additions(root, workspace)


def lend(root: Path, workspace: Path, outs: Iterable[str]) -> None:
    """Puts copies of the user's files into the workspace, whether git knows them or not, and notes what they were.

    Args:
        root: the user's tree.
        workspace: where stages add to them.
        outs: files or folders, relative to both.
    """
    outs = list(outs)
    for out in outs:
        files = files_in(root, root / out)
        for stale in files_in(workspace, workspace / out) - files:
            (workspace / stale).unlink()
        for path in files:
            content = _content(root / path)
            _write(workspace / path, content)
            _write(root / _GIVEN / path, content)
        for stale in files_in(root / _GIVEN, root / _GIVEN / out) - files:
            (root / _GIVEN / stale).unlink()
    _write(root / _OUTS, "".join(f"{out}\n" for out in outs).encode())  # last: the copies count from now on


def bring_persisted(root: Path, workspace: Path, out: str, *, finished: bool = True) -> None:
    """Brings what is new in the workspace's copy into the user's tree, where nothing is lost.

    Args:
        root: the user's tree.
        workspace: where the stage added to the copy.
        out: file or folder, relative to both.
        finished: whether the stage ended well; then a file that the user left alone becomes exactly what the lock file says.
    """
    for path in sorted(files_in(workspace, workspace / out)):
        target, given = root / path, root / _GIVEN / path
        before, mine, theirs = _content(given), _content(target), _content(workspace / path)
        if theirs == before and (before or not finished):
            continue
        added = addition(before, mine, theirs, finished=finished)
        if added is None:
            _write(target.resolve(), theirs)
        else:
            _append(target, added)
        _write(given, theirs)


def addition(before: bytes, mine: bytes, theirs: bytes, *, finished: bool) -> bytes | None:
    """What to append to the user's file; None if the stage's file is to take its place.

    Args:
        before: what the stage was given.
        mine: the user's file now.
        theirs: the stage's file now.
        finished: whether the stage ended well; otherwise its last line may be torn, and a file that lacks lines it was
            given may be half rewritten, so that nothing of it replaces what the user has.
    """
    if mine.startswith(before) and theirs.startswith(mine):
        return theirs[len(mine) :]
    whole_lines = before[: before.rfind(b"\n") + 1]
    if mine == before and (finished or (whole_lines and theirs.startswith(whole_lines))):
        return None
    known = {*before.split(b"\n"), *mine.split(b"\n")}
    *lines, last = theirs.split(b"\n")
    missing = [line for line in (*lines, *([last] if finished else [])) if line not in known]
    begin = b"\n" if missing and mine and not mine.endswith(b"\n") else b""
    return begin + b"".join(line + b"\n" for line in missing)


def _bring_additions(root: Path, workspace: Path) -> None:
    with one_line_errors(f"bringing what stages added from {workspace} into the tree"):
        for out in _content(root / _OUTS).decode().splitlines():
            bring_persisted(root, workspace, out, finished=False)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _append(path: Path, content: bytes) -> None:
    """In place, so that nothing is lost if another program appends to the file at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        while content:
            content = content[file.write(content) :]
        os.fsync(file.fileno())


def _write(path: Path, content: bytes) -> None:
    """By rename, and only if the file is another one."""
    if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
