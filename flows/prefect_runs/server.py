"""The Prefect server: is there one, and are the work pools of a run ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.errors import RunError, UsageError
from flows.inspection.health import USUAL_URL


@contextmanager
def connected() -> Iterator[SyncPrefectClient]:
    """A client of the configured server, or of the one at the usual address; all Prefect calls inside use it.

    Raises:
        UsageError: no server answers; says what starts one.
    """
    url = PREFECT_API_URL.value() or USUAL_URL
    try:
        httpx.get(f"{url}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise UsageError(
            f"no Prefect server answers at {url} ({type(error).__name__}); `prefect server start` starts one, "
            "`groundreel run --local` needs none"
        ) from None
    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
        yield client


def check_pools(client: SyncPrefectClient, pools: Iterable[str]) -> None:
    """Refuses a run whose stages could never start.

    Raises:
        UsageError: a pool or the deployment that serves it is missing.
    """
    for pool in sorted(pools):
        try:
            client.read_work_pool(pool)
            client.read_deployment_by_name(f"stage/{pool}")
        except ObjectNotFound:
            raise UsageError(
                f"Prefect has no work pool `{pool}` with a deployment `stage/{pool}`, which dvc.yaml asks for; "
                "`groundreel deploy` makes both"
            ) from None


def why_waiting(client: SyncPrefectClient, pool: str) -> str:
    """Why a run given to a pool has not begun, with what mends it."""
    try:
        found = client.read_work_pool(pool)
        workers = client.read_workers_for_work_pool(pool)
    except ObjectNotFound:
        raise RunError(f"the work pool `{pool}` is gone; `groundreel deploy` makes it again") from None
    if found.is_paused:
        return f"the work pool {pool} is paused; `prefect work-pool resume {pool}` goes on"
    if not any(worker.status == "ONLINE" for worker in workers):
        return f"no worker serves the work pool {pool}; `groundreel worker {pool}` starts one"
    if found.concurrency_limit is not None and (found.active_slots or 0) >= found.concurrency_limit:
        return f"the work pool {pool} is at its limit of {found.concurrency_limit}"
    return f"a worker of the work pool {pool} will take it"
