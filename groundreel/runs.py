"""What `groundreel plan` and `groundreel run` print, and how they end."""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click

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


def run_and_print(root: Path, targets: Sequence[str], pool_jobs: tuple[str, ...], keep_going: bool, force: bool) -> int:
    """The exit code of a local run: 0, 1 if a stage failed, 130 if it was interrupted."""
    from flows.local_run import run_locally
    from flows.pools import read_limits

    limits = read_limits(pool_jobs)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    started = time.monotonic()
    try:
        outcomes = run_locally(
            root, targets, limits=limits, keep_going=keep_going, force=force, tell=print_line, done=print_outcome
        )
    except KeyboardInterrupt:
        click.echo("interrupted; what is finished is in the cache, and the next run goes on from there", err=True)
        return 130
    return print_summary(outcomes, time.monotonic() - started, again(targets))


def again(targets: Sequence[str]) -> str:
    """The command that goes on after a failure."""
    return " ".join(["groundreel run", *targets, *(["--local"] if "--local" in sys.argv else [])])


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
    click.echo(f"what is finished is kept; mend the cause and go on with `{command}`", err=True)
    return 1
