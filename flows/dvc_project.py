"""A workspace as DVC sees it: stages, what changed, and the lock file. DVC's internals are used in `flows/dvc_*.py` only.

DVC is not safe for threads, so every use of a project goes through `exclusively`: one thread of this process at a time,
and the lock on the repository against other processes, for which it waits.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.fs import AuthError, ConfigError
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.stage import PipelineStage, create_stage
from dvc.stage.cache import StageCache
from dvc.stage.loader import StageLoader

from flows.errors import RunError, UsageError
from flows.graph import Graph, StageSpec, read_meta


def one_line(error: BaseException) -> str:
    """The texts of an exception and of its causes, on one line."""
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        text = " ".join(str(cause).split())
        if text and not any(text in other for other in texts):
            texts.append(text)
        cause = cause.__cause__
    return ": ".join(texts) or type(error).__name__


logging.getLogger("dvc").setLevel(logging.WARNING)


class _RunCache(StageCache):  # type: ignore[misc]
    """DVC's run cache for any working directory: DVC itself expects `dvc.yaml` in the current one."""

    def _create_stage(self, cache: dict[str, Any], wdir: str | None = None) -> PipelineStage:
        path = f"{self.repo.root_dir}/dvc.yaml"
        outs = [out["path"] for out in cache["outs"]]
        stage = create_stage(PipelineStage, repo=self.repo, path=path, cmd=cache["cmd"], wdir=wdir, outs=outs)
        StageLoader.fill_from_lock(stage, cache)
        return stage


def _failures() -> tuple[type[Exception], ...]:
    """What DVC raises or lets through: failures of the disk, of its databases, and of a remote."""
    known = (DvcException, AuthError, ConfigError, OSError, sqlite3.Error)
    s3 = sys.modules.get("botocore.exceptions")
    return (*known, s3.BotoCoreError, s3.ClientError) if s3 else known


@contextmanager
def one_line_errors(what: str) -> Iterator[None]:
    """Turns failures of DVC, of the disk and of a remote into one line that begins with `what`."""
    try:
        yield
    except _failures() as error:
        room = "; make room, then run again" if _is_full(error) else ""
        raise RunError(f"{what}: {one_line(error)}{room}") from error


def _is_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__
    return False


def shared_config(repo: Repo) -> dict[str, Any]:
    """DVC settings for another workspace that uses this one's cache, by links."""
    kept = {name: section for name, section in repo.config.items() if name in ("core", "remote")}
    return {**kept, "cache": {"dir": repo.cache.local_cache_dir, "type": ["hardlink", "copy"]}}


class DvcProject:
    """An open workspace; close it with `close` or use it as a context.

    Args:
        root: folder with `dvc.yaml` and `.dvc`.
        config: DVC settings that override those of the files.

    Raises:
        UsageError: no DVC repository, or `dvc.yaml` does not parse; one line.
    """

    def __init__(self, root: Path, config: dict[str, Any] | None = None) -> None:
        self.root = root.resolve()
        self._turn = threading.RLock()
        self._depth = 0
        try:
            self.repo = Repo(str(root), config=config, _wait_for_lock=True)
            self.repo.stage_cache = _RunCache(self.repo)
            with self.exclusively():
                self._load()
        except DvcException as error:
            raise UsageError(f"{root}: {one_line(error)}") from error

    def _load(self) -> None:
        graph = get_active_graph(self.repo.index.graph)
        roots = [stage for stage in self.repo.index.stages if Path(stage.path) == self.root / "dvc.yaml"]
        ordered = [stage for stage in plan_repro(graph, roots) if isinstance(stage, PipelineStage) and not stage.frozen]
        elsewhere = [stage.relpath for stage in ordered if Path(stage.path) != self.root / "dvc.yaml"]
        if elsewhere:
            raise UsageError(
                f"{elsewhere[0]}: its stages are not frozen; only the stages of dvc.yaml are run: `dvc freeze` them"
            )
        self.stages: dict[str, PipelineStage] = {stage.name: stage for stage in ordered}
        self.graph = Graph(
            self._spec(stage, {getattr(other, "name", "") for other in graph.successors(stage)}) for stage in ordered
        )

    def relative(self, path: str) -> str:
        """A path of DVC's as seen from the root; one outside stays absolute."""
        return Path(path).relative_to(self.root).as_posix() if Path(path).is_relative_to(self.root) else path

    def _spec(self, stage: PipelineStage, upstream: set[str]) -> StageSpec:
        command = stage.cmd if isinstance(stage.cmd, str) else " ".join(stage.cmd)
        module = next((word for word in command.split() if word.startswith("tasks.")), "")
        outs = [(self.relative(out.fs_path), out) for out in stage.outs]
        return StageSpec(
            name=stage.name,
            description=stage.desc or "",
            system=module.split(".")[1] if module.count(".") >= 2 else "",
            meta=read_meta(stage.name, stage.meta),
            folder=self.relative(stage.wdir),
            upstream=tuple(name for name in self.stages if name in upstream),
            inputs=tuple(self.relative(dep.fs_path) for dep in stage.deps),
            outputs=tuple(path for path, _ in outs),
            metrics=tuple(path for path, out in outs if out.metric),
            figures=tuple(path for path, out in outs if out.plot),
            uncached=tuple(path for path, out in outs if not out.use_cache),
            persisted=tuple(path for path, out in outs if out.persist and not out.use_cache and out.is_in_repo),
        )

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """This thread alone, and no other DVC process, works on the repository; waits for both."""
        with self._turn:
            if self._depth == 0:
                self.repo.lock.lock()
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.repo.lock.unlock()

    def changes(self, name: str) -> list[str]:
        """Why a stage would run, as short phrases; empty if it is up to date."""
        with self.exclusively(), one_line_errors(name):
            found = self.stages[name].status()
        reasons: list[str] = []
        for entry in next(iter(found.values()), []):
            if isinstance(entry, str):
                reasons.append({"changed checksum": "command changed"}.get(entry, entry))
                continue
            for kind, items in entry.items():
                noun = "input" if kind == "changed deps" else "output"
                for path, how in items.items():
                    parameters = how if isinstance(how, dict) else {}
                    reasons += [f"parameter {key} {word}" for key, word in parameters.items()] or [f"{noun} {path} {how}"]
        return reasons

    def close(self) -> None:
        """Releases the databases."""
        self.repo.close()

    def __enter__(self) -> DvcProject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
