"""What DVC does around a stage's command: is it up to date, is the result in the run cache, and recording a new one.

`begin` and `record` hold DVC's lock; the command runs between them without it. A result is recorded only if no input
moved in between: DVC itself would store the new inputs' hashes beside the old inputs' result, in the lock file and in
the run cache.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.stage.cache import RunCacheNotFoundError
from dvc.stage.run import _enforce_cmd_list, _make_cmd, get_executable, prepare_kwargs
from dvc.stage.serialize import to_single_stage_lockfile

from flows.dvc_project import DvcProject, one_line_errors
from flows.errors import RunError
from flows.graph import StageSpec

UNCHANGED, CACHED, RAN = "Unchanged", "Cached", "Ran"

Hashes = dict[str, Any]


@dataclass(frozen=True)
class Commands:
    """What to run for a stage: argument lists, one after the other, in `folder`; `inputs` are the hashes before it."""

    commands: list[list[str]]
    folder: str
    environment: dict[str, str]
    inputs: Hashes


def _bring_back(stage: Any) -> bool:
    """Whether the outputs are there as recorded, those that were missing taken from the cache."""
    wrong = [out for out in stage.outs if out.status()]
    if any(not out.use_cache or out.changed_cache() for out in wrong):
        return False
    for out in wrong:
        out.checkout(force=True)
    return True


def _restore(stage: Any) -> bool:
    """Whether an earlier run with the same command, inputs and parameters gave its outputs."""
    try:
        stage.repo.stage_cache.restore(stage)
    except RunCacheNotFoundError:
        return False
    stage.save(run_cache=_may_use_run_cache(stage))
    stage.commit()
    return True


def _may_use_run_cache(stage: Any) -> bool:
    return all(out.use_cache or out.is_metric or out.is_plot for out in stage.outs)


def note_inputs(stage: Any) -> None:
    """Takes the inputs as they are now. Outputs that the lock file names for other inputs are forgotten.

    Otherwise a second attempt would find the new inputs beside the old outputs and take them for up to date.
    """
    before = _input_hashes(stage, fresh=False)
    try:
        stage.save_deps()
    finally:
        if stage.changed_stage() or _input_hashes(stage, fresh=False) != before:
            for out in stage.outs:
                out.clear()


def begin(project: DvcProject, name: str, *, force: bool = False) -> str | Commands:
    """`UNCHANGED` or `CACHED` if the outputs are there now, else what to run; the old outputs are then gone.

    Args:
        project: the workspace; waits for its lock.
        name: the stage.
        force: run in any case.

    Raises:
        RunError: an input is missing or unreadable, or the disk is full.
    """
    with project.exclusively(), one_line_errors(name):
        stage = project.stages[name]
        if not force and not stage.changed_stage() and not stage.changed_deps() and _bring_back(stage):
            return UNCHANGED
        stage.remove_outs(ignore_remove=False, force=False)
        note_inputs(stage)
        if not force and _restore(stage):
            return CACHED
        for out in stage.outs:  # the user's tree may have empty folders that git does not bring into the workspace
            Path(out.fs_path).parent.mkdir(parents=True, exist_ok=True)
        settings = prepare_kwargs(stage)
        shell = get_executable()
        commands = [_make_cmd(shell, command) for command in _enforce_cmd_list(stage.cmd)]
        return Commands(commands, os.fspath(settings["cwd"]), settings["env"], _input_hashes(stage, fresh=False))


def _input_hashes(stage: Any, *, fresh: bool) -> Hashes:
    return {str(dep): (dep.get_hash() if fresh else dep.hash_info).value for dep in stage.deps}


def record(project: DvcProject, name: str, before: Commands) -> None:
    """Takes the outputs into the cache and remembers them for the lock file and the run cache.

    Raises:
        RunError: an input moved since `begin`, so that nothing is recorded; an output is missing; the disk is full.
    """
    with project.exclusively(), one_line_errors(name):
        stage = project.stages[name]
        after = _input_hashes(stage, fresh=True)
        moved = [path for path, value in after.items() if value != before.inputs.get(path)]
        if moved:
            raise RunError(
                f"{name}: {', '.join(moved)} changed while the stage ran; its result is not kept. "
                "Leave the inputs alone and run again"
            )
        stage.save(run_cache=_may_use_run_cache(stage))
        stage.commit()


def lock_entry(project: DvcProject, name: str) -> dict[str, Any]:
    """What the lock file says of a stage that is up to date."""
    entry: dict[str, Any] = to_single_stage_lockfile(project.stages[name])
    return entry


def bring_outputs(project: DvcProject, spec: StageSpec, entry: dict[str, Any]) -> None:
    """Puts the outputs that `entry` names into the workspace, from the cache; those that are there already stay.

    Raises:
        RunError: an object is not in the cache, or the disk is full.
    """
    with project.exclusively(), one_line_errors(spec.name):
        stage = project.repo.stage_cache._create_stage(entry, wdir=os.fspath(project.root / spec.folder))
        for out in stage.outs:
            if project.relative(out.fs_path) not in spec.uncached:
                if out.workspace_status():
                    out.checkout(force=True)
                out.ignore()
