"""Graphs of one prompt from several sources as one, with the origin of each item.

An item is a triplet, an attribute, or an object that has none of them, at one tick. All items are kept, but those that
contradict an item of a more trusted source at that tick. The most trusted source loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.dysen.checks.predicate_conflicts import conflicts
from tasks.dysen.gold_sources.gold_merge_events import ToldEvent, merge_events
from tasks.dysen.gold_sources.gold_origins import Origin, Outcome
from tasks.dysen.graphs.dynamic_scene_graph import (
    MOST_ITEMS,
    Attribute,
    DynamicSceneGraph,
    Event,
    SceneGraph,
    Triplet,
    scene_graph,
)
from tasks.dysen.graphs.event_grammar import format_event, format_item
from tasks.dysen.graphs.events_to_graphs import graphs_of

Item = Triplet | Attribute | str


class Merged(NamedTuple):
    """A graph, and an entry for each event and item of its sources."""

    graph: DynamicSceneGraph
    origins: tuple[Origin, ...]


@dataclass
class _Refused:
    sources: list[str]
    outcome: Outcome
    against: str = ""


@dataclass
class _Tick:
    """The items of one tick, each with its sources, most trusted first."""

    kept: dict[Item, list[str]] = field(default_factory=dict)
    refused: dict[Item, _Refused] = field(default_factory=dict)

    def triplets(self) -> list[Triplet]:
        return [item for item in self.kept if isinstance(item, Triplet)]

    def add(self, items: Iterable[Item], source: str) -> None:
        """Takes the items of the next source, which is less trusted than those before."""
        trusted = self.triplets()
        room = MOST_ITEMS // 2 if self.kept else MOST_ITEMS * 3  # an item has two objects at most
        for item in items:
            rival = next((other for other in trusted if isinstance(item, Triplet) and conflicts(item, other)), None)
            if item in self.kept:
                self.kept[item].append(source)
            elif item in self.refused:
                self.refused[item].sources.append(source)
            elif rival is not None:
                self.refused[item] = _Refused([source], "contradiction", format_item(rival))
            elif len(self.kept) >= room:
                self.refused[item] = _Refused([source], "full")
            else:
                self.kept[item] = [source]

    def graph(self) -> SceneGraph:
        attributes = [item for item in self.kept if isinstance(item, Attribute)]
        return scene_graph(self.triplets(), attributes, [item for item in self.kept if isinstance(item, str)])


def merge_sources(graphs: Sequence[DynamicSceneGraph]) -> Merged:
    """One graph with the events and items of all; its source names theirs, such as "captions+frames".

    Of events with the same triplet that touch or overlap, those of the most trusted source count. An event of another
    source that cannot be planned at one of its ticks, since that would be a contradiction, is left out.

    Args:
        graphs: of the same prompt, the most trusted source first; one or more, each with a source of its own and, at each
            tick, what its events plan.

    Raises:
        ValueError: prompts differ, or a source stands twice.
        ValidationError: the sources have too many events together.
    """
    prompts, sources = {graph.prompt for graph in graphs}, [graph.source for graph in graphs]
    if len(prompts) != 1 or len(set(sources)) < len(sources):
        raise ValueError(f"graphs of {len(prompts)} prompts, and of the sources {', '.join(sources)}")
    ticks = [_Tick() for _ in range(max(len(graph.ticks) for graph in graphs))]
    for graph in graphs:
        for tick, told in zip(ticks, graph.ticks, strict=False):
            tick.add(_items(told), graph.source)
    events = merge_events(graphs, [tick.triplets() for tick in ticks])
    kept = [entry.event for entry in events if entry.outcome == "kept"]
    _plan(kept, events, ticks)
    merged = DynamicSceneGraph(
        prompt=graphs[0].prompt,
        events=tuple(sorted(kept, key=lambda event: (event.start, event.end))),
        ticks=tuple(tick.graph() for tick in ticks),
        source="+".join(sorted(sources)),
    )
    return Merged(merged, _origins(merged.prompt, events, ticks, len(graphs)))


def _items(graph: SceneGraph) -> list[Item]:
    related = {name for item in graph.triplets for name in (item.subject, item.object)}
    related |= {item.object for item in graph.attributes}
    return [*graph.triplets, *graph.attributes, *(name for name in graph.objects if name not in related)]


def _plan(kept: Sequence[Event], events: Sequence[ToldEvent], ticks: Sequence[_Tick]) -> None:
    """Adds what the merged events plan for their last tick and no source has there, since its events went on."""
    for tick, planned in zip(ticks, graphs_of(kept), strict=False):
        for triplet in planned.triplets:
            if triplet not in tick.kept:
                tick.kept[triplet] = next(list(entry.sources) for entry in events if entry.event.triplet == triplet)


def _origins(prompt: str, events: Sequence[ToldEvent], ticks: Sequence[_Tick], sources: int) -> tuple[Origin, ...]:
    def origin(tick: int, item: str, by: Sequence[str], outcome: Outcome = "kept", against: str = "") -> Origin:
        return Origin(
            prompt=prompt,
            tick=tick,
            item=item,
            sources=tuple(by),
            agreement=round(len(by) / sources, 4),
            outcome=outcome,
            against=against,
        )

    found = [
        origin(entry.event.start, format_event(entry.event), entry.sources, entry.outcome, entry.against) for entry in events
    ]
    for number, tick in enumerate(ticks):
        found += [origin(number, _text(item), by) for item, by in tick.kept.items()]
        found += [origin(number, _text(item), no.sources, no.outcome, no.against) for item, no in tick.refused.items()]
    return tuple(found)


def _text(item: Item) -> str:
    return f"({item})" if isinstance(item, str) else format_item(item)
