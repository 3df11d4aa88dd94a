"""`groundreel`: the commands, each of which imports what it needs when it is called."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from groundreel.import_commands import import_commands
from groundreel.one_line_errors import one_line_errors


def _project_root() -> Path:
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").is_file()), None)
    if root is None:
        raise click.UsageError(f"{here}: no dvc.yaml here or above; change into a clone of groundreel")
    return root


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
@one_line_errors
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
@click.option("--remote-workers", is_flag=True, help="Workers are on other machines and share the default DVC remote.")
@click.option("--dry-run", is_flag=True, help="Only show what would run.")
@one_line_errors
def run(
    targets: tuple[str, ...],
    local: bool,
    pool_jobs: tuple[str, ...],
    keep_going: bool,
    force: bool,
    remote_workers: bool,
    dry_run: bool,
) -> None:
    """Bring stages, and all that they need, up to date in parallel; all stages without arguments.

    Prefect shows the run and serves stages of other pools than cpu; --local needs neither server nor workers.
    """
    from flows.pools import read_limits
    from flows.run import Wishes
    from groundreel.runs import interruptible, print_plan, run_local, run_with_prefect

    root, wishes = _project_root(), Wishes(keep_going, force, remote_workers, read_limits(pool_jobs))
    if local and remote_workers:
        raise click.UsageError("--local has no workers; leave one of --local and --remote-workers out")
    if dry_run:
        print_plan(root, targets)
    elif local:
        sys.exit(interruptible(lambda: run_local(root, targets, wishes)))
    else:
        sys.exit(interruptible(lambda: run_with_prefect(root, targets, wishes)))


@main.command()
@one_line_errors
def deploy() -> None:
    """Make the work pools and deployments of prefect.yaml, and the automation that ends zombie runs."""
    from flows.prefect_runs.deploy import deploy as make

    for line in make(_project_root()):
        click.echo(line)


@main.command()
@click.argument("pool")
@one_line_errors
def worker(pool: str) -> None:
    """Serve a work pool from this clone, until Ctrl-C."""
    from flows.prefect_runs.worker import serve

    serve(_project_root(), pool)


@main.command()
@click.argument("name", type=click.Choice(["toy", "hub"]))
@click.option("--reset", is_flag=True, help="Also replace values that you changed in params.yaml.")
@one_line_errors
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
@one_line_errors
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
@one_line_errors
def doctor() -> None:
    """Check python, packages, disk, device and params.yaml; each finding comes with the command that mends it."""
    from groundreel.doctor import examine

    findings = examine(_project_root())
    for finding in findings:
        click.echo(f"{finding.level:8}{finding.subject:12}{finding.text}")
    if any(finding.level == "error" for finding in findings):
        sys.exit(2)


@main.command()
@click.option("--repair", is_flag=True, help="Set damaged files aside; put back those that the workspace has healthy.")
@one_line_errors
def fsck(repair: bool) -> None:
    """Check the DVC cache against its hashes, and that it has all that dvc.lock names.

    DVC trusts what is in its cache: a damaged file is delivered as it is, and `dvc status` calls it up to date.
    """
    from groundreel.inspection import check_and_print

    if not check_and_print(_project_root(), repair):
        sys.exit(1)


@main.command()
@click.argument("target", metavar="FILE|PROMPT")
@click.option("--no-check", is_flag=True, help="Only show the record; do not read the files to see what changed since.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Where to draw the graphs of a PROMPT.")
@one_line_errors
def explain(target: str, no_check: bool, svg: Path | None) -> None:
    """Show the chain that made FILE: stages, parameters, code and inputs, back to commits and your own data.

    Of a PROMPT such as "a red car drives to the right", show its layout, its graph of each tick, and whether the layout
    shows what the prompt says.
    """
    from groundreel.prompt_explanation import is_prompt, print_explanation

    root = _project_root()
    if is_prompt(root, target):
        print_explanation(root, target, svg)
    elif svg is not None:
        raise click.UsageError(f"--svg draws the graphs of a prompt; {target} is none")
    else:
        from groundreel.inspection import print_lineage

        print_lineage(root, Path(target), not no_check)


@main.group()
def lvd() -> None:
    """The LVD benchmark: 500 prompts, and rules that say whether layouts show what they want."""


@lvd.command("score")
@click.option("--replies", type=click.Path(path_type=Path), help="A reply cache of the original project.")
@click.option("--layouts", type=click.Path(path_type=Path), help="Layouts as JSON Lines.")
@click.option("--json", "as_json", is_flag=True, help="Counts of 500 per task as JSON.")
@one_line_errors
def lvd_score(replies: Path | None, layouts: Path | None, as_json: bool) -> None:
    """Score layouts by the published rules and by strict ones, side by side.

    The k-th layout of a prompt is judged at the k-th time the benchmark asks it; in a file of layouts, a prompt's only one
    serves every time.
    """
    from groundreel.layouts import print_scores, score_layouts, score_replies

    if replies is not None and layouts is None:
        print_scores(score_replies(replies), replies, as_json)
    elif layouts is not None and replies is None:
        print_scores(score_layouts(layouts), layouts, as_json)
    else:
        raise click.UsageError("give one of --replies FILE and --layouts FILE")


main.add_command(import_commands)


if __name__ == "__main__":
    main()
