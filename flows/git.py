"""Git commands, without hooks and without questions."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from flows.errors import RunError, UsageError

_IDENTITY = ["-c", "user.name=groundreel", "-c", "user.email=groundreel@localhost"]


def git(folder: Path, *arguments: str, environment: dict[str, str] | None = None, given: bytes | None = None) -> str:
    """The output of a git command in `folder`.

    Raises:
        RunError: it failed; the text is git's own.
        UsageError: git is not installed.
    """
    program = shutil.which("git")
    if program is None:
        raise UsageError("git is not on PATH; install git")
    command = [program, "-c", f"core.hooksPath={os.devnull}", *_IDENTITY, *arguments]
    variables = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **(environment or {})}
    done = subprocess.run(command, cwd=folder, env=variables, input=given, capture_output=True, check=False)  # noqa: S603
    if done.returncode != 0:
        text = " ".join(done.stderr.decode(errors="replace").split())
        raise RunError(f"git {arguments[0]} in {folder}: {text}")
    return done.stdout.decode(errors="surrogateescape")


def has_commit(folder: Path, commit: str) -> bool:
    """Whether the repository holds a commit."""
    try:
        git(folder, "cat-file", "-e", f"{commit}^{{commit}}")
    except RunError:
        return False
    return True
