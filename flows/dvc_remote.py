"""Inputs and results that travel between machines through the default DVC remote.

The run that asks sends the inputs of a stage; the worker fetches them into a clone of its own, runs, and sends outputs
and its run-cache entry; the run that asked then finds the result in its run cache. It stays the only writer of the lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from flows.dvc_project import DvcProject, one_line_errors
from flows.dvc_stage_run import Commands, begin, lock_entry
from flows.errors import RunError, UsageError
from flows.git import git, has_commit
from flows.graph import StageSpec
from flows.run import Run
from flows.workspace import RUNS_FOLDER, SNAPSHOT_REF, make_workspace, share_with


def check_remote(project: DvcProject) -> None:
    """Refuses a run with remote workers in a project without a default remote."""
    if not project.repo.config["core"].get("remote"):
        raise UsageError("workers on other machines need a default DVC remote; `dvc remote add --default NAME URL`")


def _as_cached(project: DvcProject, name: str, entry: dict[str, Any]) -> Any:
    """A stage with the outputs of a lock entry, metrics included, all of them in the cache."""
    folder = project.root / project.graph[name].folder
    return project.repo.stage_cache._create_stage(entry, wdir=str(folder))


def _objects(stages: Iterable[Any]) -> set[Any]:
    return {found for stage in stages for objects in stage.get_used_objs().values() for found in objects}


def _push(project: DvcProject, name: str, entry: dict[str, Any]) -> None:
    stage = project.stages[name]
    for out in project.repo.stage_cache._uncached_outs(stage, entry):
        out.commit()
    failed = project.repo.cloud.push(_objects([_as_cached(project, name, entry)])).failed
    if failed:
        raise RunError(f"{name}: {len(failed)} objects could not be sent to the DVC remote")


def send_inputs(run: Run, stage: StageSpec) -> str:
    """Sends what the stages before `stage` made, and the frozen commit; returns the lock file's text for the worker."""
    with run.project.exclusively(), one_line_errors(f"{stage.name}: sending inputs"):
        entries = {name: lock_entry(run.project, name) for name in stage.upstream}
        for name, entry in entries.items():
            _push(run.project, name, entry)
    if "origin" in git(run.root, "remote").split():
        git(run.root, "push", "--quiet", "--force", "origin", f"{run.snapshot.commit}:{SNAPSHOT_REF}")
    return json.dumps({"schema": "2.0", "stages": entries})  # JSON is YAML


def adopt(run: Run, stage: StageSpec) -> dict[str, Any]:
    """Takes a worker's result over, by its run-cache entry; the stage's entry for the lock file."""
    with run.project.exclusively(), one_line_errors(f"{stage.name}: fetching the result"):
        run.project.repo.stage_cache.pull(None)
        if isinstance(begin(run.project, stage.name, pull=True), Commands):
            raise RunError(f"{stage.name}: the worker's result is not in the DVC remote, or was made from other inputs")
        return lock_entry(run.project, stage.name)


@contextmanager
def remote_workspace(clone: Path, stage: str, commit: str, lock: str) -> Iterator[DvcProject]:
    """On the worker: the stage's inputs in a frozen workspace of its own clone."""
    folder = clone / RUNS_FOLDER / f"remote-{stage}"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not has_commit(clone, commit):
            git(clone, "fetch", "--quiet", "origin", f"+{SNAPSHOT_REF}:{SNAPSHOT_REF}")
        make_workspace(clone, folder, commit)
        (folder / "dvc.lock").write_text(lock, encoding="utf-8")
        with DvcProject(clone) as own:
            config = own.shared_config()
        with DvcProject(folder, config) as project:
            check_remote(project)
            share_with(clone, folder, project.graph.select([stage]).outside_inputs())
            _fetch_inputs(project, stage)
            yield project


def _fetch_inputs(project: DvcProject, name: str) -> None:
    with project.exclusively(), one_line_errors(f"{name}: fetching inputs"):
        before = project.graph[name].upstream
        stages = [_as_cached(project, other, lock_entry(project, other)) for other in before]
        project.repo.cloud.pull(_objects(stages))
        for stage in stages:
            for out in stage.outs:
                if out.workspace_status():
                    out.checkout(force=True)


def publish_results(project: DvcProject, name: str) -> None:
    """On the worker: sends the outputs and the run-cache entry."""
    with project.exclusively(), one_line_errors(f"{name}: sending results"):
        _push(project, name, lock_entry(project, name))
        project.repo.stage_cache.push(None)
