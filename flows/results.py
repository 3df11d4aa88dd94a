"""The end of a run: what is finished comes into the user's tree, the lock file last and by rename."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from flows.dvc_lock_file import write_lock_file
from flows.dvc_project import DvcProject, one_line_errors
from flows.dvc_stage_run import bring_outputs
from flows.errors import RunError
from flows.graph import Graph
from flows.inputs import files_in
from flows.persisted import bring_persisted
from flows.stage_run import Outcome
from flows.workspace import Snapshot, head_commit, lock_bytes


def bring_results(
    project: DvcProject, workspace: Path, graph: Graph, snapshot: Snapshot, outcomes: Sequence[Outcome]
) -> None:
    """Outputs, metrics and figures of all finished stages, then the lock file.

    Stages that failed keep what they had. If a kill comes in between, the lock file is still the old one and the next run
    goes on from the cache.

    Raises:
        RunError: the tree moved to another commit or its lock file changed meanwhile; nothing is brought then, and the
            results wait in the cache.
    """
    finished = [outcome for outcome in outcomes if outcome.succeeded]
    if not finished:
        return
    root = project.root
    with project.exclusively(), one_line_errors("bringing the results into the tree"):
        if head_commit(root) != snapshot.head or lock_bytes(root) != snapshot.lock:
            raise RunError(
                f"{root}: the commit or dvc.lock changed during the run, so nothing was brought into the tree; "
                "`groundreel run --local` takes the results from the cache"
            )
        for outcome in finished:
            bring_outputs(project, graph[outcome.stage], outcome.entry)
            for path in graph[outcome.stage].uncached:
                if path in graph[outcome.stage].persisted:
                    bring_persisted(root, workspace, path)
                else:
                    _bring(workspace, root, path)
        write_lock_file(root / "dvc.lock", {outcome.stage: outcome.entry for outcome in finished})


def _bring(workspace: Path, root: Path, path: str) -> None:
    """Brings a file or a folder that DVC's cache does not hold; files that are no longer made in the folder go."""
    made = files_in(workspace, workspace / path)
    for name in sorted(made):
        _copy(workspace / name, root / name)
    for name in files_in(root, root / path) - made if made else ():
        (root / name).unlink()


def _copy(source: Path, target: Path) -> None:
    """Brings a file by rename; nothing happens if the target is equal."""
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.copyfile(source, unfinished)
    unfinished.replace(target)
