"""Errors of a command: one line on standard error, and an exit code."""

from __future__ import annotations

import errno
import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

import click

Arguments = ParamSpec("Arguments")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def one_line_errors(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """A user's mistake is one line and exit code 2; a failure one line and exit code 1."""

    @functools.wraps(command)
    def wrapped(*arguments: Arguments.args, **named: Arguments.kwargs) -> None:
        from flows.errors import RunError, UsageError
        from tasks.common.errors import StageError, UserError

        try:
            command(*arguments, **named)
        except (UserError, UsageError, StageError, RunError) as error:
            click.echo(f"groundreel: {error}", err=True)
            sys.exit(2 if isinstance(error, UserError | UsageError) else 1)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            click.echo(f"groundreel: {error}; make room there or make it writable, then run again", err=True)
            sys.exit(1)

    return wrapped
