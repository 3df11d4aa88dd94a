"""How many stages run at a time on one machine, by pool, and which cards a GPU stage may use."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flows.errors import UsageError
from flows.graph import Graph, StageSpec

GPU_POOL = "gpu"


def visible_cards() -> list[str]:
    """The NVIDIA cards that this process may use, by index or identifier; none without a driver."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [card.strip() for card in chosen.split(",") if card.strip() not in ("", "-1")]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=index", "--format=csv,noheader"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return listed.stdout.split() if listed.returncode == 0 else []


def read_limits(texts: tuple[str, ...]) -> dict[str, int]:
    """`("cpu=4", "gpu=1")` as numbers.

    Raises:
        UsageError: an entry is not POOL=NUMBER with a number of at least 1.
    """
    limits: dict[str, int] = {}
    for text in texts:
        pool, _, number = text.partition("=")
        if not pool or not number.isdecimal() or int(number) < 1:
            raise UsageError(f"--pool-jobs {text}: not POOL=NUMBER with a number of at least 1, such as gpu=1")
        limits[pool] = int(number)
    return limits


class Pools:
    """Room on this machine. By default `cpu` has as many places as cores; `gpu` as many as cards, or as `cpu` without any.

    A stage takes one place, on cards `gpus` of them. With more than one card each GPU stage sees its own only.
    """

    def __init__(self, graph: Graph, limits: Mapping[str, int]) -> None:
        self._cards = visible_cards()
        self._many_cards = len(self._cards) > 1
        cores = os.cpu_count() or 1
        default = {GPU_POOL: len(self._cards) or limits.get("cpu", cores)}
        self._room = {stage.meta.pool: limits.get(stage.meta.pool, default.get(stage.meta.pool, cores)) for stage in graph}
        self._most = dict(self._room)
        self._held: dict[str, list[str]] = {}
        self._change = threading.Condition()

    def _places(self, stage: StageSpec) -> int:
        wanted = stage.meta.gpus if stage.meta.pool == GPU_POOL and self._many_cards else 1
        return min(wanted, self._most[stage.meta.pool])

    def take(self, stage: StageSpec) -> dict[str, str] | None:
        """Variables for the stage's commands if its pool has room, else None."""
        places = self._places(stage)
        if self._room[stage.meta.pool] < places:
            return None
        self._room[stage.meta.pool] -= places
        if stage.meta.pool != GPU_POOL or not self._many_cards:
            return {}
        self._held[stage.name], self._cards = self._cards[:places], self._cards[places:]
        return {"CUDA_VISIBLE_DEVICES": ",".join(self._held[stage.name])} if self._held[stage.name] else {}

    def give_back(self, stage: StageSpec) -> None:
        """Frees what `take` gave."""
        self._room[stage.meta.pool] += self._places(stage)
        self._cards += self._held.pop(stage.name, [])

    @contextmanager
    def place(self, stage: StageSpec) -> Iterator[dict[str, str]]:
        """Waits for room, yields the stage's variables, and frees the place; for threads of one run."""
        with self._change:
            self._change.wait_for(lambda: self._room[stage.meta.pool] >= self._places(stage))
            variables = self.take(stage) or {}
        try:
            yield variables
        finally:
            with self._change:
                self.give_back(stage)
                self._change.notify_all()
