"""What a picture of a graph sequence shows: entities, and each relation once from its first tick to its last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal, NamedTuple, get_args

from tasks.captions.scene import Region
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Event, SceneGraph, Triplet, triplet_key
from tasks.dysen.graphs.events_to_graphs import graphs_of

Kind = Literal["event", "relation", "added", "removed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SCENE = "scene"
"""The target of events that have none."""
PLACES = frozenset(get_args(Region)) | {"centre", "middle"}
MOST_ENTITIES = 10
MOST_BARS = 36


class Bar(NamedTuple):
    """A relation from tick `first` to `last`, both included; `linked` says whether its target is an entity that is shown."""

    triplet: Triplet
    first: int
    last: int
    kind: Kind
    linked: bool

    @property
    def text(self) -> str:
        """What it is called in its subject's lane."""
        return f"{self.triplet.predicate} {self.triplet.object}"


class Tag(NamedTuple):
    """An attribute, with the ticks that have it if it does not last as long as its entity."""

    text: str
    kind: Kind


class Entity(NamedTuple):
    """An entity; `present` says of each tick whether it is there: None, "relation" for planned, or "added"."""

    name: str
    present: tuple[Kind | None, ...]
    tags: tuple[Tag, ...]


class Timeline(NamedTuple):
    """What is shown, and how many entities and relations are not."""

    ticks: int
    entities: tuple[Entity, ...]
    bars: tuple[Bar, ...]
    more_entities: int
    more_relations: int


def timeline_of(planned: DynamicSceneGraph, enriched: DynamicSceneGraph | None = None) -> Timeline:
    """The timeline of a graph sequence, or of two that differ by what enrichment added and removed.

    Of more than `MOST_ENTITIES` those with events and most relations are shown; of more than `MOST_BARS` events come
    first, then what was added.

    Args:
        planned: without ticks, those that follow from its events count.
        enriched: the same graph after its enrichment.
    """
    before = planned.ticks or graphs_of(planned.events)
    after = before if enriched is None else enriched.ticks
    ticks = max(len(before), len(after))
    before, after = ((*graphs, *[SceneGraph()] * (ticks - len(graphs))) for graphs in (before, after))
    names = _entities(before, after)
    bars = list(_bars(before, after, frozenset(event.triplet for event in planned.events), names))
    shown = _most_told(names, bars, planned.events)
    kept = sorted((bar for bar in bars if bar.triplet.subject in shown), key=_importance)[:MOST_BARS]
    drawn = tuple(bar._replace(linked=bar.linked and bar.triplet.object in shown) for bar in kept)
    entities = tuple(_entity(name, before, after) for name in _in_order(shown, drawn, planned.events))
    return Timeline(ticks, entities, drawn, len(names) - len(shown), len(bars) - len(drawn))


def _entities(before: Sequence[SceneGraph], after: Sequence[SceneGraph]) -> list[str]:
    """All objects by first tick, without the scene and places that are nothing but targets."""
    graphs = [graph for pair in zip(after, before, strict=True) for graph in pair]
    acting = {item.subject for graph in graphs for item in graph.triplets}
    acting |= {item.object for graph in graphs for item in graph.attributes}
    objects = dict.fromkeys(name for graph in graphs for name in graph.objects)
    return [name for name in objects if name in acting or name not in PLACES | {SCENE}]


def _bars(
    before: Sequence[SceneGraph], after: Sequence[SceneGraph], events: frozenset[Triplet], names: Iterable[str]
) -> Iterator[Bar]:
    entities = frozenset(names)
    kinds: dict[Triplet, list[Kind | None]] = {}
    for tick, (old, new) in enumerate(zip(before, after, strict=True)):
        was, now = frozenset(old.triplets), frozenset(new.triplets)
        for triplet in was | now:
            of_plan: Kind = "event" if triplet in events else "relation"
            kind: Kind = of_plan if triplet in was & now else "added" if triplet in now else "removed"
            kinds.setdefault(triplet, [None] * len(before))[tick] = kind
    for triplet in sorted(kinds, key=triplet_key):
        linked = triplet.object in entities and triplet.object != triplet.subject
        for kind, first, last in _runs(kinds[triplet]):
            yield Bar(triplet, first, last, kind, linked)


def _runs(kinds: Sequence[Kind | None]) -> Iterator[tuple[Kind, int, int]]:
    """Each kind with the first and last tick of ticks in a row that have it."""
    for kind, group in groupby(range(len(kinds)), key=kinds.__getitem__):
        ticks = list(group)
        if kind is not None:
            yield kind, ticks[0], ticks[-1]


def _importance(bar: Bar) -> tuple[int, int, tuple[str, str, str], int]:
    order: Mapping[Kind, int] = {"event": 0, "added": 1, "relation": 2, "removed": 3}
    return (order[bar.kind], bar.first - bar.last, triplet_key(bar.triplet), bar.first)


def _most_told(names: Sequence[str], bars: Sequence[Bar], events: Sequence[Event]) -> frozenset[str]:
    told = dict.fromkeys(names, 0)
    for event in events:
        for name in {event.agent, event.target} & told.keys():
            told[name] += len(bars)
    for bar in bars:
        for name in {bar.triplet.subject, bar.triplet.object} & told.keys():
            told[name] += 1
    return frozenset(sorted(names, key=lambda name: -told[name])[:MOST_ENTITIES])


def _in_order(names: frozenset[str], bars: Sequence[Bar], events: Sequence[Event]) -> list[str]:
    """By the begin of their events; below the first, neighbours change places as long as that makes links shorter."""
    in_events = sorted(events, key=lambda event: (event.start, event.end))
    by_first_tick = sorted(bars, key=lambda bar: bar.first)
    ends = [name for event in in_events for name in (event.agent, event.target)]
    ends += [name for bar in by_first_tick for name in (bar.triplet.subject, bar.triplet.object)]
    order = list(dict.fromkeys(name for name in [*ends, *sorted(names)] if name in names))
    links = [(bar.triplet.subject, bar.triplet.object) for bar in bars if bar.linked]

    def length(trial: Sequence[str]) -> int:
        rows = {name: row for row, name in enumerate(trial)}
        return sum(abs(rows[one] - rows[other]) for one, other in links)

    for _ in order:
        for row in range(1, len(order) - 1):
            trial = [*order[:row], order[row + 1], order[row], *order[row + 2 :]]
            if length(trial) < length(order):
                order = trial
    return order


def _entity(name: str, before: Sequence[SceneGraph], after: Sequence[SceneGraph]) -> Entity:
    present: list[Kind | None] = []
    for old, new in zip(before, after, strict=True):
        present.append(
            "relation" if name in new.objects and name in old.objects else "added" if name in new.objects else None
        )
    return Entity(name, tuple(present), tuple(_tags(name, before, after)))


def _tags(name: str, before: Sequence[SceneGraph], after: Sequence[SceneGraph]) -> Iterator[Tag]:
    was, now = ([_attributes(name, graph) for graph in graphs] for graphs in (before, after))
    there = [name in graph.objects for graph in after]
    for attribute in sorted(frozenset().union(*was, *now)):
        planned, kept = any(attribute in found for found in was), any(attribute in found for found in now)
        kind: Kind = "removed" if not kept else "relation" if planned else "added"
        having = [kind if attribute in found else None for found in (now if kept else was)]
        spans = ", ".join(_span(first, last) for _, first, last in _runs(having))
        yield Tag(attribute if all(having) or [*map(bool, having)] == there else f"{attribute} {spans}", kind)


def _attributes(name: str, graph: SceneGraph) -> frozenset[str]:
    return frozenset(item.attribute for item in graph.attributes if item.object == name)


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"
