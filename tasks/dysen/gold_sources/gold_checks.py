"""How good gold graphs from frames and captions are, on clips whose graphs are known exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.common.progress import track
from tasks.dysen.gold_sources.gold_annotations import Telling
from tasks.dysen.gold_sources.gold_captions import caption_graph
from tasks.dysen.gold_sources.gold_frames import phrases_of_all
from tasks.dysen.gold_sources.gold_merge import Merged, merge_sources
from tasks.dysen.gold_sources.gold_sprites import SpriteGold
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, SceneGraph, scene_graph
from tasks.dysen.graphs.spatial_predicates import SPATIAL_PREDICATES
from tasks.dysen.scores.graph_metrics import GraphCounts, count_matches
from tasks.dysen.scores.planning_reliability import count_events
from tasks.dysen.scores.term_matching import MatchCounts
from tasks.spriteworld.clips import render_clip

_KINDS = ("triplets", "objects", "attributes")


class Checked(NamedTuple):
    """What frames and captions of each clip tell together, and how good it is, by source."""

    merged: list[Merged]
    metrics: dict[str, dict[str, float]]


@dataclass
class Agreement:
    """Sums over graphs of one source against the exact ones."""

    all_items: GraphCounts = field(default_factory=GraphCounts)
    planned: GraphCounts = field(default_factory=GraphCounts)
    spatial: GraphCounts = field(default_factory=GraphCounts)
    events: MatchCounts = field(default_factory=MatchCounts)
    reliabilities: list[float] = field(default_factory=list)

    def add(self, found: DynamicSceneGraph, exact: DynamicSceneGraph) -> None:
        """Counts one more graph."""
        self.all_items += count_matches(found.ticks, exact.ticks)
        self.planned += count_matches(_only(found, spatial=False), _only(exact, spatial=False))
        self.spatial += count_matches(_only(found, spatial=True), _only(exact, spatial=True))
        events = count_events(found.events, exact.events)
        self.events += events
        self.reliabilities.append(events.recall)

    def metrics(self) -> dict[str, float]:
        """Precision and recall of items, of triplets of both kinds, and how reliable the events are, from 0 to 1."""
        counts: Mapping[str, MatchCounts] = {
            **{kind: getattr(self.all_items, kind) for kind in _KINDS},
            "event_triplets": self.planned.triplets,
            "spatial_triplets": self.spatial.triplets,
        }
        measured = {
            f"{kind}_{measure}": getattr(of_kind, measure)
            for kind, of_kind in counts.items()
            for measure in ("precision", "recall")
        }
        reliability = math.fsum(self.reliabilities) / max(1, len(self.reliabilities))
        return {**measured, "planning_reliability": reliability, "events_precision": self.events.precision}


def _only(graph: DynamicSceneGraph, *, spatial: bool) -> list[SceneGraph]:
    return [
        scene_graph(item for item in tick.triplets if (item.predicate in SPATIAL_PREDICATES) == spatial)
        for tick in graph.ticks
    ]


def size_of(graphs: Sequence[DynamicSceneGraph]) -> dict[str, int]:
    """How many graphs, events, objects, attributes and triplets there are, the latter three summed over ticks."""
    ticks = [tick for graph in graphs for tick in graph.ticks]
    return {
        "graphs": len(graphs),
        "events": sum(len(graph.events) for graph in graphs),
        "objects": sum(len(tick.objects) for tick in ticks),
        "attributes": sum(len(tick.attributes) for tick in ticks),
        "triplets": sum(len(tick.triplets) for tick in ticks),
    }


def check_clips(golds: Sequence[SpriteGold], telling: Telling) -> Checked:
    """Renders clips, and tells their graphs from captions, from frames and from both, as if nothing else were known.

    Args:
        golds: clips with their exact graphs.
        telling: how videos become graphs.
    """
    prompts = [gold.graph.prompt for gold in golds]
    told = telling.parser(prompts, telling.last_tick) if prompts else []
    asked = phrases_of_all(prompts) if prompts else []
    agreements: dict[str, Agreement] = {}
    merged = []
    rows = zip(golds, told, asked, strict=True)
    for gold, events, phrases in track(rows, "gold: clips", len(golds)):
        captions = caption_graph(gold.graph.prompt, events, telling.last_tick)
        frames = telling.frames.graph(gold.graph.prompt, render_clip(gold.clip), phrases)
        merged.append(merge_sources([frames, captions]))
        for graph in (captions, frames, merged[-1].graph):
            agreements.setdefault(graph.source, Agreement()).add(graph, gold.graph)
    return Checked(merged, {source: agreement.metrics() for source, agreement in agreements.items()})
