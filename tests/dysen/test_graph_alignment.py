"""Alignment of ticks: golden cases, the best of all alignments, and the greedy pointer of the original."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.dysen.scores.graph_alignment import align, follow_greedily

sides = st.tuples(st.integers(0, 5), st.integers(0, 5))
tables = sides.flatmap(
    lambda shape: st.lists(st.integers(0, 4), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda values: np.array(values, np.int64).reshape(shape)
    )
)


def total(scores_PG: np.ndarray) -> int:
    return sum(int(scores_PG[pair]) for pair in align(scores_PG))


def best_of_all(scores_PG: np.ndarray) -> int:
    """The largest sum over all monotone one-to-one alignments, tried one by one."""
    predicted, gold = scores_PG.shape
    return max(
        sum(int(scores_PG[pair]) for pair in zip(rows, columns, strict=True))
        for length in range(min(predicted, gold) + 1)
        for rows in itertools.combinations(range(predicted), length)
        for columns in itertools.combinations(range(gold), length)
    )


@given(tables)
def test_pairs_rise_on_both_sides_and_are_worth_something(scores_PG: np.ndarray) -> None:
    pairs = align(scores_PG)
    assert all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(pairs))
    assert all(scores_PG[pair] > 0 for pair in pairs)


@given(tables)
def test_no_alignment_is_better(scores_PG: np.ndarray) -> None:
    assert total(scores_PG) == best_of_all(scores_PG)
    assert total(scores_PG) >= np.trace(scores_PG)


@given(tables)
def test_both_sides_are_alike(scores_PG: np.ndarray) -> None:
    assert total(scores_PG) == total(scores_PG.T) == total(scores_PG[::-1, ::-1])


def test_a_late_start_and_a_superfluous_tick_are_skipped() -> None:
    scores = np.array([[0, 0, 0], [2, 0, 0], [0, 0, 0], [0, 1, 3]])
    assert align(scores) == ((1, 0), (3, 2))


def test_a_gold_tick_is_used_once_and_the_earlier_tick_has_it() -> None:
    assert align(np.array([[1], [1]])) == ((0, 0),)
    assert align(np.array([[1, 1]])) == ((0, 0),)


def test_fractions_are_aligned_too() -> None:
    assert align(np.array([[0.5, 0.75], [0.0, 0.5]])) == ((0, 0), (1, 1))


@given(tables)
def test_the_greedy_pointer_is_that_of_the_original(scores_PG: np.ndarray) -> None:
    pointer, expected = 0, []
    for row in scores_PG if scores_PG.shape[1] else ():
        best = pointer
        for gold in range(pointer, len(row)):
            if row[gold] > row[best]:
                best = gold
        pointer = best
        expected.append(pointer)
    assert follow_greedily(scores_PG) == tuple(expected)


def test_the_greedy_pointer_takes_the_first_of_equals_and_never_goes_back() -> None:
    assert follow_greedily(np.array([[1, 1, 0], [1, 0, 0]])) == (0, 0)
    assert follow_greedily(np.array([[0, 0, 1], [5, 5, 0]])) == (2, 2)
    assert follow_greedily(np.zeros((2, 3), np.int64)) == (0, 0)
