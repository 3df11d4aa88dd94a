"""Maps a function over shards, in a process pool or with Ray; finished shards survive kill -9 and are not done again.

A finished shard is a folder in a *part store*, named by the hash of all that decides its content (input, parameters,
code) and renamed into place when complete. The store lies outside the stage's outputs, because DVC deletes those
before a run.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIG_DFL, SIG_IGN, SIGINT, SIGTERM, signal
from typing import Any

from filelock import FileLock, Timeout

from tasks.common.errors import StageError
from tasks.common.files import complete, remove
from tasks.common.parameters import Compute
from tasks.common.progress import track
from tasks.common.provenance import file_sha256

_MANIFEST = "part.json"
WORKER_DIED = (
    "a worker died, killed or out of memory; run again: finished shards are kept. "
    "If it dies again, lower compute.workers or the batch"
)

Work = Callable[[Any, Path], dict[str, Any]]
"""(payload, empty folder to write files into) -> statistics of the shard, as JSON values."""


@dataclass(frozen=True)
class Job:
    """One shard to do: `key` is the hash of all that decides the result; `payload` goes to the worker."""

    name: str
    key: str
    payload: Any


@dataclass(frozen=True)
class Part:
    """One finished shard: its folder and what the worker said of it."""

    name: str
    folder: Path
    statistics: dict[str, Any]


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    store.mkdir(parents=True, exist_ok=True)
    lock = FileLock(store / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StageError(f"{store}: another run of this stage is at work; wait for it or stop it") from None
    try:
        _clear_unfinished(store)
        yield
    finally:
        _clear_unfinished(store)
        lock.release()


def _clear_unfinished(store: Path) -> None:
    for leftover in store.glob(".*.unfinished"):
        remove(leftover)


def _read_part(job: Job, store: Path) -> Part | None:
    """The finished part, if it is whole: every file is there with the recorded hash."""
    folder = store / job.key
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        whole = all(file_sha256(folder / name) == known for name, known in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Part(job.name, folder, manifest["statistics"]) if whole else None


def make_part(job: Job, work: Work, store: Path) -> Part:
    """Does one shard; it appears in the store whole or not at all."""
    target = store / job.key
    remove(target)
    with complete(target, folder=True) as folder:
        statistics = work(job.payload, folder)
        files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
        manifest = {"name": job.name, "statistics": statistics, "files": files}
        (folder / _MANIFEST).write_text(json.dumps(manifest, allow_nan=False), encoding="utf-8")
    return Part(job.name, target, statistics)


def _start_worker() -> None:
    """The parent answers Ctrl-C; a worker whose parent was killed ends too."""
    signal(SIGINT, SIG_IGN)
    signal(SIGTERM, SIG_DFL)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _in_pool(jobs: Sequence[Job], work: Work, store: Path, workers: int) -> Iterator[Part]:
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
    try:
        futures: list[Future[Part]] = [pool.submit(make_part, job, work, store) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise StageError(WORKER_DIED) from None
    finally:
        # workers that are done are killed too: their interpreters would take a second to take torch apart
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
        pool.shutdown(wait=False, cancel_futures=True)


def _made(jobs: Sequence[Job], work: Work, store: Path, compute: Compute) -> Iterator[Part]:
    """Parts as they get done, in no order."""
    if compute.engine == "ray" and jobs:
        from tasks.common.shard_engine_ray import in_ray

        return in_ray(jobs, work, store, compute)
    if compute.workers == 1 or len(jobs) == 1:
        return (make_part(job, work, store) for job in jobs)
    return _in_pool(jobs, work, store, min(compute.workers, len(jobs) or 1))


def run_jobs(jobs: Sequence[Job], work: Work, store: Path, compute: Compute, what: str) -> list[Part]:
    """Parts of all jobs, in the jobs' order; those already in the store are not done again.

    Args:
        jobs: one per shard, with distinct names.
        work: a function of a module (workers import it); writes plain files into the folder that it is given.
        store: the part store; parts that these jobs no longer need are removed at the end.
        compute: the engine and the number of workers; one worker without Ray works in this process.
        what: noun for the progress line.

    Raises:
        StageError: a worker died, or another run holds the store.
        UserError: Ray is asked for and not there, or cannot give what is asked.
    """
    with _locked(store):
        parts = {job.name: part for job in jobs if (part := _read_part(job, store))}
        waiting = [job for job in jobs if job.name not in parts]
        for part in track(_made(waiting, work, store, compute), what, len(waiting)):
            parts[part.name] = part
        keys = {job.key for job in jobs}
        for folder in store.iterdir():
            if folder.is_dir() and folder.name not in keys:
                remove(folder)
    return [parts[job.name] for job in jobs]
