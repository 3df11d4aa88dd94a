"""A stage given to a work pool: asked for, watched, and cancelled with the run that asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.states import Cancelled, Cancelling
from pydantic import BaseModel, ConfigDict, Field

from flows.command import Tell
from flows.dvc_remote import adopt, send_inputs
from flows.dvc_stage_run import begin, lock_entry
from flows.errors import RunError
from flows.graph import StageSpec
from flows.prefect_runs.server import why_waiting
from flows.run import Run, Wishes
from flows.stage_run import SKIPPED, Outcome

_POLL_S = 1.0
_TELL_AFTER_S, _TELL_EVERY_S = 5.0, 60.0
_SERVER_AWAY_S = 600.0


@dataclass(frozen=True)
class Hopes:
    """`stopped`: the run was interrupted; `called_off`: a stage failed, so that what has not begun need not begin."""

    stopped: Callable[[], bool]
    called_off: Callable[[], bool]


StageName = Annotated[str, Field(pattern=r"^[\w.@+-]+$")]
"""A stage's name is part of file names at the worker."""


class Delegation(BaseModel):
    """What a worker must know of the run. `lock` is the lock file's text for workers on other machines, else None."""

    model_config = ConfigDict(extra="forbid")

    root: str
    commit: str = Field(pattern=r"^[0-9a-f]{40,64}$")
    logs: str
    force: bool
    lock: str | None


def entry_file(logs: Path, stage: str) -> Path:
    """Where a worker on this machine leaves what the lock file should say of a stage."""
    return logs / f"{stage}.entry.json"


def delegate(client: SyncPrefectClient, run: Run, stage: StageSpec, wishes: Wishes, hopes: Hopes, tell: Tell) -> Outcome:
    """Runs a stage by the deployment `stage/POOL` and takes over its result; nothing is asked for if it is there.

    Raises:
        RunError: the stage failed, its worker was lost, or the run was stopped.
    """
    started = time.monotonic()
    begun = begin(run.project, stage.name, force=wishes.force)
    if isinstance(begun, str):
        entry = lock_entry(run.project, stage.name)
        return Outcome(stage.name, begun, time.monotonic() - started, entry=entry)
    asked = Delegation(
        root=str(run.root),
        commit=run.snapshot.commit,
        logs=str(run.logs),
        force=wishes.force,
        lock=send_inputs(run, stage) if wishes.remote_workers else None,
    )
    parameters = {"stage": stage.name, "delegation": asked.model_dump()}
    name = f"stage/{stage.meta.pool}"
    flow_run = cast(FlowRun, run_deployment(name, parameters=parameters, timeout=0, as_subflow=True))
    state = _wait(client, flow_run.id, stage.meta.pool, hopes, tell)
    if state is None:
        return Outcome(stage.name, SKIPPED, reason="a stage failed")
    if not state.is_completed():
        raise RunError(_failure(stage, state))
    entry = adopt(run, stage) if wishes.remote_workers else json.loads(entry_file(run.logs, stage.name).read_text("utf-8"))
    return Outcome(stage.name, state.name or "", time.monotonic() - started, entry=entry)


def _wait(client: SyncPrefectClient, flow_run: UUID, pool: str, hopes: Hopes, tell: Tell) -> State[None] | None:
    """The final state of a flow run, None if it was called off before it began; tells now and then what it waits for."""
    seen = time.monotonic()
    tell_at = seen + _TELL_AFTER_S
    while True:
        try:
            state = client.read_flow_run(flow_run).state
            seen = time.monotonic()
            if state is not None and state.is_final():
                return state
            if hopes.stopped():
                client.set_flow_run_state(flow_run, Cancelling(), force=True)
                raise RunError("stopped")
            waits = state is not None and (state.is_scheduled() or state.is_pending())
            if waits and hopes.called_off():
                client.set_flow_run_state(flow_run, Cancelled(), force=True)
                return None
            if waits and seen > tell_at:
                tell_at = seen + _TELL_EVERY_S
                tell(f"waiting: {why_waiting(client, pool)}")
        except httpx.HTTPError as error:
            if hopes.stopped() or time.monotonic() - seen > _SERVER_AWAY_S:
                raise RunError(f"the Prefect server went away: {error}; start it and run again") from None
        time.sleep(_POLL_S)


def _failure(stage: StageSpec, state: State) -> str:
    pool = stage.meta.pool
    if state.is_crashed():
        return (
            f"{stage.name}: its run on the pool {pool} was lost ({state.message}); "
            f"see that a worker is up: `groundreel worker {pool}`"
        )
    if state.is_cancelled():
        return f"{stage.name}: its run on the pool {pool} was cancelled"
    return str(state.message or f"{stage.name}: failed on the pool {pool}")
