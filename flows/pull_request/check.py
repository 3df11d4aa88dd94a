"""Judges the working tree against its merge base with another branch: `python -m flows.pull_request.check`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from flows.errors import RunError, UsageError
from flows.pull_request.comment import amount, comment, printable
from flows.pull_request.freshness import MEND
from flows.pull_request.verdict import Verdict, reach_verdict

_OURS = {"after", "before", "charts", "comment.md", "verdict.json"}


def write(out: Path, unfinished: Path, verdict: Verdict, text: str) -> None:
    """Comment and verdict beside the pictures in `unfinished`, which then takes the place of `out`."""
    (unfinished / "comment.md").write_text(text, encoding="utf-8")
    (unfinished / "verdict.json").write_text(verdict.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if out.exists():
        shutil.rmtree(out)
    unfinished.replace(out)


def tell(verdict: Verdict, out: Path) -> None:
    """The verdict in a few lines."""
    failed = [item for item in verdict.findings if not item.passed]
    changed = sum(item.changed for item in verdict.findings)
    lock = "could not be judged" if verdict.stale is None else "fresh"
    if verdict.stale:
        lock = f"stale for {', '.join(map(printable, verdict.stale))}: {MEND}"
    click.echo(f"merge base  {verdict.base[:12]}")
    click.echo(f"dvc.lock    {lock}")
    click.echo(f"metrics     {len(verdict.findings)} gated: {changed} changed, {len(failed)} failed")
    for item in failed:
        sides = f"{amount(item.old)} → {amount(item.new)}"
        click.echo(f"            {printable(item.file)} {printable(item.key)} {sides}: {item.remark}")
    click.echo(f"parameters  {len(verdict.parameters)} changed")
    click.echo(f"pictures    {len(verdict.pictures)} changed, {len(verdict.charts)} charts")
    for line in (*verdict.remarks, *verdict.problems, *verdict.mistakes):
        click.echo(f"            {printable(line, 400)}")
    click.echo(f"verdict     {'passed' if verdict.passed else 'failed'}; {out}/comment.md")


def _prepared(out: Path) -> Path:
    """An empty folder beside `out` for what is being made."""
    if (out.is_dir() and not {path.name for path in out.iterdir()} <= _OURS) or out.is_file():
        raise UsageError(f"--out {out}: holds other files; name a new folder")
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    return unfinished


@click.command(context_settings={"auto_envvar_prefix": "PULL_REQUEST"})
@click.option("--base", default="origin/main", show_default=True, help="Branch that the pull request is for.")
@click.option(
    "--out", default=".runs/pull_request", show_default=True, type=click.Path(path_type=Path), help="Folder for the results."
)
@click.option(
    "--before-url", default="before", help="Address of the figures at the merge base; {commit} becomes the commit."
)
@click.option("--after-url", default="after", help="Address of the figures of this branch; {commit} becomes the commit.")
def main(base: str, out: Path, before_url: str, after_url: str) -> None:
    """Judges this project's working tree against its merge base with another branch.

    Writes comment.md, verdict.json and pictures. Ends with 0 if it passes, 1 if not, 2 for a mistake of the user's.
    """
    try:
        unfinished = _prepared(out)
        verdict = reach_verdict(Path.cwd(), base, unfinished)
        write(out, unfinished, verdict, comment(verdict, before_url, after_url))
    except (UsageError, RunError, OSError) as error:
        click.echo(f"pull request check: {error}", err=True)
        sys.exit(1 if isinstance(error, RunError) else 2)
    tell(verdict, out)
    sys.exit(2 if verdict.mistakes else 0 if verdict.passed else 1)


if __name__ == "__main__":
    main()
