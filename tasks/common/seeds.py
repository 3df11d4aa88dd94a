"""Seeds that depend on the run's seed and an item's key, never on order or the number of workers."""

from __future__ import annotations

import hashlib


def item_seed(run_seed: int, key: str) -> int:
    """A 63-bit seed for one item."""
    digest = hashlib.sha256(f"{run_seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
