"""The version and the commit that it is."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path


def version_line() -> str:
    """For example "groundreel 0.1.0 (commit 1a2b3c4)"; without git, the version alone."""
    line = f"groundreel {version('groundreel')}"
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return line
    return f"{line} (commit {answer.stdout.strip()})"
