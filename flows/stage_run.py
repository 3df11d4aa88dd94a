"""One stage from beginning to end: up to date, taken from the run cache, or run and recorded."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.command import CommandRunner, Tell
from flows.dvc_project import DvcProject, one_line_errors
from flows.dvc_stage_run import RAN, Commands, begin, lock_entry, record
from flows.errors import RunError

FAILED, SKIPPED = "Failed", "Skipped"
_SHELL_SIGNALS = 128
"""A shell whose command was killed by signal N exits with this much more than N."""


@dataclass(frozen=True)
class Outcome:
    """How a stage ended: `Unchanged`, `Cached`, `Ran`, `Failed` or `Skipped`; `entry` is for the lock file."""

    stage: str
    state: str
    seconds: float = 0.0
    reason: str = ""
    entry: dict[str, Any] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Whether the outputs are there."""
        return self.state not in (FAILED, SKIPPED)


def run_stage(
    project: DvcProject,
    runner: CommandRunner,
    name: str,
    log: Path,
    tell: Tell,
    *,
    force: bool = False,
    environment: dict[str, str] | None = None,
) -> Outcome:
    """Brings one stage up to date; its inputs must be.

    Args:
        project: the workspace.
        runner: starts the stage's commands.
        name: the stage.
        log: file for the output of the commands.
        tell: gets each line of output.
        force: run even if nothing changed.
        environment: variables for the commands, on top of this process's.

    Raises:
        RunError: the stage failed, with its last line, its log, and how to go on.
    """
    started = time.monotonic()
    begun = begin(project, name, force=force)
    if isinstance(begun, Commands):
        with one_line_errors(name):
            _run_commands(project, runner, name, begun, log, tell, environment or {})
        record(project, name, begun)
    state = RAN if isinstance(begun, Commands) else begun
    return Outcome(name, state, time.monotonic() - started, entry=lock_entry(project, name))


def _run_commands(
    project: DvcProject,
    runner: CommandRunner,
    name: str,
    begun: Commands,
    log: Path,
    tell: Tell,
    environment: dict[str, str],
) -> None:
    timeout_s = project.graph[name].meta.timeout_s
    path = f"{Path(sys.executable).parent}{os.pathsep}{begun.environment.get('PATH', os.defpath)}"
    variables = {**begun.environment, "PATH": path, **environment}
    last: deque[str] = deque(maxlen=1)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:

        def hear(line: str) -> None:
            file.write(line + "\n")
            file.flush()
            if line.strip():
                last.append(line.strip())
            tell(line)

        for command in begun.commands:
            code = runner.run(command, begun.folder, variables, hear, timeout_s)
            if code != 0:
                raise RunError(f"{name}: {_ending(code, timeout_s, runner)}{': ' + last[0] if last else ''} (log: {log})")


def _ending(code: int | None, timeout_s: float | None, runner: CommandRunner) -> str:
    if runner.stopped:
        return "stopped"
    if code is None:
        return f"stopped after {timeout_s:g} s, its timeout_s in dvc.yaml"
    number = -code if code < 0 else code - _SHELL_SIGNALS
    if 0 < number <= max(signal.valid_signals()):
        return f"killed by signal {number}{', perhaps by a lack of memory' if number == signal.SIGKILL else ''}"
    return f"failed with exit code {code}"
