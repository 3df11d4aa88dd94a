"""Progress on stderr: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")
_SECONDS_BETWEEN_LINES = 5.0


def track(items: Iterable[Item], what: str, total: int, detail: Callable[[], str] = str) -> Iterator[Item]:
    """Yields the items and shows how many of `total` are done, with what `detail` says at that moment."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=total)
            for item in items:
                yield item
                bar.update(task, advance=1, description=detail())
        return
    last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            sys.stderr.write(f"{what}: {done} of {total} {detail()}".rstrip() + "\n")
            sys.stderr.flush()
