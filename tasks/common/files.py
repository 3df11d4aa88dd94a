"""Files that appear whole under their final name or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.common.errors import StageError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}


def beside(target: Path) -> Path:
    """A name for unfinished work in the target's own folder, so that renaming never crosses file systems."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.unfinished")


def remove(path: Path) -> None:
    """Deletes a file or a folder with all it holds; nothing happens if it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_in_place(unfinished: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        former = beside(target)
        target.rename(former)
        unfinished.rename(target)
        shutil.rmtree(former)
    else:
        unfinished.replace(target)
    _flush(target.parent)


@contextmanager
def complete(target: Path, *, folder: bool = False) -> Iterator[Path]:
    """Yields a path to write to; when the block ends well, what is there is flushed and renamed to `target`.

    Args:
        target: final name; its parents are created.
        folder: whether the path is to be a folder (created empty) instead of a file.

    Raises:
        StageError: the disk is full, read-only or failing; names the path and the room that is left.
    """
    unfinished = beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if folder:
            unfinished.mkdir()
        yield unfinished
        for item in [unfinished, *unfinished.rglob("*")]:
            _flush(item)
        _put_in_place(unfinished, target)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StageError(cannot_write(target, error)) from error
        raise
    finally:
        remove(unfinished)


def cannot_write(target: Path, error: OSError) -> str:
    """One line on a failed write: what, where, the room left and how to go on."""
    folder = next((item for item in [target.parent, *target.parent.parents] if item.exists()), Path("/"))
    free = shutil.disk_usage(folder).free
    return (
        f"cannot write {target}: {os.strerror(error.errno or 0)}; {free / 1e6:.1f} MB free there. "
        "Make room or make the folder writable, then run again: what is finished is kept"
    )


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link where the file system has them, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_text(target: Path, text: str) -> None:
    """Writes UTF-8 text with Unix line ends, whole or not at all."""
    with complete(target) as path:
        path.write_text(text, encoding="utf-8", newline="\n")


def write_json(target: Path, value: Any) -> None:
    """Writes readable JSON with a final line end; NaN is refused."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
