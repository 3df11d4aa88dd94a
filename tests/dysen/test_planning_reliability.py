"""Reliability of planned events: golden values, and what order and doubles do to it."""

from __future__ import annotations

import itertools
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dysen.graphs.dynamic_scene_graph import Event
from tasks.dysen.scores.planning_reliability import count_events, planning_reliability, planning_reliability_original
from tasks.dysen.scores.term_matching import lemma_match


def event(terms: str, start: int, end: int) -> Event:
    agent, predicate, target = terms.split(", ")
    return Event(agent=agent, predicate=predicate, target=target, start=start, end=end)


SITS, DRINKS = "lady, sitting on, chair", "lady, drinking, coffee"
EVENTS = [event(terms, start, end) for terms in (SITS, DRINKS) for start in range(5) for end in range(start + 1, 7)]
events = st.lists(st.sampled_from(EVENTS), max_size=4)


def test_equal_events_have_reliability_one() -> None:
    plan = [event(SITS, 0, 5), event(DRINKS, 1, 2)]
    assert planning_reliability(plan, plan) == 1.0
    assert planning_reliability(plan[::-1], plan) == 1.0


def test_events_off_by_some_ticks() -> None:
    gold = [event(SITS, 0, 5)]
    assert planning_reliability([event(SITS, 2, 5)], gold) == pytest.approx(1 / 3)
    assert planning_reliability([event(SITS, 3, 9)], gold) == pytest.approx(1 / 6)
    assert planning_reliability([event(SITS, 2, 7)], gold) == pytest.approx(1 / (1 + math.sqrt(8)))


def test_unmatched_events_are_worth_nothing() -> None:
    assert planning_reliability([event(DRINKS, 0, 5)], [event(SITS, 0, 5)]) == 0.0
    assert planning_reliability([], [event(SITS, 0, 5)]) == 0.0
    assert planning_reliability([event(SITS, 0, 5)], []) == 0.0
    assert planning_reliability([event(SITS, 0, 5)], [event(SITS, 0, 5), event(DRINKS, 1, 2)]) == 0.5


def test_an_event_planned_many_times_is_matched_once_and_lowers_the_precision() -> None:
    gold = [event(SITS, 0, 5), event(SITS, 7, 8)]
    counts = count_events([event(SITS, start, 5) for start in range(5)], gold)
    assert counts.matched == pytest.approx(1 + 1 / (1 + math.hypot(3, 3)))
    assert (counts.predicted, counts.gold) == (5, 2)


def test_lemmas_count_as_the_same_action() -> None:
    gold = [event(SITS, 0, 5)]
    assert planning_reliability([event("the lady, sits on, chairs", 0, 5)], gold) == 0
    assert planning_reliability([event("the lady, sits on, chairs", 0, 5)], gold, lemma_match) == 1


def best_of_all(predicted: list[Event], gold: list[Event]) -> float:
    def closeness(first: Event, second: Event) -> float:
        apart = math.hypot(first.start - second.start, first.end - second.end)
        return 1 / (1 + apart) if first.triplet == second.triplet else 0.0

    few, many = sorted((predicted, gold), key=len)
    return max(
        sum(itertools.starmap(closeness, zip(few, chosen, strict=True))) for chosen in itertools.permutations(many, len(few))
    )


@given(events, events, st.randoms(use_true_random=False))
def test_the_matching_is_the_best_and_order_does_not_matter(
    predicted: list[Event], gold: list[Event], random: Random
) -> None:
    counts = count_events(predicted, gold)
    assert counts.matched == pytest.approx(best_of_all(predicted, gold))
    assert 0 <= planning_reliability(predicted, gold) <= 1
    mixed, gold_mixed = random.sample(predicted, len(predicted)), random.sample(gold, len(gold))
    assert planning_reliability(mixed, gold_mixed) == pytest.approx(planning_reliability(predicted, gold))
    assert count_events(gold, predicted).f1 == pytest.approx(counts.f1)


def test_the_original_reads_the_start_for_the_end() -> None:
    gold = [event(SITS, 0, 5), event(SITS, 2, 5)]
    assert planning_reliability_original([event(SITS, 2, 5)], gold) == pytest.approx(1 / math.sqrt(8))
    assert planning_reliability_original([event(DRINKS, 3, 4)] * 2, gold) == pytest.approx(2 / math.sqrt(18))


@given(events, events)
def test_the_original_is_finite_where_it_would_divide_by_zero(predicted: list[Event], gold: list[Event]) -> None:
    assert 0 <= planning_reliability_original(predicted, gold) <= len(predicted)
    assert planning_reliability_original(gold[:1], gold) == len(gold[:1])
