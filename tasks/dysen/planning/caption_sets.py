"""The captions of a set, by name: gold graphs in the folder of gold, or a file in the folder of prompts."""

from __future__ import annotations

from pathlib import Path

from tasks.dysen.graphs.dynamic_scene_graph import read_graphs
from tasks.lvd.prompt_sets import prompts_of


def captions_of(name: str, gold: Path, prompts: Path, parameter: str) -> list[str]:
    """The captions of a set in order.

    Args:
        name: of NAME.jsonl in `gold`, or of NAME.txt or NAME.jsonl in `prompts`.
        gold: folder of gold graphs.
        prompts: folder of prompts.
        parameter: that names the set, for errors.

    Raises:
        UserError: no such set, or a file that cannot be read.
    """
    graphs = gold / f"{name}.jsonl"
    return [graph.prompt for graph in read_graphs(graphs)] if graphs.is_file() else prompts_of(name, prompts, parameter)
