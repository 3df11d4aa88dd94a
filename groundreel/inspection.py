"""What `groundreel fsck` and `groundreel explain` print."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from flows.inspection.cache_check import check_cache, describe
from flows.inspection.cache_repair import repair
from flows.inspection.hashes import cache_folder
from flows.inspection.lineage import Lineage, lines
from flows.inspection.locked_stages import locked_stages
from tasks.common.progress import track


def check_and_print(root: Path, mend: bool) -> bool:
    """Whether the cache was found healthy; what is damaged is set aside if `mend`."""
    stages, cache = locked_stages(root), cache_folder(root)
    state = check_cache(cache, stages, lambda verdicts, total: track(verdicts, "objects of the cache", total))
    for line in describe(state, root):
        click.echo(line)
    if state.healthy:
        return True
    if mend:
        for line in repair(root, cache, state, stages):
            click.echo(line)
    else:
        click.echo("`groundreel fsck --repair` sets damaged files aside and puts back what the workspace has")
    return False


def print_lineage(root: Path, file: Path, check: bool) -> None:
    """The chain that made a file, as a tree."""
    with Console(stderr=True).status("reading dvc.lock") as status:
        tree = Lineage(root, check=check, tell=lambda path: status.update(f"reading {path}")).explain(file)
    for line in lines(tree):
        click.echo(line)
