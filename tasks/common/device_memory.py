"""What to do when the device's memory does not suffice: once more with half as many at a time, then one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from tasks.common.errors import StageError

Result = TypeVar("Result")


def within_memory(work: Callable[[int], Result], at_once: int, what: str, advice: str) -> Result:
    """`work(at_once)`, or if that is too much for the device, `work` with half as many at once.

    Args:
        work: does all its work anew with so many items at a time.
        at_once: how many at first.
        what: the items, such as "frames of 512x512".
        advice: which parameters to lower.

    Raises:
        StageError: half as many are too much, too, or there is no half; says how much was in use and needed.
    """
    try:
        return work(at_once)
    except torch.OutOfMemoryError as error:
        if at_once < 2:
            raise StageError(_too_large(error, 1, what, advice)) from None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = (at_once + 1) // 2
    try:
        return work(half)
    except torch.OutOfMemoryError as error:
        raise StageError(_too_large(error, half, what, advice)) from None


def _too_large(error: torch.OutOfMemoryError, count: int, what: str, advice: str) -> str:
    peak = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
    said = " ".join(str(error).split())[:300]
    return f"out of memory with {count} {what} at once, {peak:.1f} GiB at the peak: {said}; {advice}"
