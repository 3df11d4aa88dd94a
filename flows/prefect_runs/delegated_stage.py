"""The flow that a worker runs: one stage, in the workspace of the run that asked for it or in this machine's own clone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.command import CommandRunner
from flows.dvc_project import DvcProject
from flows.dvc_remote import publish_results, remote_workspace
from flows.errors import RunError
from flows.prefect_runs.delegation import Delegation, StageName, entry_file
from flows.run import open_workspace
from flows.stage_run import run_stage
from flows.workspace import RUNS_FOLDER, stage_at_work


@contextmanager
def _project(stage: str, delegation: Delegation) -> Iterator[DvcProject]:
    if delegation.lock is not None:
        with remote_workspace(Path.cwd(), stage, delegation.commit, delegation.lock) as project:
            yield project
        return
    if not Path(delegation.logs).is_dir():
        raise RunError(
            f"{stage}: this worker does not see {delegation.root}, where the run is; "
            "for workers on other machines: `groundreel run --remote-workers`"
        )
    root = Path(delegation.root)
    with stage_at_work(root, stage), open_workspace(root) as project:
        yield project


@flow(name="stage", flow_run_name="{stage}", persist_result=False)
def stage(stage: StageName, delegation: Delegation) -> State[None]:
    """Brings one stage up to date; its inputs must be.

    Args:
        stage: its name in `dvc.yaml`.
        delegation: the run that asks.
    """
    tell = get_run_logger().info
    runner = CommandRunner()
    logs = Path(delegation.logs) if delegation.lock is None else Path.cwd() / RUNS_FOLDER / "logs" / "remote"
    try:
        with _project(stage, delegation) as project:
            outcome = run_stage(project, runner, stage, logs / f"{stage}.log", tell, force=delegation.force)
            if delegation.lock is None:
                entry_file(logs, stage).write_text(json.dumps(outcome.entry), encoding="utf-8")
            else:
                publish_results(project, stage)
    except RunError as error:
        return Failed(message=str(error))
    except BaseException:
        runner.stop()
        raise
    return Completed(name=outcome.state, message=f"{outcome.seconds:.1f} s")
