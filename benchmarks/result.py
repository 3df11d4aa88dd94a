"""One measured number and what it must reach."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """`measured` against `limit`; `at_least` says on which side of the limit it must lie."""

    name: str
    measured: float
    limit: float
    at_least: bool
    unit: str
    detail: str

    @property
    def met(self) -> bool:
        """Whether the requirement holds."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def best_seconds(work: Callable[[], object], attempts: int) -> float:
    """The shortest of several calls: what the work costs when nothing else disturbs it."""
    return min(seconds(work) for _ in range(attempts))
