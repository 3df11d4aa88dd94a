"""What a run would do: each stage with the reasons why it would run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.dvc_project import DvcProject
from flows.graph import StageSpec

UP_TO_DATE, CHANGED, PERHAPS = "up to date", "changed", "perhaps"


@dataclass(frozen=True)
class PlannedStage:
    """`state` is "up to date", "changed", or "perhaps": it depends on what a changed stage before it gives."""

    stage: StageSpec
    state: str
    reasons: tuple[str, ...]


def plan(root: Path, targets: Sequence[str]) -> list[PlannedStage]:
    """The stages that the targets mean, in the order of `dvc repro`, as the tree is now.

    Raises:
        UsageError: a target or the pipeline file is wrong.
    """
    planned: dict[str, PlannedStage] = {}
    with DvcProject(root) as project:
        for stage in project.graph.select(targets):
            reasons = tuple(project.changes(stage.name))
            before = [name for name in stage.upstream if planned[name].state != UP_TO_DATE]
            if reasons:
                planned[stage.name] = PlannedStage(stage, CHANGED, reasons)
            elif before:
                planned[stage.name] = PlannedStage(stage, PERHAPS, (f"after {', '.join(before)}",))
            else:
                planned[stage.name] = PlannedStage(stage, UP_TO_DATE, ())
    return list(planned.values())
