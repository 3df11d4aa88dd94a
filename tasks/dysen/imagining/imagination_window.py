"""What one step of imagination sees of a graph sequence, and what gold sequences show of such a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.dysen.graphs.attributed_ticks import attributed_ticks
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, SceneGraph
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.graphs.graph_edits import Item
from tasks.dysen.imagining.detail_grammar import items_of

NOTHING = SceneGraph()


class Window(NamedTuple):
    """Three graphs in a row: all that a model sees of a sequence.

    Attributes:
        previous: the tick before, enriched; empty at the first tick.
        current: as planned, the one to enrich.
        following: as planned; empty at the last tick.
    """

    previous: SceneGraph
    current: SceneGraph
    following: SceneGraph


class Example(NamedTuple):
    """A step as gold has it: the caption, what is seen, and the details that belong to the current graph."""

    caption: str
    window: Window
    details: tuple[Item, ...]


def window_at(planned: Sequence[SceneGraph], tick: int, previous: SceneGraph) -> Window:
    """The window of a tick.

    Args:
        planned: the graphs of all ticks, not enriched.
        tick: one of them.
        previous: the enriched graph before it; not looked at for tick 0.
    """
    before = previous if tick else NOTHING
    after = planned[tick + 1] if tick + 1 < len(planned) else NOTHING
    return Window(before, planned[tick], after)


def example_of(gold: DynamicSceneGraph, attributed: bool = False) -> Example:
    """One step of a gold sequence: the middle one of the ticks that have details, the later one of two.

    It is the same for each tick that is asked about, so that a model reads it once. Details are what a gold tick has beside
    what is planned for it. A sequence without any gives an example of its first tick, without details.

    Args:
        gold: events and ticks.
        attributed: whether the planned ticks have attributes that names tell, or nothing but the triplets of events.
    """
    planned = attributed_ticks(gold.events) if attributed else graphs_of(gold.events)
    planned += (NOTHING,) * (len(gold.ticks) - len(planned))
    details = [_beside(tick, plan) for tick, plan in zip(gold.ticks, planned, strict=False)]
    ticks = [tick for tick, found in enumerate(details) if found]
    if not ticks:
        return Example(gold.prompt, window_at(planned or (NOTHING,), 0, NOTHING), ())
    middle = ticks[len(ticks) // 2]
    return Example(gold.prompt, window_at(planned, middle, gold.ticks[middle - 1]), details[middle])


def _beside(tick: SceneGraph, planned: SceneGraph) -> tuple[Item, ...]:
    plan = frozenset(items_of(planned))
    return tuple(item for item in items_of(tick) if item not in plan)
