"""DVC through its command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError

from flows.errors import RunError

_OBJECT = TypeAdapter(dict[str, JsonValue])


def one_line(text: str) -> str:
    """A text without line breaks, cut to a readable length."""
    joined = " ".join(text.split())
    return joined if len(joined) <= 300 else f"{joined[:299]}…"


def run_dvc(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A DVC command in a project, with what it printed; its exit code is not looked at."""
    command = [sys.executable, "-m", "dvc", *arguments]
    variables = {**os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONUTF8": "1"}
    return subprocess.run(  # noqa: S603
        command, cwd=root, env=variables, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace"
    )


def dvc_json(root: Path, *arguments: str) -> tuple[dict[str, JsonValue], str]:
    """The object that a DVC command prints with `--json`, and its warnings on one line.

    Raises:
        RunError: the command failed, or printed something else.
    """
    done = run_dvc(root, *arguments, "--json")
    name = " ".join(["dvc", *arguments[:2]])
    if done.returncode != 0:
        raise RunError(f"{name}: {one_line(done.stderr) or f'exit code {done.returncode}'}")
    try:
        return _OBJECT.validate_json(done.stdout or "{}"), one_line(done.stderr)
    except ValidationError as error:
        raise RunError(f"{name}: printed no JSON object: {one_line(done.stdout)!r}") from error
