"""What `dvc.yaml` says of the stages: what they read and write, what of that the page shows, and where they run."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.common.errors import UserError
from tasks.common.parameters import read_yaml

_TABLES = PurePosixPath("reports/tables")
_STORYBOARDS = PurePosixPath("reports/storyboards")
_TEMPLATE = re.compile(r"\$\{([A-Za-z0-9_.]+)\}")


@dataclass(frozen=True)
class PipelineStage:
    """One stage; paths are as written in `dvc.yaml`, templates filled from the parameters."""

    name: str
    description: str
    pool: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    metrics: tuple[str, ...]
    figures: tuple[str, ...]
    tables: tuple[str, ...]
    storyboards: tuple[str, ...]


def _fill(text: str, parameters: dict[str, Any], where: Path) -> str:
    def value(match: re.Match[str]) -> str:
        found: Any = parameters
        for part in match[1].split("."):
            if not isinstance(found, dict) or part not in found:
                raise UserError(f"{where}: ${{{match[1]}}} is not in the parameter file; add it there")
            found = found[part]
        return str(found)

    return _TEMPLATE.sub(value, text)


def _is_table(output: PurePosixPath) -> bool:
    return output.parent == _TABLES and output.suffix == ".json"


def _instances(name: str, stage: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, values of `item`) of each stage that an entry of `dvc.yaml` stands for: one, or one per cell of its matrix."""
    matrix: dict[str, list[Any]] = stage.get("matrix", {})
    for cell in itertools.product(*matrix.values()):
        yield f"{name}@{'-'.join(map(str, cell))}" if matrix else name, dict(zip(matrix, cell, strict=True))


def _read_stage(name: str, stage: dict[str, Any], parameters: dict[str, Any], where: Path) -> PipelineStage:
    def paths(kind: str) -> tuple[str, ...]:
        entries = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in stage.get(kind, [])]
        return tuple(_fill(entry, parameters, where) for entry in entries)

    outputs, metrics, figures = paths("outs"), paths("metrics"), paths("plots")
    return PipelineStage(
        name=name,
        description=stage.get("desc", ""),
        pool=stage.get("meta", {}).get("pool", "cpu"),
        inputs=paths("deps"),
        outputs=outputs + metrics + figures,
        metrics=metrics,
        figures=figures,
        tables=tuple(output for output in outputs if _is_table(PurePosixPath(output))),
        storyboards=tuple(output for output in outputs if PurePosixPath(output) == _STORYBOARDS),
    )


def read_pipeline(path: Path, parameters: dict[str, Any]) -> list[PipelineStage]:
    """The stages in the order of the file, a matrix cell by cell."""
    entries = read_yaml(path)["stages"].items()
    stages = []
    for key, stage in entries:
        for name, item in _instances(key, stage):
            stages.append(_read_stage(name, stage, {**parameters, "item": item}, path))
    return stages


def produces(output: str, needed: str) -> bool:
    """Whether a file or folder `output` is, holds, or lies in `needed`."""
    made, read = PurePosixPath(output), PurePosixPath(needed)
    return made == read or made in read.parents or read in made.parents


def stage_edges(stages: list[PipelineStage]) -> set[tuple[str, str]]:
    """(upstream, downstream) pairs, as DVC derives them from outputs and inputs."""
    return {
        (upstream.name, downstream.name)
        for upstream in stages
        for downstream in stages
        if any(produces(output, needed) for output in upstream.outputs for needed in downstream.inputs)
    }


def source_inputs(stages: list[PipelineStage]) -> dict[str, list[str]]:
    """Inputs that no stage makes, without code, and the stages that read each."""
    found: dict[str, list[str]] = {}
    for stage in stages:
        for needed in stage.inputs:
            made = any(produces(output, needed) for other in stages for output in other.outputs)
            if not made and not needed.startswith("tasks/") and not needed.endswith(".yaml"):
                found.setdefault(needed, []).append(stage.name)
    return found
