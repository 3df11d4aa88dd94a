"""Outputs in DVC's cache, sent to and fetched from the DVC remote; only what the other side lacks is moved."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flows.dvc_project import DvcProject, one_line
from flows.errors import RunError

_LOGGERS = ("dvc.data_cloud", "dvc_data.hashfile.transfer")


class _Reasons(logging.Handler):
    """Keeps why objects did not come through: DVC logs that over many lines instead of raising it."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []
        self.nowhere = False

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self.errors.append(one_line(record.exc_info[1]))
        else:
            self.nowhere = True

    def __str__(self) -> str:
        return f" ({self.errors[0]})" if self.errors else ""


@contextmanager
def _reasons() -> Iterator[_Reasons]:
    handler = _Reasons()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield handler
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True


def _by_store(outs: Iterable[Any]) -> dict[Any, set[Any]]:
    """Objects of outputs by the remote that their DVC file names, None for the default one."""
    found: dict[Any, set[Any]] = defaultdict(set)
    for out in outs:
        for store, objects in out.get_used_objs(force=True).items():  # never asks on the terminal
            found[store] |= objects
    return found


def send(project: DvcProject, what: str, outs: Sequence[Any]) -> None:
    """Sends outputs from the cache to the remote.

    Raises:
        RunError: an object could not be sent, or is neither in the cache nor in the remote; begins with `what`.
    """
    with _reasons() as reasons:
        for store, objects in _by_store(outs).items():
            failed = project.repo.cloud.push(objects, odb=store).failed
            if failed:
                raise RunError(f"{what}: {len(failed)} objects could not be sent to the DVC remote{reasons}")
    if reasons.nowhere:
        lost = [project.relative(out.fs_path) for out in outs if out.changed_cache()]
        raise RunError(f"{what}: neither in DVC's cache nor in its remote: {', '.join(lost)}; make or `dvc add` them again")


def fetch(project: DvcProject, what: str, outs: Sequence[Any]) -> None:
    """Brings outputs from the remote into the cache and the workspace.

    Raises:
        RunError: an output is not whole in the remote; begins with `what` and names it. The workspace is as it was.
    """
    with _reasons() as reasons:
        for store, objects in _by_store(outs).items():
            project.repo.cloud.pull(objects, odb=store)
    missing = [project.relative(out.fs_path) for out in outs if out.changed_cache()]
    if missing:
        raise RunError(
            f"{what}: not whole in the DVC remote: {', '.join(missing)}{reasons}; `dvc push` where they are, or run again"
        )
    for out in outs:
        if out.workspace_status():
            out.checkout(force=True)
