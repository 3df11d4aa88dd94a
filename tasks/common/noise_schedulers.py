"""Schedulers of diffusers by the name of their class."""

from __future__ import annotations

import inspect
from typing import Any

import diffusers
from diffusers import SchedulerMixin

from tasks.common.errors import UserError
from tasks.common.quarantine import printable


def scheduler_class(name: str, example: str) -> Any:
    """The class.

    Args:
        name: such as "DDIMScheduler".
        example: one that is named where `name` is none.

    Raises:
        UserError: diffusers has no scheduler of that name.
    """
    found = getattr(diffusers, name, None) if name.endswith("Scheduler") else None
    if not (inspect.isclass(found) and issubclass(found, SchedulerMixin)):
        raise UserError(f"scheduler {printable(name, 60)}: diffusers has no such scheduler; take one such as {example}")
    return found
