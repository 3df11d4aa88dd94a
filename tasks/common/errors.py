"""Errors that end a stage with one line instead of a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Wrong parameters or input; exit code 2. The message says what, where, and how to mend it."""


class StageError(Exception):
    """The stage could not do its work; exit code 1. The message says what failed and what to do next."""
