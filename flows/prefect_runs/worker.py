"""`groundreel worker`: Prefect's worker for a work pool, told where the server and this clone are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from prefect.settings import PREFECT_API_URL

from flows.prefect_runs.checkout import CHECKOUT_VARIABLE
from flows.prefect_runs.server import check_pools, connected


def serve(root: Path, pool: str) -> None:
    """Becomes a worker of the pool; does not return.

    Raises:
        UsageError: no server answers, or it has no such pool.
    """
    with connected() as client:
        check_pools(client, {pool} - {"cpu"})
        variables = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value() or "", CHECKOUT_VARIABLE: str(root)}
    os.chdir(root)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool]
    os.execve(sys.executable, command, variables)  # noqa: S606
