"""The DVC cache against its hashes: every object is read, because DVC itself trusts what is marked read-only."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.inspection.hashes import FOLDER, file_md5, object_path, read_listing
from flows.inspection.locked_stages import LockedStage

_STILL_WRITTEN_S = 3600


@dataclass(frozen=True)
class Damaged:
    """An object whose bytes are not what its name says; `found` is their hash, or why they cannot be read."""

    md5: str
    path: Path
    found: str


@dataclass(frozen=True)
class Use:
    """Where an object belongs: a path in the workspace, and the stage and output that it is or is part of."""

    stage: LockedStage
    out: str
    path: str


@dataclass(frozen=True)
class CacheState:
    """What a walk over the cache found.

    Attributes:
        objects: how many objects were read.
        size: their bytes.
        damaged: objects that are not what they should be.
        missing: hashes that lock files need and the cache lacks.
        uses: hash to the outputs of lock files that it belongs to.
        bad_records: run-cache files that DVC cannot read.
        leftovers: files of interrupted writes.
    """

    objects: int
    size: int
    damaged: list[Damaged]
    missing: list[str]
    uses: dict[str, list[Use]]
    bad_records: list[Path]
    leftovers: list[Path]

    @property
    def healthy(self) -> bool:
        return not (self.damaged or self.missing or self.bad_records)


Verdicts = Iterable[Damaged | None]


def check_cache(
    cache: Path, stages: Iterable[LockedStage], track: Callable[[Verdicts, int], Verdicts] = lambda verdicts, total: verdicts
) -> CacheState:
    """Reads the whole cache.

    Args:
        cache: DVC's cache folder; it need not exist.
        stages: what the lock files record.
        track: passes the verdict on each object through, given their number; may show how far it is.
    """
    files = sorted((cache / "files" / "md5").glob("*/*"))
    objects = {path.parent.name + path.name: path for path in files if _is_object(path)}
    size = sum(path.lstat().st_size for path in objects.values())
    with ThreadPool() as threads:
        damaged = [found for found in track(threads.imap(_damage, objects.items()), len(objects)) if found]
    trusted = objects.keys() - {object.md5 for object in damaged}
    uses = _uses(cache, stages, trusted)
    records = sorted((cache / "runs").glob("*/*/*"))
    return CacheState(
        objects=len(objects),
        size=size,
        damaged=damaged,
        missing=sorted(uses.keys() - objects.keys()),
        uses=uses,
        bad_records=[path for path in records if not _is_leftover(path) and not _is_run_record(path)],
        leftovers=[path for path in (*files, *records) if _is_leftover(path) and _is_old(path)],
    )


def _is_object(path: Path) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}(\.dir)?", path.parent.name + path.name) is not None


def _is_leftover(path: Path) -> bool:
    return path.name.startswith(".") and path.suffix in (".tmp", ".unfinished")


def _is_old(path: Path) -> bool:
    """Younger ones may be written just now."""
    try:
        return time.time() - path.lstat().st_mtime > _STILL_WRITTEN_S
    except FileNotFoundError:
        return False


def _damage(named: tuple[str, Path]) -> Damaged | None:
    md5, path = named
    try:
        found = file_md5(path)
        if found != md5.removesuffix(FOLDER):
            return Damaged(md5, path, found)
        if md5.endswith(FOLDER):
            read_listing(path)
    except OSError as error:
        return Damaged(md5, path, f"unreadable ({error.strerror})")
    except ValueError:
        return Damaged(md5, path, "no list of a folder's files")
    return None


def _uses(cache: Path, stages: Iterable[LockedStage], trusted: set[str]) -> dict[str, list[Use]]:
    uses: dict[str, list[Use]] = defaultdict(list)
    for stage in stages:
        for out in stage.outs:
            if out.md5 is None or not stage.keeps(out):
                continue
            uses[out.md5].append(Use(stage, out.path, out.path))
            if out.md5.endswith(FOLDER) and out.md5 in trusted:
                for name, md5 in read_listing(object_path(cache, out.md5)).items():
                    uses[md5].append(Use(stage, out.path, f"{out.path}/{name}"))
    return uses


def _is_run_record(path: Path) -> bool:
    try:
        record = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError):
        return False
    outs = record.get("outs") if isinstance(record, dict) else None
    return isinstance(outs, list) and "cmd" in record and all(isinstance(out, dict) and "path" in out for out in outs)


def describe(state: CacheState, root: Path) -> Iterator[str]:
    """One finding after another, each with what mends it; the last line sums up."""
    for damaged in state.damaged:
        yield f"damaged: {shown(damaged.path, root)}: its bytes are {damaged.found}"
        yield from (f"  is {use.path} of stage {use.stage.address}" for use in state.uses.get(damaged.md5, []))
        if damaged.md5 not in state.uses:
            yield "  is no output that dvc.lock names now"
    lacking = Counter((use.out, use.stage.address) for md5 in state.missing for use in state.uses[md5])
    for (out, stage), count in lacking.items():
        objects = "one object is" if count == 1 else f"{count} objects are"
        yield f"missing: {out} of stage {stage}: {objects} not in the cache; `dvc fetch` or `dvc repro` brings it back"
    for record in state.bad_records:
        yield f"damaged: {shown(record, root)}: unreadable record of a run; without it DVC runs that stage again"
    if state.leftovers:
        size = sum(path.lstat().st_size for path in state.leftovers) / 1e6
        mend = "`dvc gc --workspace` removes them, and results that dvc.lock does not name"
        yield f"leftovers: {len(state.leftovers)} files of interrupted writes, {size:.1f} MB; {mend}"
    faults = f"{len(state.damaged) + len(state.bad_records)} damaged, {len(state.missing)} missing"
    yield f"{state.objects} objects, {state.size / 1e6:.1f} MB: {'all healthy' if state.healthy else faults}"


def shown(path: Path, root: Path) -> str:
    """A path as short as it can be said."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
