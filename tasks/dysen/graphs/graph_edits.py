"""Changes of a dynamic scene graph: imagined triplets come in, single items are added, removed or replaced.

Each change is applied in code and logged with who asked for it. What the events plan for a tick is never removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.dysen.graphs.dynamic_scene_graph import (
    MOST_ITEMS,
    Attribute,
    DynamicSceneGraph,
    SceneGraph,
    Tick,
    Triplet,
    scene_graph,
)
from tasks.dysen.graphs.events_to_graphs import graphs_of

Item = Triplet | Attribute
Outcome = Literal["applied", "no-tick", "planned", "absent", "present", "full"]


class Edit(BaseModel):
    """One change of the scene graph at one tick; `replacement` is for "replace" only, `source` tells who asks for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: Literal["add", "remove", "replace"]
    tick: Tick
    item: Item
    replacement: Item | None = None
    source: str = Field(default="", max_length=200)

    @model_validator(mode="after")
    def _has_a_replacement_to_replace(self) -> Self:
        if (self.operation == "replace") == (self.replacement is None):
            raise ValueError("give a replacement to replace an item, and none otherwise")
        return self


class LoggedEdit(NamedTuple):
    """An edit and what became of it.

    Attributes:
        edit: as it was asked for.
        outcome: "applied", or why nothing changed: "no-tick", there is no such tick; "planned", an event plans the item to
            remove or replace; "absent", it is not there; "present", the item to add or put in its place is there
            already; "full", the graph has as many items as it may have.
    """

    edit: Edit
    outcome: Outcome


class Edited(NamedTuple):
    """The graph after its edits, and one entry for each edit in order."""

    graph: DynamicSceneGraph
    log: tuple[LoggedEdit, ...]


def merge(first: SceneGraph, second: SceneGraph) -> SceneGraph:
    """All objects, attributes and triplets of both.

    Raises:
        ValidationError: these are too many for one scene graph.
    """
    return scene_graph(
        (*first.triplets, *second.triplets), (*first.attributes, *second.attributes), (*first.objects, *second.objects)
    )


def additions(tick: int, items: Iterable[Item], source: str) -> list[Edit]:
    """Edits that merge these items into the graph of a tick.

    Raises:
        ValidationError: the tick or the source is out of bounds.
    """
    return [Edit(operation="add", tick=tick, item=item, source=source) for item in items]


def apply_edits(graph: DynamicSceneGraph, edits: Sequence[Edit]) -> Edited:
    """Applies edits in their order; one that cannot be applied changes nothing and is logged with the reason.

    An object goes with its last triplet and attribute, unless it stood alone before. Prompt, events and source are kept.
    """
    planned = graphs_of(graph.events)
    ticks = list(graph.ticks)
    log = []
    for edit in edits:
        if edit.tick >= len(ticks):
            log.append(LoggedEdit(edit, "no-tick"))
            continue
        kept = frozenset(planned[edit.tick].triplets if edit.tick < len(planned) else ())
        outcome = _outcome(ticks[edit.tick], edit, kept)
        if outcome == "applied":
            ticks[edit.tick] = _changed(ticks[edit.tick], edit)
        log.append(LoggedEdit(edit, outcome))
    return Edited(graph.model_copy(update={"ticks": tuple(ticks)}), tuple(log))


def _items(graph: SceneGraph) -> frozenset[Item]:
    return frozenset((*graph.triplets, *graph.attributes))


def _outcome(graph: SceneGraph, edit: Edit, planned: frozenset[Item]) -> Outcome:
    present = _items(graph)
    if edit.operation != "add" and edit.item in planned:
        return "planned"
    if edit.operation != "add" and edit.item not in present:
        return "absent"
    if edit.operation != "remove" and _added(edit) in present:
        return "present"
    if edit.operation != "remove" and _is_full(graph):
        return "full"
    return "applied"


def _added(edit: Edit) -> Item:
    return edit.item if edit.replacement is None else edit.replacement


def _is_full(graph: SceneGraph) -> bool:
    # an item brings two objects at most
    return max(len(graph.objects) + 2, len(graph.attributes) + 1, len(graph.triplets) + 1) > MOST_ITEMS


def _changed(graph: SceneGraph, edit: Edit) -> SceneGraph:
    before = scene_graph(graph.triplets, graph.attributes)
    alone = frozenset(graph.objects) - frozenset(before.objects)
    items = set(_items(graph))
    if edit.operation != "add":
        items.remove(edit.item)
    if edit.operation != "remove":
        items.add(_added(edit))
    triplets = [item for item in items if isinstance(item, Triplet)]
    attributes = [item for item in items if isinstance(item, Attribute)]
    return scene_graph(triplets, attributes, alone)
