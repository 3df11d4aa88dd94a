"""Runs one command in a process group of its own and ends the whole group when asked to, or when the parent is gone.

Run as a script by `flows.command`, with the grace in seconds and the command as arguments. Standard input is a pipe that
the parent holds: its end, however the parent died, ends the command. Standard library only, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def supervise(command: list[str], grace_s: float) -> int:
    """The command's exit code; negative if a signal ended it."""
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        return 127
    deadline = None
    watched = [ended, sys.stdin.fileno()]
    while child.poll() is None:
        wait = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = select.select(watched, [], [], wait)[0]
        numbers = os.read(ended, 64) if ended in ready else b""
        stop = sys.stdin.fileno() in ready or any(number != signal.SIGCHLD for number in numbers)
        if deadline is None and stop:
            watched = [ended]
            deadline = time.monotonic() + grace_s
            _signal_group(child.pid, signal.SIGTERM)
        elif deadline is not None and (time.monotonic() >= deadline or stop):
            _signal_group(child.pid, signal.SIGKILL)
            deadline = time.monotonic() + grace_s
    _signal_group(child.pid, signal.SIGKILL)
    return child.returncode


if __name__ == "__main__":
    code = supervise(sys.argv[2:], float(sys.argv[1]))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    sys.exit(code)
