"""`groundreel`: the commands, each of which imports what it needs when it is called."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import click

Arguments = ParamSpec("Arguments")


def _project_root() -> Path:
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").is_file()), None)
    if root is None:
        raise click.UsageError(f"{here}: no dvc.yaml here or above; change into a clone of groundreel")
    return root


def _one_line_errors(command: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """A user's mistake is one line and exit code 2; a failure one line and exit code 1."""

    @functools.wraps(command)
    def wrapped(*arguments: Arguments.args, **named: Arguments.kwargs) -> None:
        from flows.errors import RunError, UsageError
        from tasks.common.errors import StageError, UserError

        try:
            command(*arguments, **named)
        except (UserError, UsageError, StageError, RunError) as error:
            click.echo(f"groundreel: {error}", err=True)
            sys.exit(2 if isinstance(error, UserError | UsageError) else 1)

    return wrapped


def _print_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from groundreel.version import version_line

        click.echo(version_line())
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Version and commit."
)
def main() -> None:
    """Grounded video generation in one reproducible pipeline. `dvc repro` runs it; these commands help."""


@main.command()
@click.argument("targets", nargs=-1, metavar="[STAGE|SYSTEM]...")
@_one_line_errors
def plan(targets: tuple[str, ...]) -> None:
    """Show the DAG: stage, pool, up to date or not, and why."""
    from groundreel.runs import print_plan

    print_plan(_project_root(), targets)


@main.command()
@click.argument("targets", nargs=-1, metavar="[STAGE|SYSTEM]...")
@click.option("--local", is_flag=True, help="Run in parallel on this machine, without Prefect.")
@click.option("--pool-jobs", multiple=True, metavar="POOL=N", help="Stages of a pool at a time, such as gpu=1. Repeatable.")
@click.option("--keep-going", is_flag=True, help="After a failure, go on with stages that do not need the failed one.")
@click.option("--force", is_flag=True, help="Run stages even if nothing changed.")
@click.option("--dry-run", is_flag=True, help="Only show what would run.")
@_one_line_errors
def run(
    targets: tuple[str, ...], local: bool, pool_jobs: tuple[str, ...], keep_going: bool, force: bool, dry_run: bool
) -> None:
    """Bring stages, and all that they need, up to date in parallel; all stages without arguments.

    Prefect shows the run and serves stages of other pools than cpu; --local needs neither server nor workers.
    """
    from groundreel.runs import print_plan, run_and_print

    root = _project_root()
    if dry_run:
        print_plan(root, targets)
    else:
        sys.exit(run_and_print(root, targets, pool_jobs, keep_going, force))


@main.command()
@click.argument("name", type=click.Choice(["toy", "hub"]))
@click.option("--reset", is_flag=True, help="Also replace values that you changed in params.yaml.")
@_one_line_errors
def profile(name: str, reset: bool) -> None:
    """Switch params.yaml to a profile: toy (CPU, embedded world) or hub (real checkpoints, GPU).

    Comments stay, and so do values that you changed yourself, unless --reset is given.
    """
    from groundreel.profiles import switch_profile

    root = _project_root()
    for kept in switch_profile(root / "params.yaml", root / "profiles", name, reset=reset):
        click.echo(f"kept your own value: {kept}")
    click.echo(f"params.yaml now follows profile {name}; `dvc repro` runs what that changes")


@main.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write the page.")
@_one_line_errors
def report(out: Path | None) -> None:
    """Write reports/index.html from the metrics and figures that are there."""
    from tasks.common.parameters import load_parameters
    from tasks.parameters import ProjectParameters
    from tasks.report.report import Paths, make_report

    root = _project_root()
    target = (out or root / "reports" / "index.html").resolve()
    with contextlib.chdir(root):
        make_report(load_parameters(Path("params.yaml"), ProjectParameters), Paths(Path("dvc.yaml"), target))
    click.echo(f"open {target}")


@main.command()
@_one_line_errors
def doctor() -> None:
    """Check python, packages, disk, device and params.yaml; each finding comes with the command that mends it."""
    from groundreel.doctor import examine

    findings = examine(_project_root())
    for finding in findings:
        click.echo(f"{finding.level:8}{finding.subject:12}{finding.text}")
    if any(finding.level == "error" for finding in findings):
        sys.exit(2)


if __name__ == "__main__":
    main()
