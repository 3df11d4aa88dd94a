"""The Prefect flow: one task per stage of `dvc.yaml`, in place for the pool `cpu`, by deployment for every other pool."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from prefect import Task, flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, wait
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.command import CommandRunner
from flows.dvc_remote import check_remote
from flows.errors import RunError, UsageError
from flows.graph import StageSpec
from flows.pools import Pools
from flows.prefect_runs.artifacts import publish_artifacts
from flows.prefect_runs.delegation import Hopes, delegate
from flows.prefect_runs.server import check_pools, connected
from flows.run import Run, Wishes, open_run
from flows.stage_run import FAILED, SKIPPED, Outcome, run_stage
from flows.walk import attempt_stage

IN_PLACE = "cpu"
REFUSED = "Refused"
# a task that waits for room holds a thread; `Pools` limits what runs
_THREADS = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=1000))


class _Walk:
    """One run of the DAG: what its tasks share."""

    def __init__(self, client: SyncPrefectClient, run: Run, wishes: Wishes) -> None:
        self._client, self._run, self._wishes = client, run, wishes
        self._pools = Pools(run.graph, wishes.limits)
        self._outcomes: dict[str, Outcome] = {}
        self.runner = CommandRunner()

    def _stage(self, stage: StageSpec) -> State[None]:
        """The body of a stage's task."""
        if self.runner.stopped or self._called_off():
            return Cancelled(name=SKIPPED, message="a stage failed")
        try:
            outcome = attempt_stage(self._here if stage.meta.pool == IN_PLACE else self._elsewhere, stage, {})
        except BaseException as error:
            self._outcomes[stage.name] = Outcome(stage.name, FAILED, reason=f"{stage.name}: {type(error).__name__}: {error}")
            raise
        self._outcomes[stage.name] = outcome
        if outcome.state == FAILED:
            return Failed(message=outcome.reason)
        if outcome.state == SKIPPED:
            return Cancelled(name=SKIPPED, message=outcome.reason)
        return Completed(name=outcome.state, message=f"{outcome.seconds:.1f} s")

    def _here(self, stage: StageSpec, environment: Mapping[str, str]) -> Outcome:
        run = self._run
        with self._pools.place(stage) as cards:
            return run_stage(
                run.project,
                self.runner,
                stage.name,
                run.log(stage.name),
                get_run_logger().info,
                force=self._wishes.force,
                environment={**environment, **cards},
            )

    def _elsewhere(self, stage: StageSpec, environment: Mapping[str, str]) -> Outcome:
        hopes = Hopes(lambda: self.runner.stopped, self._called_off)
        return delegate(self._client, self._run, stage, self._wishes, hopes, get_run_logger().info)

    def _called_off(self) -> bool:
        return not self._wishes.keep_going and any(outcome.state == FAILED for outcome in self._outcomes.values())

    def submit_all(self) -> list[PrefectFuture[State[None]]]:
        """All stages as tasks that wait for the stages before them."""
        futures: dict[str, PrefectFuture[State[None]]] = {}
        for stage in self._run.graph:
            body: Task[..., State[None]] = Task(self._stage, name=stage.name, task_run_name=stage.name, persist_result=False)
            futures[stage.name] = body.submit(stage, wait_for=[futures[name] for name in stage.upstream])
        return list(futures.values())

    def outcomes(self) -> list[Outcome]:
        """How every stage ended."""
        skipped = "a stage failed"
        return [self._outcomes.get(stage.name, Outcome(stage.name, SKIPPED, reason=skipped)) for stage in self._run.graph]


@flow(name="pipeline", persist_result=False, task_runner=_THREADS)
def pipeline(
    targets: Sequence[str] = (),
    keep_going: bool = False,
    force: bool = False,
    remote_workers: bool = False,
    pool_jobs: Mapping[str, int] | None = None,
    wait_for_others: bool = True,
) -> State[None]:
    """Brings stages, and all that they need, up to date.

    Args:
        targets: stages or systems of `dvc.yaml`; everything if empty.
        keep_going: after a failure, go on with stages that do not need the failed one.
        force: run stages even if nothing changed.
        remote_workers: workers are on other machines; inputs and results travel through the default DVC remote.
        pool_jobs: stages at a time of the pool `cpu`, which run in place; by default as many as cores.
        wait_for_others: wait if another run is at work in the same clone, instead of failing.
    """
    wishes = Wishes(keep_going, force, remote_workers, pool_jobs or {})
    try:
        with connected() as client, open_run(Path.cwd(), targets, wishes, wait=wait_for_others) as run:
            outcomes = _walk(client, run, wishes)
            publish_artifacts(run, outcomes)
    except (RunError, UsageError) as error:
        return Failed(name=REFUSED if isinstance(error, UsageError) else None, message=str(error))
    return final_state(outcomes)


def _walk(client: SyncPrefectClient, run: Run, wishes: Wishes) -> list[Outcome]:
    check_pools(client, {stage.meta.pool for stage in run.graph} - {IN_PLACE})
    if wishes.remote_workers:
        check_remote(run.project, [stage for stage in run.graph if stage.meta.pool != IN_PLACE])
    walk = _Walk(client, run, wishes)
    try:
        wait(walk.submit_all())
    except BaseException:
        walk.runner.stop()
        raise
    outcomes = walk.outcomes()
    run.finish(outcomes)
    return outcomes


def final_state(outcomes: Sequence[Outcome]) -> State[None]:
    """The flow's end: failed with all reasons, or completed with the number of stages in each state."""
    reasons = [outcome.reason for outcome in outcomes if outcome.state == FAILED]
    if reasons:
        return Failed(message="; ".join(reasons))
    counts = Counter(outcome.state for outcome in outcomes)
    return Completed(message=", ".join(f"{number} {state.lower()}" for state, number in counts.items()))


def run_pipeline(root: Path, wishes: Wishes, targets: Sequence[str]) -> None:
    """Runs the flow in this process.

    Raises:
        RunError: stages failed.
        UsageError: no server answers, or a target, a pool or the pipeline file is wrong.
    """
    with connected(), contextlib.chdir(root):
        state = pipeline(
            targets=list(targets),
            keep_going=wishes.keep_going,
            force=wishes.force,
            remote_workers=wishes.remote_workers,
            pool_jobs=dict(wishes.limits),
            wait_for_others=False,
            return_state=True,
        )
    if not state.is_completed():
        raise (UsageError if state.name == REFUSED else RunError)(str(state.message))
