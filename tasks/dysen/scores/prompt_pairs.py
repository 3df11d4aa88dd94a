"""Predicted graphs beside the gold ones of the same prompts, whatever their order, a few at a time in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph

Pair = tuple[DynamicSceneGraph | None, DynamicSceneGraph | None]
"""Predicted and gold: without a predicted one, the prompt was set aside; without a gold one, nobody asked for it."""


def paired(predicted: Iterable[DynamicSceneGraph], gold: Iterable[DynamicSceneGraph]) -> Iterator[Pair]:
    """Each predicted and each gold graph once; of several with the same prompt, the first goes with the first.

    Both are read side by side, and what waits for its partner is kept: in the same order that is about as much as one of
    them lacks.
    """
    waiting: tuple[_Waiting, _Waiting] = ({}, {})
    for graphs in zip_longest(predicted, gold):
        for graph, side in zip(graphs, waiting, strict=True):
            if graph is not None:
                side.setdefault(graph.prompt, deque()).append(graph)
        for prompt in dict.fromkeys(graph.prompt for graph in graphs if graph is not None):
            while all(prompt in side for side in waiting):
                mine, true = (_next(side, prompt) for side in waiting)
                yield mine, true
    yield from ((graph, None) for graphs in waiting[0].values() for graph in graphs)
    yield from ((None, graph) for graphs in waiting[1].values() for graph in graphs)


_Waiting = dict[str, deque[DynamicSceneGraph]]


def _next(side: _Waiting, prompt: str) -> DynamicSceneGraph:
    graph = side[prompt].popleft()
    if not side[prompt]:
        del side[prompt]
    return graph
