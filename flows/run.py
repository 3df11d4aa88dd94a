"""What every run shares, with or without Prefect: its frozen workspace, its logs, and bringing the results home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from flows.dvc_project import DvcProject, shared_config
from flows.graph import Graph
from flows.persisted import additions_kept, lend
from flows.results import bring_results
from flows.stage_run import Outcome
from flows.workspace import (
    RUNS_FOLDER,
    Snapshot,
    head_commit,
    lock_bytes,
    make_workspace,
    one_run_at_a_time,
    share_with,
    take_snapshot,
)

WORKSPACE = f"{RUNS_FOLDER}/workspace"


@dataclass(frozen=True)
class Wishes:
    """How a run goes about its stages.

    `keep_going`: after a failure, go on with stages that do not need the failed one; `force`: run stages even if nothing
    changed; `remote_workers`: workers are on other machines; `limits`: stages at a time, by pool.
    """

    keep_going: bool = False
    force: bool = False
    remote_workers: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run of the stages in `graph`. `project` is its frozen workspace, or the user's tree itself if nothing changed."""

    root: Path
    tree: DvcProject
    project: DvcProject
    graph: Graph
    snapshot: Snapshot
    logs: Path

    def log(self, stage: str) -> Path:
        """The file for a stage's output."""
        return self.logs / f"{stage}.log"

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Brings what is finished into the user's tree."""
        if self.project is not self.tree:
            bring_results(self.tree, self.project.root, self.graph, self.snapshot, outcomes)


@contextmanager
def open_workspace(root: Path) -> Iterator[DvcProject]:
    """The frozen workspace of a project as DVC sees it, on the project's cache."""
    with DvcProject(root) as project:
        config = shared_config(project.repo)
    with DvcProject(root / WORKSPACE, config) as frozen:
        yield frozen


@contextmanager
def open_run(root: Path, targets: Sequence[str], wishes: Wishes, *, wait: bool = False) -> Iterator[Run]:
    """Freezes the project and yields the run; no other run can begin meanwhile.

    Args:
        root: the project.
        targets: stages or systems; everything if empty.
        wishes: how the run goes about its stages.
        wait: wait for another run to end instead of failing.

    Raises:
        RunError: another run is at work.
        UsageError: a target or the pipeline file is wrong.
    """
    logs = root / RUNS_FOLDER / "logs" / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    with one_run_at_a_time(root, wait=wait), additions_kept(root, root / WORKSPACE), DvcProject(root) as tree:
        graph = tree.graph.select(targets)
        if not wishes.force and not any(tree.changes(stage.name) for stage in graph):
            head = head_commit(root)
            yield Run(root, tree, tree, graph, Snapshot(head, head, lock_bytes(root)), logs)
            return
        snapshot = take_snapshot(root)
        make_workspace(root, root / WORKSPACE, snapshot.commit)
        with DvcProject(root / WORKSPACE, shared_config(tree.repo)) as frozen:
            graph = frozen.graph.select(targets)
            share_with(root, frozen.root, graph.outside_inputs())
            lend(root, frozen.root, [path for stage in graph for path in stage.persisted])
            logs.mkdir(parents=True, exist_ok=True)
            yield Run(root, tree, frozen, graph, snapshot, logs)
