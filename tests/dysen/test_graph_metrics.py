"""Precision and recall of scene graphs over time: golden cases, properties, and the original's sum."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.dysen.graphs.dynamic_scene_graph import Attribute, SceneGraph, Triplet, scene_graph
from tasks.dysen.scores.graph_metrics import GraphCounts, count_matches, triplet_recall, triplet_recall_original
from tasks.dysen.scores.term_matching import MatchCounts, lemma_match

TERMS = ("lady", "ladies", "cup")
triplets = st.sampled_from(
    [
        Triplet(subject=subject, predicate=predicate, object=target)
        for subject, predicate, target in itertools.product(TERMS, ("holding", "holds", "meeting"), TERMS)
    ]
)
attributes = st.sampled_from([Attribute(object=term, attribute=look) for term in TERMS for look in ("red", "old")])
graphs = st.builds(
    scene_graph, st.lists(triplets, max_size=4), st.lists(attributes, max_size=2), st.lists(st.just("friend"), max_size=1)
)
sequences = st.lists(graphs, max_size=4)


def triplet(text: str) -> Triplet:
    subject, predicate, target = text.split(", ")
    return Triplet(subject=subject, predicate=predicate, object=target)


SITS, DRINKS, MEETS = map(triplet, ("lady, sitting on, chair", "lady, drinking, coffee", "lady, meeting, friend"))
RED_CHAIR = Attribute(object="chair", attribute="red")


@settings(max_examples=40)
@given(sequences, sequences, st.booleans())
def test_metrics_are_shares_and_f1_does_not_care_who_is_who(
    predicted: list[SceneGraph], gold: list[SceneGraph], lemmas: bool
) -> None:
    matcher = (lemma_match,) if lemmas else ()
    there, back = count_matches(predicted, gold, *matcher), count_matches(gold, predicted, *matcher)
    metrics = there.metrics()
    assert len(metrics) == 12
    assert all(0 <= value <= 1 for value in metrics.values())
    for kind in ("triplets", "relations", "objects", "attributes"):
        first, second = getattr(there, kind), getattr(back, kind)
        assert (first.f1, first.precision, first.recall) == (second.f1, second.recall, second.precision)
    assert there.relations.matched >= there.triplets.matched


@settings(max_examples=40)
@given(sequences)
def test_a_sequence_agrees_with_itself(graphs: list[SceneGraph]) -> None:
    counts = count_matches(graphs, graphs)
    for kind in (counts.triplets, counts.relations, counts.attributes, counts.objects):
        assert kind.matched == kind.predicted == kind.gold


@settings(max_examples=40)
@given(sequences, sequences)
def test_the_alignment_is_no_worse_than_tick_by_tick(predicted: list[SceneGraph], gold: list[SceneGraph]) -> None:
    straight = sum(len(set(mine.triplets) & set(true.triplets)) for mine, true in zip(predicted, gold, strict=False))
    assert count_matches(predicted, gold).triplets.matched >= straight


@settings(max_examples=40)
@given(sequences, sequences)
def test_lemmas_find_at_least_what_equal_terms_find(predicted: list[SceneGraph], gold: list[SceneGraph]) -> None:
    assert triplet_recall(predicted, gold, lemma_match) >= triplet_recall(predicted, gold)


def test_counts_of_a_known_pair() -> None:
    gold = [scene_graph([SITS], [RED_CHAIR]), scene_graph([SITS, DRINKS]), scene_graph([MEETS])]
    predicted = [scene_graph([SITS, DRINKS]), scene_graph([triplet("man, meeting, friend")], [RED_CHAIR])]
    assert count_matches(predicted, gold) == GraphCounts(
        triplets=MatchCounts(2, 3, 4),
        relations=MatchCounts(3, 3, 4),
        objects=MatchCounts(4, 6, 7),
        attributes=MatchCounts(0, 1, 1),
    )
    assert triplet_recall(predicted, gold) == 0.5


def test_one_triplet_counts_more_for_the_alignment_than_all_else() -> None:
    looks = [Attribute(object="lady", attribute="old"), Attribute(object="cup", attribute="red")]
    gold = [scene_graph([triplet("lady, holding, cup")]), scene_graph([triplet("cup, holding, lady")], looks)]
    counts = count_matches([scene_graph([triplet("lady, holding, cup")], looks)], gold)
    assert (counts.triplets.matched, counts.attributes.matched) == (1, 0)


def test_forms_of_the_same_words_count_as_matches_of_lemmas_alone() -> None:
    gold, predicted = [scene_graph([SITS])], [scene_graph([triplet("ladies, sits on, chair")])]
    assert triplet_recall(predicted, gold) == 0
    assert triplet_recall(predicted, gold, lemma_match) == 1


def test_one_graph_of_everything_stands_for_one_tick_alone() -> None:
    gold = [scene_graph([SITS]), scene_graph([DRINKS]), scene_graph([MEETS])]
    assert count_matches([scene_graph([SITS, DRINKS, MEETS])], gold).triplets == MatchCounts(1, 3, 3)


def test_counts_of_several_prompts_add_up() -> None:
    one = count_matches([scene_graph([SITS])], [scene_graph([SITS, DRINKS])])
    other = count_matches([scene_graph([DRINKS])], [scene_graph([MEETS])])
    both = sum((one, other), GraphCounts())
    assert both.triplets == MatchCounts(1, 2, 3)
    assert both.metrics()["triplets_recall"] == pytest.approx(1 / 3)


def test_the_original_adds_up_over_predicted_ticks() -> None:
    gold = [(SITS, DRINKS), (MEETS,), ()]
    assert triplet_recall_original([(SITS,), (DRINKS,)], gold) == 1.0
    assert triplet_recall_original([(triplet("dog, chasing, ball"),)], gold) == 0.0
    assert triplet_recall_original([(SITS, DRINKS)] * 5, gold) == 5.0
    assert triplet_recall_original([(SITS, SITS)], gold) == 1.0


def test_the_original_is_zero_where_it_would_divide_by_zero() -> None:
    assert triplet_recall_original([(SITS,)], [()]) == 0.0
    assert triplet_recall_original([(SITS,)], []) == 0.0
    assert triplet_recall_original([], [(SITS,)]) == 0.0
    assert triplet_recall_original([(SITS,), ()], [(), (SITS,)]) == 1.0
