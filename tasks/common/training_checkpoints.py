"""Checkpoints of a training: tensors in safetensors, all else in JSON; the last two are kept, each whole or not there.

They lie in `STORE/KEY/STEP`, where KEY is the hash of all that decides the result: a training with other code, parameters,
data or number of processes finds none of them and starts fresh.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file
from torch import Tensor

from tasks.common.errors import StageError
from tasks.common.files import complete, remove
from tasks.common.provenance import file_sha256

_KEPT = 2
_TENSORS, _STATE = "tensors.safetensors", "state.json"


class Checkpoint(NamedTuple):
    """Tensors by name and the other state as JSON values, after `step` steps."""

    step: int
    tensors: dict[str, Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one training."""

    def __init__(self, store: Path, key: str) -> None:
        """Takes the store's folder and the training's key; neither needs to be there."""
        self._store, self._folder = store, store / key

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second run of the stage away, and clears what a killed one left unfinished.

        Raises:
            StageError: another run is at work.
        """
        self._store.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._store / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StageError(f"{self._store}: another run of this stage is at work; wait for it or stop it") from None
        try:
            for leftover in self._store.glob("*/.*.unfinished"):
                remove(leftover)
            yield
        finally:
            lock.release()

    def _steps(self) -> list[Path]:
        """Folders of checkpoints, the newest first."""
        return sorted((path for path in self._folder.glob("[0-9]*") if path.name.isdigit()), reverse=True)

    def save(self, checkpoint: Checkpoint) -> None:
        """Adds one and drops those that are older than the last two."""
        with complete(self._folder / f"{checkpoint.step:08d}", folder=True) as folder:
            save_file(
                {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}, folder / _TENSORS
            )
            state = {"sha256": file_sha256(folder / _TENSORS), "step": checkpoint.step, "state": checkpoint.state}
            (folder / _STATE).write_text(json.dumps(state, allow_nan=False), encoding="utf-8")
        for old in self._steps()[_KEPT:]:
            remove(old)

    def newest(self) -> Checkpoint | None:
        """The newest one whose bytes are as they were written; None if there is none."""
        for folder in self._steps():
            try:
                state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
                if file_sha256(folder / _TENSORS) == state["sha256"]:
                    return Checkpoint(state["step"], load_file(folder / _TENSORS), state["state"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return None

    def remove_other_trainings(self) -> None:
        """Frees the room of trainings with other keys."""
        for folder in self._store.iterdir():
            if folder.is_dir() and folder != self._folder:
                remove(folder)
