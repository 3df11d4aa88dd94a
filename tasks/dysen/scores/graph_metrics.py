"""Precision and recall of predicted scene graphs over time, and the triplet recall of Dysen-VDM's code."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tasks.dysen.graphs.dynamic_scene_graph import SceneGraph, attribute_key, triplet_key
from tasks.dysen.scores.graph_alignment import align, follow_greedily
from tasks.dysen.scores.term_matching import Item, MatchCounts, Role, TermMatcher, exact_match, matched_items

_Kind = tuple[tuple[Role, ...], Callable[[SceneGraph], list[Item]]]
# The most telling kind first: the alignment goes by it, and by the next ones where it leaves a choice.
_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "triplets": (("object", "predicate", "object"), lambda graph: [triplet_key(item) for item in graph.triplets]),
        "relations": (("predicate",), lambda graph: [(item.predicate,) for item in graph.triplets]),
        "objects": (("object",), lambda graph: [(item,) for item in graph.objects]),
        "attributes": (("object", "attribute"), lambda graph: [attribute_key(item) for item in graph.attributes]),
    }
)

_NOTHING = MatchCounts()


@dataclass(frozen=True)
class GraphCounts:
    """Matched items of each kind; sums of counts give micro averages. A relation is a triplet's predicate alone."""

    triplets: MatchCounts = _NOTHING
    relations: MatchCounts = _NOTHING
    objects: MatchCounts = _NOTHING
    attributes: MatchCounts = _NOTHING

    def __add__(self, other: GraphCounts) -> GraphCounts:
        return GraphCounts(
            triplets=self.triplets + other.triplets,
            relations=self.relations + other.relations,
            objects=self.objects + other.objects,
            attributes=self.attributes + other.attributes,
        )

    def metrics(self) -> dict[str, float]:
        """`triplets_precision`, `triplets_recall`, `triplets_f1` and so on, each from 0 to 1."""
        return {
            f"{field.name}_{measure}": getattr(getattr(self, field.name), measure)
            for field in fields(self)
            for measure in ("precision", "recall", "f1")
        }


def count_matches(
    predicted: Sequence[SceneGraph], gold: Sequence[SceneGraph], matcher: TermMatcher = exact_match
) -> GraphCounts:
    """Matched items of two sequences of scene graphs, tick by tick, after a monotone alignment of the ticks.

    The alignment has the most matched triplets; among those with as many, the most matched relations, then objects,
    then attributes. Predicted and gold graphs are treated alike.
    """
    matched: dict[str, NDArray[np.int64]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    scores_PG = np.zeros((len(predicted), len(gold)), np.int64)
    for kind, (roles, items_of) in _KINDS.items():
        items, gold_items = [items_of(graph) for graph in predicted], [items_of(graph) for graph in gold]
        matched[kind] = matched_items(items, gold_items, roles, matcher)
        sizes[kind] = (sum(map(len, items)), sum(map(len, gold_items)))
        scores_PG = scores_PG * (1 + min(sizes[kind])) + matched[kind]
    pairs = align(scores_PG)
    return GraphCounts(
        **{kind: MatchCounts(sum(int(table[pair]) for pair in pairs), *sizes[kind]) for kind, table in matched.items()}
    )


def triplet_recall(predicted: Sequence[SceneGraph], gold: Sequence[SceneGraph], matcher: TermMatcher = exact_match) -> float:
    """Matched triplets over all gold triplets, from 0 to 1; 0 without gold triplets."""
    return count_matches(predicted, gold, matcher).triplets.recall


def triplet_recall_original(predicted: Sequence[Sequence[Hashable]], gold: Sequence[Sequence[Hashable]]) -> float:
    """Triplet recall as Dysen-VDM's code has it: a sum over the predicted ticks, which grows with their number.

    Each predicted tick adds the share of a gold tick's triplets that it has; `follow_greedily` chooses the gold tick.
    A triplet predicted twice counts twice. An empty gold graph adds 0, where the original divides by zero.

    Args:
        predicted: the triplets of each predicted tick.
        gold: those of each gold tick.
    """
    rows: dict[tuple[Hashable, ...], list[int]] = {}  # ticks mostly repeat the one before
    wanted = [frozenset(triplets) for triplets in gold]
    for triplets in map(tuple, predicted):
        if triplets not in rows:
            rows[triplets] = [sum(map(graph.__contains__, triplets)) for graph in wanted]
    found_PG = np.array([rows[tuple(triplets)] for triplets in predicted], np.int64).reshape(len(predicted), len(gold))
    shares = (
        float(found_PG[tick, gold_tick]) / len(gold[gold_tick])
        for tick, gold_tick in enumerate(follow_greedily(found_PG))
        if gold[gold_tick]
    )
    return sum(shares, 0.0)
