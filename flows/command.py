"""Commands of stages: each in a process group of its own, output line by line, ended together when a run is stopped."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_SUPERVISE = Path(__file__).with_name("supervise.py")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")
GRACE_S = 5.0
"""Seconds between the polite and the final signal."""

Tell = Callable[[str], None]


class CommandRunner:
    """Starts commands and can end all that run; a stopped runner starts none."""

    def __init__(self) -> None:
        self._change = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self.stopped = False

    def run(
        self, command: Sequence[str], folder: str, environment: Mapping[str, str], tell: Tell, timeout_s: float | None
    ) -> int | None:
        """The command's exit code, negative for a signal; None if its time was up.

        Args:
            command: program and arguments.
            folder: working directory.
            environment: all variables.
            tell: gets each line of output, without terminal control characters.
            timeout_s: seconds after which the command is ended; None for no limit.
        """
        process = self._start(command, folder, environment)
        if process is None:
            return -signal.SIGTERM
        late = threading.Event()

        def end_late() -> None:
            late.set()
            _end(process)

        timer = threading.Timer(timeout_s or 0, end_late)
        timer.daemon = True
        if timeout_s is not None:
            timer.start()
        try:
            if process.stdout:
                for line in process.stdout:
                    tell(_ESCAPES.sub("", line.rstrip()))
            code = process.wait()
        finally:
            timer.cancel()
            _end(process)
            process.wait()
            with self._change:
                self._running.discard(process)
        return None if late.is_set() else code

    def _start(self, command: Sequence[str], folder: str, environment: Mapping[str, str]) -> subprocess.Popen[str] | None:
        supervised = [sys.executable, "-I", "-S", str(_SUPERVISE), str(GRACE_S), *command]
        with self._change:
            if self.stopped:
                return None
            process = subprocess.Popen(  # noqa: S603
                supervised,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
        return process

    def stop(self) -> None:
        """Ends all commands and waits for none; `run` returns in the threads that called it."""
        with self._change:
            self.stopped = True
            for process in self._running:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Closes the pipe that keeps the supervisor going."""
    if process.stdin and not process.stdin.closed:
        process.stdin.close()
