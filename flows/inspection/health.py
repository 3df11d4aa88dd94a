"""Whether runs can begin here: locks, the lock file, room for the cache, the Prefect server and its pools."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from flows.errors import RunError, UsageError
from flows.inspection.hashes import cache_folder
from flows.inspection.locked_stages import locked_stages
from flows.workspace import RUNS_FOLDER

USUAL_URL = "http://127.0.0.1:4200/api"
LEAST_FREE_BYTES = 2_000_000_000
_START = "groundreel worker {}"

Finding = tuple[str, str, str]
"""(level, subject, text); levels are "ok", "warning" and "error"."""


def examine_runs(root: Path) -> Iterator[Finding]:
    """All findings for the clone at `root`."""
    yield from _run_lock(root)
    yield from _lock_file(root)
    yield from _cache(root)
    yield from _prefect()


def _run_lock(root: Path) -> Iterator[Finding]:
    folder = root / RUNS_FOLDER
    if not folder.is_dir():
        yield "ok", "runs", "none yet"
        return
    try:
        with FileLock(folder / "run.lock", timeout=0):
            yield "ok", "runs", "none at work"
    except Timeout:
        pid = (folder / "run.owner").read_text(encoding="utf-8")
        yield "ok", "runs", f"one is at work, process {pid}; `kill {pid}` stops it"


def _lock_file(root: Path) -> Iterator[Finding]:
    if not (root / "dvc.lock").exists():
        yield "warning", "dvc.lock", "not there; `dvc repro` makes it"
        return
    try:
        number = len(locked_stages(root))
    except (RunError, UsageError) as error:
        yield "error", "dvc.lock", str(error)
    else:
        yield "ok", "dvc.lock", f"{number} stages recorded"


def _cache(root: Path) -> Iterator[Finding]:
    try:
        folder = cache_folder(root)
    except (RunError, UsageError) as error:
        yield "error", "cache", str(error)
        return
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE_BYTES:
        yield "warning", "cache", f"{free / 1e9:.1f} GB free for {folder}; `dvc gc --workspace` makes room"
    else:
        yield "ok", "cache", f"{folder}, {free / 1e9:.1f} GB free; `groundreel fsck` checks its bytes"


def _prefect() -> Iterator[Finding]:
    url = os.environ.get("PREFECT_API_URL") or USUAL_URL
    try:
        httpx.get(f"{url}/health", timeout=3).raise_for_status()
    except httpx.HTTPError:
        yield "ok", "prefect", f"no server at {url}; `prefect server start` starts one, `groundreel run --local` needs none"
        return
    pools = httpx.post(f"{url}/work_pools/filter", json={}, timeout=10).json()
    known = {pool["name"]: pool for pool in pools}
    yield "ok", "prefect", f"server at {url}"
    for name, purpose in (("cpu", "only scheduled runs need one"), ("gpu", f"`{_START.format('gpu')}` starts one")):
        if name not in known:
            yield "warning", "prefect", f"work pool {name} is missing; `groundreel deploy` makes it"
        elif known[name]["is_paused"]:
            yield "warning", "prefect", f"work pool {name} is paused; `prefect work-pool resume {name}`"
        elif known[name]["status"] != "READY":
            yield "ok" if name == "cpu" else "warning", "prefect", f"work pool {name} has no worker; {purpose}"
        else:
            yield "ok", "prefect", f"work pool {name} is served, limit {known[name]['concurrency_limit'] or 'none'}"
