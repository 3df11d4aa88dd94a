"""Batches, and the next one prepared in a thread while the current one is worked on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Ready = TypeVar("Ready")


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last one perhaps shorter."""
    waiting = iter(items)
    while batch := list(itertools.islice(waiting, size)):
        yield batch


def prefetch(prepare: Callable[[Item], Ready], items: Iterable[Item]) -> Iterator[Ready]:
    """As `map`, one item ahead of the caller in a thread; errors are raised where the item would come."""
    waiting = iter(items)

    def prepare_next() -> Ready | None:
        for item in waiting:
            return prepare(item)
        return None

    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(prepare_next)
        while (ready := following.result()) is not None:
            following = pool.submit(prepare_next)
            yield ready
