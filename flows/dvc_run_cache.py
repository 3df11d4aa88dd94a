"""One stage's entry of DVC's run cache, sent to and found in the default remote; DVC itself moves the whole run cache.

An entry says which outputs a stage gave for its command, inputs and parameters. Its folder is named by a hash of those.
"""

from __future__ import annotations

import copy
from typing import Any

from dvc.fs import generic, localfs
from dvc.stage.cache import _get_cache_hash, _get_stage_hash

from flows.dvc_project import DvcProject
from flows.dvc_stage_run import lock_entry

_HASH_NAME = "md5-dos2unix"  # DVC keeps the run cache beside the objects of this hash


def _remote_folder(project: DvcProject, key: str) -> tuple[Any, str]:
    """The remote's file system, and the folder of the entries for a key."""
    store = project.repo.cloud.get_remote_odb(None, "run", hash_name=_HASH_NAME)
    return store.fs, store.fs.join(store.path, "runs", key[:2], key)


def send_entry(project: DvcProject, name: str) -> None:
    """Sends the entry of a stage that is up to date; it is then the remote's newest."""
    key, value = _get_stage_hash(project.stages[name]), _get_cache_hash(lock_entry(project, name))
    remote, folder = _remote_folder(project, key)
    generic.copy(localfs, project.repo.stage_cache._get_cache_path(key, value), remote, remote.join(folder, value))


def newest_entry(project: DvcProject, name: str) -> dict[str, Any] | None:
    """The remote's newest entry for a stage whose inputs are saved; None if there is none."""
    key = _get_stage_hash(project.stages[name])
    remote, folder = _remote_folder(project, key)
    remote.fs.invalidate_cache()  # other machines write there
    files = remote.find(folder) if remote.exists(folder) else []
    whole = [path for path in files if len(remote.name(path)) == len(key)]
    if not whole:
        return None
    newest = max(whole, key=remote.modified)
    local, value = project.repo.stage_cache, remote.name(newest)
    generic.copy(remote, newest, localfs, local._get_cache_path(key, value))
    entry: dict[str, Any] | None = local._load_cache(key, value)
    return entry if entry and _get_cache_hash(copy.deepcopy(entry), key=True) == key else None
