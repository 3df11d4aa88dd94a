"""Stage `graph_view`: graph sequences as pictures for the report, with what enrichment added and frames where there are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from PIL import Image
from pydantic import Field

from tasks.common import stage
from tasks.common.errors import UserError
from tasks.common.names import safe_name
from tasks.common.parameters import Section
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, read_graphs
from tasks.dysen.pictures.graph_picture import GraphPicture, save_pictures
from tasks.dysen.pictures.svg_elements import Frames
from tasks.dysen.planning.planner_names import PlannerName
from tasks.lvd.prompt_sets import SET_NAME


class Parameters(Section):
    """Which graph sequences the report shows."""

    planner: PlannerName = Field(description="whose graphs are drawn")
    sets: list[Annotated[str, Field(pattern=SET_NAME)]] = Field(max_length=100, description="sets of captions, in order")
    most_per_set: int = Field(ge=0, le=100, description="graphs of each set, the first ones that were enriched")


@dataclass(frozen=True)
class Paths:
    """Graphs, enriched graphs and frames of clips in, a folder of pictures out."""

    graphs: Path
    enriched: Path
    clips: Path
    out: Path


def frames_of(clips: Path, prompt: str) -> Frames | None:
    """The square frames that stand side by side in the clip of a prompt; None if it has no clip.

    Raises:
        UserError: the clip is no such picture.
    """
    path = clips / f"{safe_name(prompt)}.png"
    if not path.is_file():
        return None
    try:
        with Image.open(path, formats=["PNG"]) as image:
            strip = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a PNG picture ({type(error).__name__}); run the stage `gold` again") from None
    side, width = strip.shape[:2]
    if width % side:
        raise UserError(f"{path}: {width} x {side} pixels are no row of square frames; run the stage `gold` again")
    return np.stack(np.split(strip, width // side, axis=1))


def _graphs(folder: Path, planner: str, name: str) -> dict[str, DynamicSceneGraph]:
    path = folder / planner / f"{name}.jsonl"
    return {graph.prompt: graph for graph in read_graphs(path)} if path.is_file() else {}


def _pictures(parameters: Parameters, paths: Paths) -> Iterator[GraphPicture]:
    """Enriched sequences come first, for they show most."""
    for name in parameters.sets:
        planned = _graphs(paths.graphs, parameters.planner, name)
        enriched = _graphs(paths.enriched, parameters.planner, name)
        prompts = sorted(planned, key=lambda prompt: prompt not in enriched)
        for prompt in prompts[: parameters.most_per_set]:
            yield GraphPicture(planned[prompt], enriched.get(prompt), frames_of(paths.clips, prompt))


def draw_graph_sequences(project: Any, paths: Paths) -> stage.Metrics:
    """Writes the pictures."""
    save_pictures(paths.out, _pictures(project.graph_view, paths))
    return {}


if __name__ == "__main__":
    sys.exit(stage.main("graph_view", Paths, draw_graph_sequences))
