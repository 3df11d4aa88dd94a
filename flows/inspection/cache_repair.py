"""Sets damaged objects of the DVC cache aside, and puts back those of which the workspace has a healthy copy.

DVC believes a workspace file by its inode, time and size. A file that got damaged bytes from the cache, or is a hard link
to a damaged object, would therefore count as unchanged for ever, and `dvc commit` would put its bytes under the old hash.
So every such file gets a new time: DVC reads it again, sees the difference, and makes or fetches it anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from flows.errors import RunError
from flows.inspection.cache_check import CacheState, Use, shown
from flows.inspection.hashes import FOLDER, bytes_md5, file_md5, files_in, folder_listing, object_path, read_listing
from flows.inspection.locked_stages import LockedStage, overlap

_READ_ONLY = 0o444


def repair(root: Path, cache: Path, state: CacheState, stages: list[LockedStage]) -> Iterator[str]:
    """Mends what can be mended; one line for each thing done, then what is left to do.

    Raises:
        RunError: a file cannot be moved or written.
    """
    try:
        for damaged in state.damaged:
            yield from _set_aside(root, cache, damaged.path, f"{damaged.md5}.{damaged.found.split()[0]}")
        for record in state.bad_records:
            yield from _set_aside(root, cache, record, f"run.{record.parent.name}.{record.name}")
        lost = set()
        for md5 in [*(damaged.md5 for damaged in state.damaged), *state.missing]:
            uses = state.uses.get(md5, [])
            yield from _mend(root, cache, md5, uses)
            if not object_path(cache, md5).exists():
                lost |= {use.stage.address for use in uses}
    except OSError as error:
        place = error.filename or cache
        raise RunError(f"{place}: {error.strerror}; make room or make it writable, then run again") from error
    if lost:
        names = ", ".join(sorted(lost))
        yield f"`dvc repro` makes again what is missing (of {names}); run `dvc fetch` first if a remote has it"
    yield from _doubt(state, stages)


def _set_aside(root: Path, cache: Path, path: Path, name: str) -> Iterator[str]:
    folder = cache / "damaged"
    folder.mkdir(exist_ok=True)
    target = folder / name
    number = 2
    while os.path.lexists(target):
        target = folder / f"{name}.{number}"
        number += 1
    path.rename(target)
    os.utime(target)  # and with it all hard links of it, here and in other workspaces
    yield f"set aside: {shown(path, root)} as {shown(target, root)}"


def _mend(root: Path, cache: Path, md5: str, uses: list[Use]) -> Iterator[str]:
    target = object_path(cache, md5)
    for path in (root / use.path for use in uses):
        if not path.exists():
            continue
        content = _healthy_content(root, path, md5)
        if content is None:
            yield from _make_dvc_look(root, path)
        elif not target.exists():
            _put(content, target)
            if isinstance(content, bytes):  # the listing was lost, so its files were not known before
                for name, member in read_listing(target).items():
                    _put(path / name, object_path(cache, member))
            yield f"put back: {shown(target, root)} from {shown(path, root)}, which is healthy"


def _healthy_content(root: Path, path: Path, md5: str) -> Path | bytes | None:
    if md5.endswith(FOLDER):
        listing = folder_listing(root, path) if path.is_dir() else b""
        return listing if bytes_md5(listing) + FOLDER == md5 else None
    return path if path.is_file() and file_md5(path) == md5 else None


def _make_dvc_look(root: Path, path: Path) -> Iterator[str]:
    for file in files_in(root, path) if path.is_dir() else [path]:
        if file.exists():
            os.utime(file)
    yield f"marked as changed: {shown(path, root)} in the workspace, whose bytes dvc.lock does not name"


def _put(content: Path | bytes, target: Path) -> None:
    """Whole and read-only, or not at all; what is there stays."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                with content.open("rb") as source:
                    shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(_READ_ONLY)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _doubt(state: CacheState, stages: list[LockedStage]) -> Iterator[str]:
    """Whoever read damaged bytes made wrong results of them, under hashes that look right."""
    uses = [use for damaged in state.damaged for use in state.uses.get(damaged.md5, [])]
    makers = sorted({use.stage.address for use in uses})
    outs = {use.out for use in uses}
    readers = [stage.address for stage in stages if any(overlap(dep.path, out) for dep in stage.deps for out in outs)]
    if readers:
        mend = f"`dvc repro --force --downstream {' '.join(makers)}` makes their results again"
        yield f"results of {', '.join(readers)} may be wrong, if made of the damaged bytes; in doubt {mend}"
