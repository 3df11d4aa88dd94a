"""What `groundreel plan` and `groundreel run` print, and how they end."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import click

from flows.errors import RunError
from flows.run import Wishes
from flows.stage_run import FAILED, SKIPPED, Outcome


def print_plan(root: Path, targets: Sequence[str]) -> None:
    """The stages with pool and state, and why a stage would run."""
    from flows.plan import plan

    planned = plan(root, targets)
    width = max((len(item.stage.name) for item in planned), default=0)
    for item in planned:
        pool = item.stage.meta.pool
        click.echo(f"{item.stage.name:{width}}  {pool:4}  {item.state:10}  {'; '.join(item.reasons)}".rstrip())


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def interruptible(run: Callable[[], int]) -> int:
    """The exit code of a run; 130 if Ctrl-C or SIGTERM ended it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        return run()
    except KeyboardInterrupt:
        click.echo("interrupted; what is finished is in the cache, and the next run goes on from there", err=True)
        return 130


def run_local(root: Path, targets: Sequence[str], wishes: Wishes) -> int:
    """The exit code of a run without Prefect: 0, or 1 if a stage failed."""
    from flows.local_run import run_locally

    started = time.monotonic()
    outcomes = run_locally(root, targets, wishes, tell=print_line, done=print_outcome)
    return print_summary(outcomes, time.monotonic() - started, " ".join(["groundreel run --local", *targets]))


def run_with_prefect(root: Path, targets: Sequence[str], wishes: Wishes) -> int:
    """The exit code of a run through Prefect: 0, or 1 if a stage failed. Prefect's log is on standard error."""
    from flows.prefect_runs.pipeline import run_pipeline

    try:
        run_pipeline(root, wishes, targets)
    except RunError as error:
        click.echo(f"groundreel: {error}", err=True)
        print_way_on(" ".join(["groundreel run", *targets]))
        return 1
    return 0


def print_way_on(command: str) -> None:
    """What to do after a failure."""
    click.echo(f"what is finished is kept; mend the cause and go on with `{command}`", err=True)


def print_line(stage: str, line: str) -> None:
    """A line of a stage's output."""
    click.echo(f"{stage} | {line}", err=True)


def print_outcome(outcome: Outcome) -> None:
    """How a stage ended."""
    took = f"{outcome.seconds:.1f} s" if outcome.succeeded else outcome.reason
    click.echo(f"{outcome.state:10}{outcome.stage}  {took}")


def print_summary(outcomes: Sequence[Outcome], seconds: float, command: str) -> int:
    """The last lines of a run; its exit code."""
    counts = Counter(outcome.state for outcome in outcomes)
    text = ", ".join(f"{number} {state.lower()}" for state, number in counts.items())
    click.echo(f"{len(outcomes)} stages in {seconds:.1f} s: {text}")
    if not counts[FAILED] and not counts[SKIPPED]:
        return 0
    for outcome in outcomes:
        if outcome.state == FAILED:
            click.echo(f"groundreel: {outcome.reason}", err=True)
    print_way_on(command)
    return 1
