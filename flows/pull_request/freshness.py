"""Whether `dvc.lock` fits the code, parameters and results that are committed with it; no data is pulled."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

from flows.errors import RunError
from flows.pull_request.dvc_command import dvc_json, one_line, run_dvc

MEND = "`dvc repro`, `dvc push` if there is a remote, then commit `dvc.lock` and `reports`"
"""What makes a stale lock file fresh."""

_WOULD_RUN = re.compile(r"^Running stage '(.+)':$", re.MULTILINE)
_FAILED = re.compile(r"^ERROR: failed to reproduce (?:stages: )?('.*)$", re.MULTILINE)


def stale_stages(root: Path) -> list[str]:
    """Stages that `dvc repro` would run, sorted; those that only follow from them need not be among them.

    A stage whose inputs changed and whose data is not here ends DVC's dry run with an error, so both are counted: the
    stages that would run and those that fail.

    Raises:
        RunError: it cannot be told, such as for a lock file with merge conflicts.
    """
    done = run_dvc(root, "repro", "--dry", "--allow-missing", "--keep-going")
    stale = set(_WOULD_RUN.findall(done.stdout))
    for names in _FAILED.findall(done.stderr):
        stale |= set(re.findall(r"'([^']+)'", names))
    if done.returncode != 0 and not stale:
        raise RunError(f"dvc repro --dry: {one_line(done.stderr) or f'exit code {done.returncode}'}")
    return sorted(stale)


def push_warnings(root: Path) -> list[str]:
    """A line about outputs that are not in the default remote, or about a remote that does not answer.

    Empty without a default remote.
    """
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read(root / ".dvc" / "config", encoding="utf-8")
    except configparser.Error as error:
        return [f".dvc/config: {one_line(str(error))}"]
    if not config.has_option("core", "remote"):
        return []
    try:
        status, _ = dvc_json(root, "data", "status", "--not-in-remote")
    except RunError as error:
        return [f"whether all data is pushed could not be told: {error}"]
    missing = status.get("not_in_remote")
    if not isinstance(missing, list) or not missing:
        return []
    return [f"not in the remote: {', '.join(sorted(map(str, missing)))}; `dvc push` on the machine that has it"]
