"""`groundreel deploy`: work pools, the deployments of `prefect.yaml`, and the automation that ends zombie runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.workers.process import ProcessWorker
from ruamel.yaml import YAML

from flows.dvc_project import DvcProject
from flows.errors import RunError
from flows.pools import GPU_POOL, visible_cards
from flows.prefect_runs.checkout import CHECKOUT_VARIABLE
from flows.prefect_runs.server import connected

AUTOMATION = "groundreel: end runs without heartbeat"
ZOMBIE_AFTER_S = 90
"""Three heartbeats of the 30 s that `prefect.yaml` sets."""


def deploy(root: Path) -> Iterator[str]:
    """Makes or renews everything that workers need; says what it did.

    Raises:
        UsageError: no server answers.
        RunError: Prefect refused `prefect.yaml`.
    """
    deployments = YAML(typ="safe").load((root / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    with DvcProject(root) as project:
        pools = {stage.meta.pool for stage in project.graph} | {entry["work_pool"]["name"] for entry in deployments}
    with connected() as client:
        for pool in sorted(pools):
            yield _make_pool(client, pool)
        yield from _register(root)
        yield _make_automation()


def _make_pool(client: SyncPrefectClient, pool: str) -> str:
    limit = max(1, len(visible_cards())) if pool == GPU_POOL else None
    try:
        found = client.read_work_pool(pool)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(
            WorkPoolCreate(name=pool, type="process", base_job_template=template, concurrency_limit=limit)
        )
        return f"work pool {pool}: made, limit {limit or 'none'}"
    if limit is not None and found.concurrency_limit is None:
        client.update_work_pool(pool, WorkPoolUpdate(concurrency_limit=limit))
        return f"work pool {pool}: limit set to {limit}"
    return f"work pool {pool}: there, limit {found.concurrency_limit or 'none'}"


def _register(root: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    variables = {**os.environ, CHECKOUT_VARIABLE: str(root), "PREFECT_API_URL": PREFECT_API_URL.value() or ""}
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RunError(f"prefect deploy: {' '.join((done.stderr or done.stdout).split())[-400:]}")
    yield "deployments of prefect.yaml: registered"


def _make_automation() -> str:
    over = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
    automation = Automation(
        name=AUTOMATION,
        description="A run whose machine died stays `Running`; this marks it as crashed, so that its place is free again.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *over},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=ZOMBIE_AFTER_S),
        ),
        actions=[
            ChangeFlowRunState(
                name="Crashed", state=StateType.CRASHED, message=f"no heartbeat for {ZOMBIE_AFTER_S} s", force=False
            )
        ],
    )
    try:
        known = cast(Automation, Automation.read(name=AUTOMATION))
    except ValueError:
        automation.create()
        return "automation that ends runs without heartbeat: made"
    automation.id = known.id
    automation.update()
    return "automation that ends runs without heartbeat: renewed"
