"""What every run shares, with or without Prefect: its frozen workspace, its logs, and bringing the results home."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.dvc_project import DvcProject
from flows.graph import Graph
from flows.results import bring_results
from flows.stage_run import Outcome
from flows.workspace import (
    RUNS_FOLDER,
    Snapshot,
    make_workspace,
    one_run_at_a_time,
    share_with,
    take_snapshot,
    workspace_config,
)


@dataclass(frozen=True)
class Run:
    """A run in its frozen workspace; `graph` holds the stages to bring up to date."""

    root: Path
    project: DvcProject
    graph: Graph
    snapshot: Snapshot
    logs: Path

    def log(self, stage: str) -> Path:
        """The file for a stage's output."""
        return self.logs / f"{stage}.log"

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Brings what is finished into the user's tree."""
        bring_results(self.root, self.project.root, self.graph, self.snapshot, outcomes)


def needed_from_outside(graph: Graph) -> list[str]:
    """Inputs that no stage makes."""
    made = [Path(path) for stage in graph for path in stage.outputs]
    return sorted(
        {
            path
            for stage in graph
            for path in stage.inputs
            if not any(out == Path(path) or out in Path(path).parents or Path(path) in out.parents for out in made)
        }
    )


@contextmanager
def open_run(root: Path, targets: Sequence[str]) -> Iterator[Run]:
    """Freezes the project and yields the run; no other run can begin meanwhile.

    Raises:
        RunError: another run is at work.
        UsageError: a target or the pipeline file is wrong.
    """
    with one_run_at_a_time(root), DvcProject(root) as project:
        project.graph.select(targets)
        snapshot = take_snapshot(root)
        workspace = root / RUNS_FOLDER / "workspace"
        make_workspace(root, workspace, snapshot.commit)
        config = workspace_config(project.repo.config, project.cache_folder())
        with DvcProject(workspace, config) as frozen:
            graph = frozen.graph.select(targets)
            share_with(root, workspace, needed_from_outside(graph))
            logs = root / RUNS_FOLDER / "logs" / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
            yield Run(root, frozen, graph, snapshot, logs)
