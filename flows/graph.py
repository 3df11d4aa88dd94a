"""The DAG as the runners see it: stages, what each needs, and where it should run. Pure data; `dvc_project` reads it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.errors import UsageError


class StageMeta(BaseModel):
    """What `meta` of a stage in `dvc.yaml` may say."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    pool: str = Field("cpu", pattern=r"^[a-z][a-z0-9-]*$", description="work pool; `cpu` runs in place")
    gpus: int = Field(1, ge=1, le=64, description="cards that the stage takes when its pool is `gpu`")
    timeout_s: float | None = Field(None, gt=0, description="seconds after which the stage is stopped and fails")
    retries: int = Field(0, ge=0, le=100, description="further attempts after a failure")


def read_meta(stage: str, meta: Mapping[str, Any] | None) -> StageMeta:
    """The validated `meta` of a stage.

    Raises:
        UsageError: an unknown key or a value out of range, with the keys that exist.
    """
    try:
        return StageMeta.model_validate(dict(meta or {}))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        known = ", ".join(StageMeta.model_fields)
        raise UsageError(
            f"dvc.yaml: stages.{stage}.meta.{field}: {first['msg'][:1].lower()}{first['msg'][1:]}; known keys: {known}"
        ) from None


@dataclass(frozen=True)
class StageSpec:
    """One stage of the DAG; paths are relative to the project's root.

    `uncached` outputs are in git, not in DVC's cache; the stage adds to those that are `persisted` too (`flows.persisted`).
    """

    name: str
    description: str
    system: str
    meta: StageMeta
    folder: str
    upstream: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    metrics: tuple[str, ...]
    figures: tuple[str, ...]
    uncached: tuple[str, ...]
    persisted: tuple[str, ...] = ()


class Graph:
    """The stages by name, in the order in which `dvc repro` would run them."""

    def __init__(self, stages: Iterable[StageSpec]) -> None:
        self.stages: dict[str, StageSpec] = {stage.name: stage for stage in stages}

    def __iter__(self) -> Iterator[StageSpec]:
        return iter(self.stages.values())

    def __len__(self) -> int:
        return len(self.stages)

    def __getitem__(self, name: str) -> StageSpec:
        return self.stages[name]

    def _named(self, target: str) -> list[str]:
        """Stages that a target means: a stage, all instances of a matrix stage, or all stages of a system."""
        if target in self.stages:
            return [target]
        instances = [name for name in self.stages if name.split("@")[0] == target]
        return instances or [stage.name for stage in self if stage.system == target]

    def select(self, targets: Iterable[str]) -> Graph:
        """The stages that the targets mean with all that they need; everything without targets.

        Raises:
            UsageError: a target means nothing; names the nearest.
        """
        wanted: list[str] = []
        for target in targets:
            named = self._named(target)
            if not named:
                known = [*self.stages, *{stage.system for stage in self}]
                near = difflib.get_close_matches(target, known, 1)
                hint = f"did you mean `{near[0]}`?" if near else "`groundreel plan` lists the stages"
                raise UsageError(f"{target}: no such stage or system in dvc.yaml; {hint}")
            wanted += named
        if not wanted:
            return self
        needed: set[str] = set()
        while wanted:
            name = wanted.pop()
            if name not in needed:
                needed.add(name)
                wanted += self.stages[name].upstream
        return Graph(stage for stage in self if stage.name in needed)

    def outside_inputs(self) -> list[str]:
        """Inputs that no stage makes."""
        made = [PurePosixPath(path) for stage in self for path in stage.outputs]
        needed = {PurePosixPath(path) for stage in self for path in stage.inputs}
        return sorted(
            str(path)
            for path in needed
            if not any(out == path or out in path.parents or path in out.parents for out in made)
        )
