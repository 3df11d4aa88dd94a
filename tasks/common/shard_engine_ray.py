"""Shards mapped by Ray: workers on the machines of a cluster, each with its share of their GPUs. Needs the extra `ray`.

`RAY_ADDRESS` names the cluster to join ("auto": the one that this machine belongs to). Without it, a Ray of this machine
alone is started for the run and stopped with it. Nothing is uploaded: every machine must see the project's folder, its
environment and the part store under the same paths, on a file system that they share. Ray passes pickled objects between its
processes, so join only clusters whose every user you trust.

A worker is a Ray actor: it keeps its GPU and its loaded model from shard to shard. Ray neither restarts one nor repeats a
shard, so each part is written once.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM, getsignal, signal
from typing import Any

from tasks.common.errors import StageError, UserError
from tasks.common.files import beside
from tasks.common.parameters import Compute
from tasks.common.shard_engine import WORKER_DIED, Job, Part, Work, make_part

try:
    import ray
    from ray.exceptions import AuthenticationError, NodeDiedError, OutOfMemoryError, RayActorError, RayTaskError
except ModuleNotFoundError:
    raise UserError(
        'compute.engine = ray: Ray is not installed; `pip install -c constraints.txt -e ".[ray]"`, or set it to processes'
    ) from None

_AS_IN_THE_RUN = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TOKENIZERS_PARALLELISM")
_QUIET = {"log_to_driver": False, "logging_level": logging.ERROR}
_SMALL = {"include_dashboard": False, "object_store_memory": 100_000_000}  # shards travel as files
_SECONDS_TO_CONNECT = 10
_SECONDS_TO_APPEAR = 90  # network file systems remember for up to a minute that a file was not there
_SHARE = "every machine of the cluster must see the project under the same path, on a file system that they share"


class _Worker:
    """A process on a machine of the cluster."""

    def enter(self, folder: Path, mark: Path, environment: dict[str, str]) -> None:
        enter(folder, mark, environment)

    def make(self, job: Job, work: Work, store: Path) -> Part:
        return make_part(job, work, store)


def enter(folder: Path, mark: Path, environment: dict[str, str]) -> None:
    """Lets this process work in the run's folder and with its environment variables.

    Args:
        folder: where the run works.
        mark: a file that the run has just written into its part store, seen from `folder`.
        environment: variables to set.

    Raises:
        UserError: this machine does not see the run's files.
    """
    if not (folder / mark).is_file():
        raise UserError(f"{socket.gethostname()} does not see {(folder / mark).parent}: {_SHARE}")
    os.chdir(folder)
    os.environ.update(environment)


def wait_until_seen(part: Part, seconds: float = _SECONDS_TO_APPEAR) -> Part:
    """The part, as soon as this machine sees its folder.

    Raises:
        StageError: it does not appear.
    """
    end = time.monotonic() + seconds
    while not part.folder.is_dir():
        if time.monotonic() > end:
            raise StageError(f"{part.folder}: a worker finished this part, but it is not to be seen here: {_SHARE}")
        time.sleep(0.5)
    return part


def _join(address: str) -> None:
    """Ray itself tries for minutes to reach a cluster that is not there."""
    if address != "auto":
        _check_address(address)
    try:
        ray.init(address, **_QUIET)
    except (AuthenticationError, ConnectionError, RuntimeError) as error:
        raise UserError(f"RAY_ADDRESS = {address}: cannot join: {' '.join(str(error).split())}") from None


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "://" in address:
        raise UserError(f"RAY_ADDRESS = {address}: give host:port of a cluster that this machine belongs to, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"RAY_ADDRESS = {address}: no answer ({error}); start the cluster with `ray start`, or unset RAY_ADDRESS"
        ) from None


@contextmanager
def _joined(workers: int) -> Iterator[None]:
    """Inside, this process belongs to a cluster; what was started for it is stopped."""
    address = os.environ.get("RAY_ADDRESS") or "local"
    handler = getsignal(SIGTERM)
    try:
        if address == "local":
            ray.init(address, num_cpus=workers, **_QUIET, **_SMALL)
        else:
            _join(address)
        signal(SIGTERM, handler)  # Ray has set its own
        yield
    except SystemExit:  # its answer to SIGTERM while it starts
        raise KeyboardInterrupt from None
    finally:
        ray.shutdown()
        signal(SIGTERM, handler)


def _check_room(num_gpus: float) -> None:
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(machine.get("CPU", 0) >= 1 and machine.get("GPU", 0) >= num_gpus for machine in machines):
        gpus = sum(machine.get("GPU", 0) for machine in machines)
        raise UserError(
            f"compute.num_gpus = {num_gpus:g}: no machine of the Ray cluster has that and a CPU for a worker "
            f"(machines: {len(machines)}, GPUs in all: {gpus:g}); lower it or add machines"
        )


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from error
    except (RayActorError, OutOfMemoryError, NodeDiedError) as error:
        if getattr(error, "actor_init_failed", False):  # there is nothing to fail at but the imports
            raise UserError(f"a worker cannot load the project ({str(error).splitlines()[-1]}): {_SHARE}") from None
        raise StageError(WORKER_DIED) from None


def in_ray(jobs: Sequence[Job], work: Work, store: Path, compute: Compute) -> Iterator[Part]:
    """Parts as they get done, with up to `compute.workers` shards at a time in the whole cluster.

    A worker that finds no room yet waits for it while the others work.

    Raises:
        UserError: no cluster answers, it cannot hold a worker, or a machine does not see the project.
        StageError: a worker died, or a part does not appear in the store.
    """
    count = min(compute.workers, len(jobs))
    with _joined(count):
        _check_room(compute.num_gpus)
        mark = beside(store / "mark")
        mark.touch()
        environment = {name: os.environ[name] for name in _AS_IN_THE_RUN if name in os.environ}
        actor = ray.remote(_Worker).options(num_cpus=1, num_gpus=compute.num_gpus, max_restarts=0, max_task_retries=0)
        workers = [actor.remote() for _ in range(count)]
        busy = {worker.enter.remote(Path.cwd(), mark, environment): worker for worker in workers}
        waiting = iter(jobs)
        left = len(jobs)
        while left:
            [ready], _ = ray.wait([*busy])
            worker = busy.pop(ready)
            if (part := _result(ready)) is not None:
                left -= 1
                yield wait_until_seen(part)
            if (job := next(waiting, None)) is not None:
                busy[worker.make.remote(job, work, store)] = worker
