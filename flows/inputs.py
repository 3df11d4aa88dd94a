"""Inputs that are in the user's tree alone, such as the archives in `data/raw`, linked into a frozen workspace."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path


def link_inputs(root: Path, folder: Path, inputs: Iterable[str], tracked: set[str]) -> None:
    """Hard links (copies across file systems) of inputs that are not in git; those that are gone are removed.

    A file that the user replaces later stays as it was in the workspace; one that is written in place does not, which is
    noticed when the stage ends.

    Args:
        root: the user's tree.
        folder: the workspace.
        inputs: paths relative to both; absolute ones are outside and need no link.
        tracked: files that git brought into the workspace.
    """
    for name in inputs:
        if Path(name).is_absolute():
            continue
        source, target = root / name, folder / name
        wanted = {path for path in files_in(root, source) if path not in tracked}
        for stale in files_in(folder, target) - wanted - tracked:
            (folder / stale).unlink()
        for path in sorted(wanted):
            _link(root / path, folder / path)


def files_in(base: Path, path: Path) -> set[str]:
    """A file, or all files in a folder, as paths relative to `base`; none if there is nothing."""
    if path.is_dir():
        return {
            (Path(parent) / file).relative_to(base).as_posix()
            for parent, _, files in os.walk(path, followlinks=True)
            for file in files
            if Path(parent).name != "__pycache__"
        }
    return {path.relative_to(base).as_posix()} if path.exists() or path.is_symlink() else set()


def _link(source: Path, target: Path) -> None:
    source = source.resolve()
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
