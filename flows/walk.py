"""The walk over the DAG: a stage starts when all that it needs is done and its pool has room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from flows.errors import RunError
from flows.graph import Graph, StageSpec
from flows.pools import Pools
from flows.stage_run import FAILED, SKIPPED, Outcome

Work = Callable[[StageSpec, Mapping[str, str]], Outcome]
"""(stage, variables for its commands) -> how it ended; raises RunError if it failed."""


def walk(
    graph: Graph,
    work: Work,
    pools: Pools,
    *,
    keep_going: bool,
    done: Callable[[Outcome], None],
    stop: Callable[[], None],
) -> list[Outcome]:
    """Runs all stages, as many at a time as the pools have room for.

    Args:
        graph: the stages to run, with all that they need.
        work: runs one stage, in a thread of its own.
        pools: how many stages of each pool run at a time.
        keep_going: whether stages that do not need a failed one still start.
        done: called for every outcome, in the order of their ends.
        stop: called on an interruption, to end what runs.

    Returns:
        One outcome per stage, in the DAG's order.
    """
    state = _Walk(graph, pools, keep_going, done)
    with ThreadPoolExecutor(max(1, len(graph))) as threads:
        try:
            while state.waiting or state.running:
                for stage, environment in state.ready():
                    state.running[threads.submit(attempt_stage, work, stage, environment)] = stage
                if state.running:
                    for future in wait(state.running, return_when=FIRST_COMPLETED).done:
                        pools.give_back(state.running.pop(future))
                        state.end(future.result())
        except BaseException:
            stop()
            raise
    return [state.outcomes[stage.name] for stage in graph]


class _Walk:
    """What waits, what runs, and how stages ended."""

    def __init__(self, graph: Graph, pools: Pools, keep_going: bool, done: Callable[[Outcome], None]) -> None:
        self._pools, self._keep_going, self._done = pools, keep_going, done
        self.waiting = {stage.name: stage for stage in graph}
        self.running: dict[Future[Outcome], StageSpec] = {}
        self.outcomes: dict[str, Outcome] = {}

    def end(self, outcome: Outcome) -> None:
        self.outcomes[outcome.stage] = outcome
        self._done(outcome)

    def ready(self) -> Iterator[tuple[StageSpec, dict[str, str]]]:
        """Stages that can start now, with their place; those that cannot start any more are skipped."""
        for stage in list(self.waiting.values()):
            bad = [name for name, outcome in self.outcomes.items() if not outcome.succeeded]
            needs = [name for name in stage.upstream if name in bad]
            if needs or (bad and not self._keep_going):
                del self.waiting[stage.name]
                self.end(Outcome(stage.name, SKIPPED, reason=f"needs {', '.join(needs)}" if needs else "a stage failed"))
            elif all(name in self.outcomes for name in stage.upstream):
                environment = self._pools.take(stage)
                if environment is not None:
                    del self.waiting[stage.name]
                    yield stage, environment


def attempt_stage(work: Work, stage: StageSpec, environment: Mapping[str, str]) -> Outcome:
    """How a stage ended, after as many attempts as its `meta` allows."""
    for _ in range(stage.meta.retries + 1):
        try:
            return work(stage, environment)
        except RunError as error:
            failed = Outcome(stage.name, FAILED, reason=str(error))
    return failed
