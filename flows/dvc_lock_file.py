"""The lock file, written once, whole, and in the order that `dvc repro` gives it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.utils.serialize import YAMLFileCorruptedError, modify_yaml

from flows.errors import UsageError


def write_lock_file(lock_file: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Puts the stages' entries into the lock file, by rename.

    Stages that are in the file keep their place; new ones follow in the order given. That is what `dvc repro` does, so
    the bytes are the same whatever the order in which stages ended.

    Args:
        lock_file: the file; made if it is not there.
        entries: stage name to entry, in the DAG's order.

    Raises:
        UsageError: the file is not readable YAML.
    """
    unfinished = lock_file.with_name(f".{lock_file.name}.unfinished")
    unfinished.write_bytes(lock_file.read_bytes() if lock_file.exists() else b"")
    try:
        with modify_yaml(os.fspath(unfinished)) as data:
            data.setdefault("schema", "2.0")
            stages = data.setdefault("stages", {})
            stages.update(entries)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        if not lock_file.exists() or unfinished.read_bytes() != lock_file.read_bytes():
            unfinished.replace(lock_file)
    except YAMLFileCorruptedError as error:
        raise UsageError(
            f"{lock_file}: not readable YAML; `git checkout {lock_file.name}` restores the last commit"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
