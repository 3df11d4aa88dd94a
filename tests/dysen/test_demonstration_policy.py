"""Choosing demonstrations: exact probabilities of draws, ladders of scorers, what may not be chosen."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tasks.common.errors import UserError
from tasks.dysen.policies.demonstration_policy import (
    Captions,
    Chooser,
    Decision,
    DemonstrationPolicy,
    allowed_candidates,
    as_choices,
    at_random,
    draw,
    draw_log_probability,
    entropy,
    fixed,
    nearest,
)
from tests.dysen.policies_for_tests import captions, units

logits = st.lists(st.floats(-8, 8), min_size=2, max_size=5)


def brute_force(weights: list[float], drawn: tuple[int, ...]) -> float:
    """Probability of drawing these one after another."""
    left, probability = dict(enumerate(weights)), 1.0
    for index in drawn:
        probability *= left[index] / math.fsum(left.values())
        del left[index]
    return probability


def orders(candidates: int, shots: int) -> list[tuple[int, ...]]:
    return list(itertools.permutations(range(candidates), shots))


@given(logits, st.integers(1, 5))
def test_the_probabilities_of_all_draws_are_exact_and_sum_to_one(scores: list[float], shots: int) -> None:
    shots = min(shots, len(scores))
    drawn = orders(len(scores), shots)
    logs = torch.tensor([scores], dtype=torch.float64).expand(len(drawn), -1)
    found = draw_log_probability(logs, torch.tensor(drawn)).exp()
    assert float(found.sum()) == pytest.approx(1, abs=1e-9)
    wanted = [brute_force([math.exp(score) for score in scores], order) for order in drawn]
    assert found.tolist() == pytest.approx(wanted, rel=1e-9)
    normalised = logs.log_softmax(-1)
    torch.testing.assert_close(draw_log_probability(normalised, torch.tensor(drawn)).exp(), found)


def test_probabilities_are_stable_where_a_naive_sum_is_not() -> None:
    """After the first draw, 1 - p is 0 in any floating point number; the second draw is still a fair one of two."""
    logs = torch.tensor([[50.0, -50.0, -50.0]], requires_grad=True)
    log_probability = draw_log_probability(logs.log_softmax(-1), torch.tensor([[0, 1]]))
    assert float(log_probability) == pytest.approx(math.log(0.5), rel=1e-5)
    log_probability.sum().backward()
    assert logs.grad is not None
    assert logs.grad.tolist()[0] == pytest.approx([0, 0.5, -0.5], abs=1e-5)


def test_draws_have_these_probabilities() -> None:
    logs = torch.tensor([[0.0, 1.0, -1.0, -torch.inf]]).expand(20_000, -1)
    drawn = draw(logs, 2, torch.Generator().manual_seed(0))
    found = Counter(map(tuple, drawn.tolist()))
    weights = [1, math.e, 1 / math.e]
    wanted = {order: brute_force(weights, order) for order in orders(3, 2)}
    assert {order: found[order] / 20_000 for order in found} == pytest.approx(wanted, abs=0.012)


def test_the_first_draw_stands_last() -> None:
    certain = torch.tensor([[0.0, 200.0, 100.0]])
    drawn = draw(certain, 3, torch.Generator().manual_seed(0))
    assert drawn.tolist() == [[1, 2, 0]]
    assert as_choices(drawn) == [(0, 2, 1)]
    assert as_choices(drawn[:, :0]) == [()]


def test_gradients_are_those_of_finite_differences() -> None:
    queries, candidates = units(3, 5, 0).double(), units(4, 5, 1).double()
    allowed = torch.tensor([[1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 0, 1]]).bool()
    policy = DemonstrationPolicy(5, 6, 0.5).double()
    drawn = torch.tensor([[0, 3], [2, 1], [3, 0]])

    def gains(map_WD: Tensor) -> tuple[Tensor, Tensor]:
        inputs = (queries, candidates, allowed)
        logs = torch.func.functional_call(policy, {"map_WD": map_WD}, inputs)  # type: ignore[no-untyped-call]
        return draw_log_probability(logs, drawn), entropy(logs)

    assert torch.autograd.gradcheck(gains, (policy.map_WD.detach().clone().requires_grad_(),))


def test_entropy_is_that_of_the_first_draw() -> None:
    uniform = torch.tensor([[0.0, 0.0, 0.0, -torch.inf]]).log_softmax(-1)
    assert float(entropy(uniform)) == pytest.approx(math.log(3))
    assert float(entropy(torch.tensor([[0.0, -torch.inf]]))) == 0


def test_the_untrained_policy_chooses_the_nearest() -> None:
    queries, candidates = captions(units(20, 8, 0), "query"), captions(units(9, 8, 1), "candidate")
    policy = DemonstrationPolicy(8, 16, temperature=0.3)
    torch.testing.assert_close(policy.scores(queries, candidates) * 0.3, nearest(queries, candidates), rtol=0, atol=1e-5)
    assert Chooser(policy.scores).choose(queries, candidates, 3) == Chooser(nearest).choose(queries, candidates, 3)
    logs = policy(queries.vectors_ND, candidates.vectors_ND, torch.ones(20, 9).bool())
    torch.testing.assert_close(logs.exp().sum(-1), torch.ones(20))
    assert as_choices(logs.sort(descending=True).indices[:, :2]) == Chooser(policy.scores).choose(queries, candidates, 2)
    assert torch.equal(DemonstrationPolicy(8, 16, seed=5).map_WD, DemonstrationPolicy(8, 16, seed=5).map_WD)


@given(st.permutations(range(7)), st.integers(0, 7))
def test_permuted_candidates_are_chosen_all_the_same(order: list[int], shots: int) -> None:
    queries, candidates = captions(units(5, 8, 0), "query"), captions(units(7, 8, 1), "candidate")
    assert candidates.vectors_ND is not None
    mixed = Captions(tuple(candidates.texts[index] for index in order), candidates.vectors_ND[order])
    policy = DemonstrationPolicy(8, 4, seed=3)
    for scorer in (policy.scores, nearest):
        choices = Chooser(scorer).choose(queries, candidates, shots)
        found = Chooser(scorer).choose(queries, mixed, shots)
        assert [tuple(order[index] for index in choice) for choice in found] == choices


@given(st.lists(st.integers(0, 11), min_size=1, max_size=4))
def test_a_choice_does_not_depend_on_the_company(some: list[int]) -> None:
    queries, candidates = captions(units(12, 8, 0), "query"), captions(units(7, 8, 1), "candidate")
    assert queries.vectors_ND is not None
    few = Captions(tuple(queries.texts[index] for index in some), queries.vectors_ND[some])
    for scorer in (DemonstrationPolicy(8).scores, nearest, at_random(1), fixed):
        assert torch.equal(scorer(few, candidates), scorer(queries, candidates)[some])


def test_the_own_caption_is_never_chosen() -> None:
    vectors = units(4, 8, 0)
    candidates = Captions(("A red car.", "a dog", "a cat", "a bird"), vectors)
    queries = Captions(("a  red car", "A DOG", "a ball"), vectors[[0, 1, 2]])
    for scorer in (nearest, fixed, at_random(0), DemonstrationPolicy(8).scores):
        first, second, third = Chooser(scorer).choose(queries, candidates, 3)
        assert set(first) == {1, 2, 3}
        assert set(second) == {0, 2, 3}
        assert len(set(third)) == 3
    assert Chooser(fixed).choose(queries, candidates, 2) == [(2, 1), (2, 0), (1, 0)]
    assert Chooser(nearest).choose(queries, candidates, 1)[2] == (2,)
    with pytest.raises(UserError, match="4 demonstrations asked for, but only 3 candidates") as refused:
        Chooser(fixed).choose(queries, candidates, 4)
    assert "\n" not in str(refused.value)
    assert allowed_candidates([], ["a"], 1).shape == (0, 1)
    assert Chooser(nearest).choose(Captions((), vectors[:0]), candidates, 2) == []


def test_random_choices_are_of_all_candidates_and_of_the_seed() -> None:
    queries, candidates = captions(units(400, 4, 0), "query"), captions(units(5, 4, 1), "candidate")
    chosen = Chooser(at_random(0)).choose(queries, candidates, 2)
    counts = Counter(index for choice in chosen for index in choice)
    assert [counts[index] / 400 for index in range(5)] == pytest.approx([0.4] * 5, abs=0.07)
    assert Chooser(at_random(0)).choose(queries, candidates, 2) == chosen
    assert Chooser(at_random(1)).choose(queries, candidates, 2) != chosen


def test_the_ladder_falls_back_query_by_query() -> None:
    vectors, candidates = units(3, 8, 0), captions(units(5, 8, 1), "candidate")
    broken = vectors.clone()
    broken[1] = torch.nan
    policy = DemonstrationPolicy(8, seed=1)
    with torch.no_grad():
        policy.map_WD[0, 0] += 3
    ladder = Chooser(policy.scores, nearest, fixed)
    whole, without = captions(vectors, "query"), Captions(("query 0", "query 1", "query 2"), None)
    decisions = ladder.decide(captions(broken, "query"), candidates, 2)
    assert [decision.scorer for decision in decisions] == [0, 2, 0]
    assert decisions[1] == Decision((1, 0), 2)
    choices = Chooser(policy.scores).choose(whole, candidates, 2)
    assert [decision.choice for decision in decisions][::2] == choices[::2]
    assert ladder.decide(without, candidates, 2) == [Decision((1, 0), 2)] * 3
    with torch.no_grad():
        policy.map_WD[0, 0] = torch.inf
    assert ladder.decide(whole, candidates, 2) == [
        Decision(choice, 1) for choice in Chooser(nearest).choose(whole, candidates, 2)
    ]
    with pytest.raises(UserError, match="scores are not finite"):
        Chooser(policy.scores, nearest).choose(without, candidates, 2)


def test_features_of_another_encoder_are_refused() -> None:
    with pytest.raises(UserError, match="width 8 for a policy that takes 6"):
        DemonstrationPolicy(6).scores(captions(units(2, 8, 0), "query"), captions(units(3, 8, 1), "candidate"))
