"""Precision, recall and F1 of scene graphs over many captions, with terms matched exactly, by lemma and by embedding."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.dysen.graphs.dynamic_scene_graph import SceneGraph, attribute_key, triplet_key
from tasks.dysen.scores.event_scores import mean
from tasks.dysen.scores.graph_metrics import GraphCounts, count_matches, triplet_recall_original
from tasks.dysen.scores.term_matching import (
    MatchCounts,
    Matches,
    Role,
    TermMatcher,
    TextEncoder,
    embedding_match,
    exact_match,
    lemma_key,
)

Terms = dict[Role, frozenset[str]]
_MOST_LEMMAS, _MOST_SETS = 65_536, 4_096
_lemma = functools.lru_cache(_MOST_LEMMAS)(lemma_key)


def quick_lemma_match(predicted: Sequence[str], gold: Sequence[str], role: Role) -> Matches:
    """`lemma_match`, with each term looked up once."""
    return exact_match([_lemma(term, role) for term in predicted], [_lemma(term, role) for term in gold], role)


class KeptVectors:
    """A `TextEncoder` that encodes each distinct text once and keeps its vector."""

    def __init__(self, encode: TextEncoder) -> None:
        self._encode = encode
        self._vectors: dict[str, NDArray[np.floating[Any]]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        """Unit vectors [N, D] of at least one text."""
        self.learn(texts)
        return np.stack([self._vectors[text] for text in texts])

    def learn(self, texts: Iterable[str]) -> None:
        """Encodes what is new among many texts, all at once."""
        new = sorted({*texts} - self._vectors.keys())
        if new:
            self._vectors.update(zip(new, self._encode(new), strict=True))


class Matching:
    """A way to match terms, and whether it differs from equality for the terms at hand."""

    def __init__(self, matcher: TermMatcher) -> None:
        self.matcher = matcher
        self._tells_apart = functools.lru_cache(_MOST_SETS)(self._has_no_other_match)

    def count(
        self, predicted: Sequence[SceneGraph], gold: Sequence[SceneGraph], terms: Terms, equal: GraphCounts
    ) -> GraphCounts:
        """`count_matches`; `equal` are the counts of equal terms, which hold where no two of all `terms` match."""
        if all(self._tells_apart(some, role) for role, some in terms.items()):
            return equal
        return count_matches(predicted, gold, self.matcher)

    def _has_no_other_match(self, terms: frozenset[str], role: Role) -> bool:
        listed = list(terms)
        return int(self.matcher(listed, listed, role).sum()) == len(listed)


def all_matchings(encode: TextEncoder, least_cosine: float) -> dict[str, Matching]:
    """Lemmas, and embeddings with at least this cosine; equal terms are always counted besides."""
    return {"lemma": Matching(quick_lemma_match), "embedding": Matching(embedding_match(encode, least_cosine))}


class GraphScores:
    """Counts of matched items over captions, and the triplet recall of each caption as the original has it."""

    def __init__(self, matchings: Mapping[str, Matching]) -> None:
        self._matchings = matchings
        self.counts = {name: GraphCounts() for name in ("exact", *matchings)}
        self.originals: list[float] = []

    def add(self, predicted: Sequence[SceneGraph], gold: Sequence[SceneGraph], terms: Terms) -> None:
        """Adds a caption's ticks; none are predicted for a caption that was set aside.

        `terms` are all that these graphs have, and perhaps more.
        """
        keys = [[[triplet_key(triplet) for triplet in tick.triplets] for tick in ticks] for ticks in (predicted, gold)]
        same = keys[0] == keys[1] and all(map(_alike, predicted, gold))
        equal = _everything(gold) if same else count_matches(predicted, gold)
        self.counts["exact"] += equal
        for name, matching in self._matchings.items():
            self.counts[name] += matching.count(predicted, gold, terms, equal)
        self.originals.append(triplet_recall_original(*keys))

    def metrics(self) -> dict[str, Any]:
        """Micro averages by matching and kind, `triplet_recall` of equal terms, and the mean of the original's recalls."""
        return {
            "triplet_recall": self.counts["exact"].triplets.recall,
            "triplet_recall_original": mean(self.originals) or 0.0,
            **{name: counts.metrics() for name, counts in self.counts.items()},
        }


def _alike(tick: SceneGraph, gold_tick: SceneGraph) -> bool:
    """Whether two ticks with the same triplets are the same."""
    mine, gold = (list(map(attribute_key, graph.attributes)) for graph in (tick, gold_tick))
    return tick.objects == gold_tick.objects and mine == gold


def _everything(ticks: Sequence[SceneGraph]) -> GraphCounts:
    """What `count_matches` finds in graphs and the same graphs."""
    triplets, objects, attributes = (
        MatchCounts(count, count, count)
        for count in (sum(len(getattr(tick, kind)) for tick in ticks) for kind in ("triplets", "objects", "attributes"))
    )
    return GraphCounts(triplets=triplets, relations=triplets, objects=objects, attributes=attributes)


def terms_of(ticks: Iterable[SceneGraph]) -> Terms:
    """The distinct terms of each role."""
    objects: set[str] = set()
    predicates: set[str] = set()
    attributes: set[str] = set()
    for tick in ticks:
        objects.update(tick.objects)
        predicates.update([triplet.predicate for triplet in tick.triplets])
        attributes.update([item.attribute for item in tick.attributes])
    return {"object": frozenset(objects), "predicate": frozenset(predicates), "attribute": frozenset(attributes)}
