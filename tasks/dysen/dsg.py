"""Stage `dsg`: events to a scene graph for each tick; each entity has one name, which tells its attributes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from tasks.common import stage
from tasks.common.errors import UserError
from tasks.common.files import complete, write_json
from tasks.common.parameters import Section
from tasks.common.provenance import made_by
from tasks.common.quarantine import Quarantine, check_bad_share, write_quarantine
from tasks.dysen.graphs.attributed_ticks import attributed_ticks
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, read_graphs
from tasks.dysen.graphs.entity_attributes import unify_entities
from tasks.dysen.graphs.graph_counts import GraphCounts


class Parameters(Section):
    """What may go wrong."""

    max_bad_fraction: float = Field(ge=0, le=1, description="captions of all planners whose graphs are too large, at most")


@dataclass(frozen=True)
class Paths:
    """Events in; scene graphs, what was set aside and metrics out."""

    events: Path
    out: Path
    quarantine: Path
    provenance: Path
    metrics: Path


def graph_of_events(planned: DynamicSceneGraph) -> DynamicSceneGraph:
    """The dynamic scene graph of a prompt and its events: entities unified, a graph with attributes for each tick.

    Without events there are no ticks.

    Raises:
        ValidationError: a tick would have too many items.
    """
    events = unify_entities(planned.events)
    return planned.model_copy(update={"events": events, "ticks": attributed_ticks(events)})  # all parts are checked


def _files(folder: Path) -> list[Path]:
    """PLANNER/SET.jsonl for each planner and set, sorted."""
    files = sorted(folder.glob("*/*.jsonl"))
    if not files:
        raise UserError(f"{folder}: no PLANNER/SET.jsonl in it; `dvc repro events` makes them")
    return files


def _graphs(file: Path, item: str, quarantine: Quarantine) -> Iterator[DynamicSceneGraph]:
    """The graphs of a file in its order; one that is too large keeps its events and has no ticks."""
    for number, planned in enumerate(read_graphs(file)):
        try:
            yield graph_of_events(planned)
        except ValidationError as error:
            quarantine.add(f"{item} {number}", "too-large", error.errors()[0]["msg"], planned.prompt)
            yield planned.model_copy(update={"ticks": ()})


def _write_set(file: Path, target: Path, item: str, quarantine: Quarantine) -> GraphCounts:
    counts = GraphCounts()
    target.parent.mkdir(exist_ok=True)
    with target.open("w", encoding="utf-8", newline="\n") as lines:
        for graph in _graphs(file, item, quarantine):
            counts.add(graph)
            lines.write(graph.model_dump_json() + "\n")
    return counts


def make_graphs(project: Any, paths: Paths) -> stage.Metrics:
    """Writes the graphs of every planner and set in the order of their events, and counts what is in them."""
    parameters: Parameters = project.dsg
    files = _files(paths.events)
    quarantine = Quarantine()
    metrics: dict[str, dict[str, dict[str, float]]] = {}
    with complete(paths.out, folder=True) as folder:
        for file in files:
            planner, name = file.parent.name, file.stem
            counts = _write_set(file, folder / planner / file.name, f"{planner} {name}", quarantine)
            metrics.setdefault(planner, {})[name] = counts.metrics()
        write_quarantine(quarantine.lines, paths.quarantine)
        total = sum(int(found["graphs"]) for sets in metrics.values() for found in sets.values())
        check_bad_share(len(quarantine.lines), total, parameters.max_bad_fraction, paths.quarantine)
    write_json(paths.provenance, made_by("tasks.dysen.dsg", {"dsg": parameters.model_dump()}))
    return metrics


if __name__ == "__main__":
    sys.exit(stage.main("dsg", Paths, make_graphs))
