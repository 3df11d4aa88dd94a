"""A planner's file of graphs against gold: its events, the part of its graphs that a plan can tell, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, read_graphs
from tasks.dysen.scores.event_scores import EventScores, planned_part
from tasks.dysen.scores.graph_scores import GraphScores, KeptVectors, Matching, Terms, all_matchings, terms_of
from tasks.dysen.scores.prompt_pairs import Pair, paired
from tasks.dysen.scores.term_matching import TextEncoder

_AT_ONCE = 8
_FALLBACK = "fallback"  # the stage `events` says so in a graph's source


@dataclass
class PlannerScores:
    """What is known of a planner's graphs."""

    graphs: GraphScores
    events: EventScores = field(default_factory=EventScores)
    answered: int = 0
    fallbacks: int = 0
    not_in_gold: int = 0

    def add(self, predicted: DynamicSceneGraph | None, gold: DynamicSceneGraph | None, terms: Terms) -> None:
        """Adds a caption, or counts what nobody asked for; a caption without a predicted graph has nothing predicted.

        `terms` are those of both graphs.
        """
        if gold is None:
            self.not_in_gold += 1
            return
        self.answered += predicted is not None
        mine = predicted or _NOTHING
        self.fallbacks += _FALLBACK in mine.source
        self.events.add(mine.events, gold.events)
        self.graphs.add(planned_part(mine.events, mine.ticks), planned_part(gold.events, gold.ticks), terms)

    def metrics(self) -> dict[str, Any]:
        """Counts of captions, and what events and graphs are worth."""
        counts = {name: getattr(self, name) for name in ("answered", "fallbacks", "not_in_gold")}
        return {"captions": self.events.captions, **counts, **self.events.metrics(), **self.graphs.metrics()}


class Scoring:
    """Scores files of graphs against one file of gold graphs, reading both line by line."""

    def __init__(self, gold: Path, encode: TextEncoder, least_cosine: float) -> None:
        """`encode` and `least_cosine` say which terms match by embedding."""
        self._gold = gold
        self._vectors = KeptVectors(encode)
        self._matchings: Mapping[str, Matching] = all_matchings(self._vectors, least_cosine)

    def planner(self, file: Path) -> dict[str, Any]:
        """Metrics of a planner's graphs on all gold captions.

        Raises:
            UserError: a file is not there or has a line that is no dynamic scene graph.
        """
        scores = PlannerScores(GraphScores(self._matchings))
        for mine, gold, terms in self._with_terms(paired(read_graphs(file), read_graphs(self._gold))):
            scores.add(mine, gold, terms)
        return scores.metrics()

    def enrichment(self, planned: Path, enriched: Path) -> dict[str, Any]:
        """Metrics of a planner's graphs and of the enriched ones on the captions that have been enriched.

        Both are compared with all that gold has, not with the part that a plan can tell.

        Raises:
            UserError: a file is not there or has a line that is no dynamic scene graph.
        """
        prompts = {graph.prompt for graph in read_graphs(enriched)}
        found: dict[str, Any] = {"captions": 0}
        for name, file in (("planned", planned), ("enriched", enriched)):
            scores = GraphScores(self._matchings)
            pairs = paired(_of(prompts, read_graphs(file)), _of(prompts, read_graphs(self._gold)))
            for mine, gold, terms in self._with_terms(pairs):
                if gold is not None:
                    scores.add(mine.ticks if mine else (), gold.ticks, terms)
            found["captions"] = len(scores.originals)
            found[name] = scores.metrics()
        return found

    def _with_terms(
        self, pairs: Iterator[Pair]
    ) -> Iterator[tuple[DynamicSceneGraph | None, DynamicSceneGraph | None, Terms]]:
        """The same pairs with their terms, which have been encoded, those of many pairs at once."""
        while some := list(islice(pairs, _AT_ONCE)):
            found = [terms_of(tick for graph in pair if graph is not None for tick in graph.ticks) for pair in some]
            self._vectors.learn(term for terms in found for distinct in terms.values() for term in distinct)
            yield from ((*pair, terms) for pair, terms in zip(some, found, strict=True))


_NOTHING = DynamicSceneGraph(prompt="")


def _of(prompts: set[str], graphs: Iterable[DynamicSceneGraph]) -> Iterator[DynamicSceneGraph]:
    return (graph for graph in graphs if graph.prompt in prompts)
