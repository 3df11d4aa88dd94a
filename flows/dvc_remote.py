"""Inputs and results that travel between machines through the default DVC remote.

The run that asks sends the inputs of a stage; the worker fetches them into a clone of its own, runs, and sends outputs
and its run-cache entry; the run that asked then takes the result over by that entry. It stays the only writer of the lock.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dvc.fs import HTTPFileSystem, RemoteMissingDepsError
from dvc.repo import Repo
from dvc.utils.serialize import dumps_yaml
from filelock import FileLock

from flows.dvc_project import DvcProject, one_line_errors, shared_config
from flows.dvc_run_cache import newest_entry, send_entry
from flows.dvc_stage_run import lock_entry, note_inputs
from flows.dvc_transfer import fetch, send
from flows.errors import RunError, UsageError
from flows.git import git, has_commit
from flows.graph import StageSpec
from flows.run import Run
from flows.workspace import RUNS_FOLDER, make_workspace, share_with


def check_remote(project: DvcProject, stages: Iterable[StageSpec]) -> None:
    """Refuses what cannot work with workers on other machines, before anything runs.

    Raises:
        UsageError: no default remote, one without a run cache, or a stage whose result cannot be taken over.
        RunError: the remote does not answer.
    """
    name = project.repo.config["core"].get("remote")
    if not name:
        raise UsageError("workers on other machines need a default DVC remote; `dvc remote add --default NAME URL`")
    try:
        with one_line_errors(f"DVC remote {name}"):
            store = project.repo.cloud.get_remote_odb()
            if isinstance(store.fs, HTTPFileSystem):
                raise UsageError(f"DVC remote {name}: DVC keeps no run cache on http; take another remote")
            store.fs.exists(store.path)
    except (ImportError, RemoteMissingDepsError) as error:
        raise UsageError(f"DVC remote {name}: {error}; for S3: `pip install dvc-s3`") from None
    for stage in stages:
        obstacle = _obstacle(project, stage.name)
        if obstacle:
            raise UsageError(f"{stage.name}: cannot run on another machine: {obstacle}; set `meta: {{pool: cpu}}`")


def _obstacle(project: DvcProject, name: str) -> str | None:
    """Why DVC's run cache cannot hold a stage."""
    stage = project.stages[name]
    if stage.always_changed or not stage.deps or not stage.outs:
        return "it has no deps, no outs, or `always_changed`"
    for out in stage.outs:
        path = project.relative(out.fs_path)
        if out.persist:
            return f"its output {path} has `persist`"
        if not (out.use_cache or out.is_metric or out.is_plot):
            return f"its output {path} has `cache: false` and is no metric and no plot"
        if not out.is_in_repo:
            return f"its output {path} is outside of the project"
    return None


def _as_cached(project: DvcProject, name: str, entry: dict[str, Any]) -> list[Any]:
    """The outputs of a lock entry, metrics included, all of them in the cache."""
    folder = project.root / project.graph[name].folder
    stage = project.repo.stage_cache._create_stage(entry, wdir=str(folder))
    return list(stage.outs)


def _is_input(project: DvcProject, name: str, out: Any) -> bool:
    path = Path(out.fs_path)
    inputs = [Path(dep.fs_path) for dep in project.stages[name].deps]
    return any(path == other or path in other.parents or other in path.parents for other in inputs)


def _inputs(project: DvcProject, name: str) -> list[Any]:
    """What a stage needs from DVC: outputs of the stages before it, and of `dvc add`."""
    own = {id(stage) for stage in project.stages.values()}
    outs = [out for out in project.repo.index.outs if out.use_cache and id(out.stage) not in own]
    for other in project.graph[name].upstream:
        outs += _as_cached(project, other, lock_entry(project, other))
    return [out for out in outs if _is_input(project, name, out)]


def _put_metrics_into_cache(project: DvcProject, name: str) -> None:
    """Inputs of a stage that DVC leaves to git are not in its cache if the stage that made them was up to date."""
    for other in project.graph[name].upstream:
        for out in project.repo.stage_cache._uncached_outs(project.stages[other], lock_entry(project, other)):
            if _is_input(project, name, out):
                out.commit()


def send_inputs(run: Run, stage: StageSpec) -> str:
    """Sends a stage's inputs and the frozen commit; returns a lock file's text for the worker.

    It says what the stages before made, and which inputs this stage must find.

    Raises:
        RunError: an input is missing, or the remote or git's origin does not take it.
    """
    project, name = run.project, stage.name
    what = f"{name}: sending inputs"
    with project.exclusively(), one_line_errors(what):
        note_inputs(project.stages[name])
        own = lock_entry(project, name)
        entries = {other: lock_entry(project, other) for other in stage.upstream}
        entries[name] = {key: value for key, value in own.items() if key != "outs"}
        _put_metrics_into_cache(project, name)
        send(project, what, _inputs(project, name))
        if "origin" in git(run.root, "remote").split():
            run_id = hashlib.sha256(f"{platform.node()}:{run.root}".encode()).hexdigest()[:12]
            git(run.root, "push", "--quiet", "--force", "origin", f"{run.snapshot.commit}:refs/groundreel/{run_id}")
    return str(dumps_yaml({"schema": "2.0", "stages": entries}))


def adopt(run: Run, stage: StageSpec) -> dict[str, Any]:
    """Takes a worker's result over, by its run-cache entry; the stage's entry for the lock file.

    Raises:
        RunError: the remote has no result for the inputs that this run has, or not all of it.
    """
    project, name = run.project, stage.name
    what = f"{name}: fetching the result"
    with project.exclusively(), one_line_errors(what):
        note_inputs(project.stages[name])
        entry = newest_entry(project, name)
        if entry is None:
            raise RunError(f"{name}: the worker's result is not in the DVC remote, or was made from other inputs")
        fetch(project, what, _as_cached(project, name, entry))
        project.stages[name].save()
        project.stages[name].commit()
        return lock_entry(project, name)


@contextmanager
def remote_workspace(clone: Path, stage: str, commit: str, lock: str) -> Iterator[DvcProject]:
    """On the worker: the stage's inputs in a frozen workspace of its own clone.

    Raises:
        RunError: the commit or an input cannot be had, or is not what it is where the run is.
    """
    runs = clone.resolve() / RUNS_FOLDER
    runs.mkdir(exist_ok=True)
    folder = runs / f"remote-{stage}"
    with FileLock(f"{folder}.lock"):
        with FileLock(runs / "remote.lock"):  # stages of one run, each in a folder of its own, share the repository
            _fetch_commit(clone, stage, commit)
            make_workspace(clone, folder, commit)
        (folder / "dvc.lock").write_text(lock, encoding="utf-8")
        with one_line_errors(f"{stage}: {clone}"), closing(Repo(str(clone))) as own:
            config = shared_config(own)
        with DvcProject(folder, config) as project:
            spec = project.graph[stage]
            check_remote(project, [spec])
            outside = project.graph.select([stage]).outside_inputs()
            share_with(clone, folder, [path for path in outside if path in spec.inputs])
            _fetch_inputs(project, stage)
            yield project


def _fetch_commit(clone: Path, stage: str, commit: str) -> None:
    if has_commit(clone, commit):
        return
    try:
        git(clone, "fetch", "--quiet", "--no-tags", "origin", commit)
    except RunError as error:
        raise RunError(f"{stage}: the run's commit is not in the origin of the worker's clone {clone} ({error})") from None


def _fetch_inputs(project: DvcProject, name: str) -> None:
    what = f"{name}: fetching inputs"
    with project.exclusively(), one_line_errors(what):
        fetch(project, what, _inputs(project, name))
        for dep in project.stages[name].deps:
            found = dep.status()
            if found:
                path = project.relative(dep.fs_path)
                how = "is missing" if "deleted" in found.values() else "differs"
                raise RunError(
                    f"{name}: {path} {how} on the worker: neither git nor DVC brings it; `dvc add {path}` where the run is"
                )


def publish_results(project: DvcProject, name: str) -> None:
    """On the worker: sends the outputs, then the run-cache entry that names them.

    Raises:
        RunError: the remote does not take them.
    """
    what = f"{name}: sending results"
    with project.exclusively(), one_line_errors(what):
        send(project, what, _as_cached(project, name, lock_entry(project, name)))
        send_entry(project, name)
