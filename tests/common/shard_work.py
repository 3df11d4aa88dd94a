"""Work functions for the tests of the shard engine; a module of their own, because worker processes import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, Literal

from tasks.common.errors import UserError
from tasks.common.parameters import Compute


def compute(workers: int = 1, engine: Literal["processes", "ray"] = "processes", num_gpus: float = 0) -> Compute:
    """How to map the jobs."""
    return Compute(device="cpu", dtype="float32", workers=workers, engine=engine, num_gpus=num_gpus)


def write_number(payload: int, folder: Path) -> dict[str, Any]:
    """Writes the square of a number."""
    (folder / "square.txt").write_text(str(payload**2))
    return {"number": payload}


def count_calls(payload: tuple[int, str], folder: Path) -> dict[str, Any]:
    """As `write_number`, and leaves a mark for each call."""
    number, log = payload
    with Path(log).open("a") as file:
        file.write(f"{number}\n")
    return write_number(number, folder)


def die_once(payload: tuple[int, str], folder: Path) -> dict[str, Any]:
    """Kills its own process in the middle of writing, the first time that number 2 comes."""
    number, log = payload
    calls = Path(log)
    if number == 2 and not calls.with_suffix(".died").exists():
        calls.with_suffix(".died").touch()
        (folder / "square.txt").write_text("hal")
        os.kill(os.getpid(), signal.SIGKILL)
    return count_calls(payload, folder)


def fail(payload: int, folder: Path) -> dict[str, Any]:
    """Fails for number 1."""
    if payload == 1:
        raise ValueError("number one")
    return write_number(payload, folder)


def refuse(payload: int, folder: Path) -> dict[str, Any]:
    """Finds fault with the input of number 1."""
    if payload == 1:
        raise UserError("number one is not to be used; take another")
    return write_number(payload, folder)


def sleep_long(payload: int, folder: Path) -> dict[str, Any]:
    """Says that it has begun, and in which process, and then takes a minute."""
    process = folder / "process"
    process.write_text(str(os.getpid()))
    process.rename(folder.parent / f"begun-{payload}")
    time.sleep(60)
    return write_number(payload, folder)
