"""`groundreel run --local`: the DAG in parallel on this machine, without Prefect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flows.command import CommandRunner
from flows.graph import StageSpec
from flows.pools import Pools
from flows.run import Wishes, open_run
from flows.stage_run import Outcome, run_stage
from flows.walk import walk


def run_locally(
    root: Path, targets: Sequence[str], wishes: Wishes, *, tell: Callable[[str, str], None], done: Callable[[Outcome], None]
) -> list[Outcome]:
    """Brings the stages that the targets mean, and all that they need, up to date; finished results come into the tree.

    Args:
        root: the project.
        targets: stages or systems; everything if empty.
        wishes: how to go about it.
        tell: gets a stage's name and a line of its output.
        done: gets every outcome when it is there.

    Returns:
        One outcome per stage, failures included.
    """
    runner = CommandRunner()
    with open_run(root, targets, wishes) as run:

        def work(stage: StageSpec, environment: Mapping[str, str]) -> Outcome:
            return run_stage(
                run.project,
                runner,
                stage.name,
                run.log(stage.name),
                lambda line: tell(stage.name, line),
                force=wishes.force,
                environment=dict(environment),
            )

        pools = Pools(run.graph, wishes.limits)
        outcomes = walk(run.graph, work, pools, keep_going=wishes.keep_going, done=done, stop=runner.stop)
        run.finish(outcomes)
    return outcomes
