"""Failures that end a command with one line instead of a traceback."""

from __future__ import annotations


class RunError(Exception):
    """Something failed while running; exit code 1. The text is one line: what, where, how to go on."""


class UsageError(Exception):
    """A user's mistake; exit code 2. The text is one line: what, where, how to mend it."""
