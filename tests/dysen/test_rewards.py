"""Rewards: from 0 to 1, whatever the order of events; a perfect prediction has 1."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.common.errors import StageError
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Event, SceneGraph, scene_graph
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.policies.policy_settings import RewardTerms
from tasks.dysen.policies.rewards import Reward, imagination_reward, planning_reward
from tests.dysen.graphs_for_tests import DRINK, EVENTS, LOOK, MEET, SIT, events_of_terms, few_terms, lasting, scene_graphs

events = st.lists(events_of_terms(few_terms, latest=6), max_size=5)
ticks = st.lists(scene_graphs, max_size=4)
graphs = st.builds(lambda planned, seen: graph(planned, seen), events, ticks)
weights = st.tuples(*[st.sampled_from([0.0, 0.1, 1 / 3, 1.0])] * 2).filter(any)


def graph(planned: Sequence[Event], seen: Sequence[SceneGraph] = ()) -> DynamicSceneGraph:
    return DynamicSceneGraph(prompt="a dog", events=tuple(planned), ticks=tuple(seen))


def terms(planning: float = 1.0, imagination: float = 1.0, video: float = 0.0, measure: str = "f1") -> RewardTerms:
    return RewardTerms.model_validate(
        {
            "planning": planning, "imagination": imagination, "video": video,
            "planning_measure": measure, "matching": "lemma",
        }
    )  # fmt: skip


@given(graphs, graphs, weights, st.sampled_from(["f1", "recall"]), st.data())
def test_rewards_are_bounded_and_the_order_of_events_does_not_count(
    predicted: DynamicSceneGraph, gold: DynamicSceneGraph, both: tuple[float, float], measure: str, data: st.DataObject
) -> None:
    reward = Reward(terms(*both, measure=measure))
    value = reward(predicted, gold)
    assert 0 <= value <= 1
    mixed, gold_mixed = (graph(data.draw(st.permutations(side.events)), side.ticks) for side in (predicted, gold))
    assert reward(mixed, gold_mixed) == pytest.approx(value)


@given(graphs, weights, st.sampled_from(["f1", "recall"]))
def test_a_perfect_prediction_has_one(gold: DynamicSceneGraph, both: tuple[float, float], measure: str) -> None:
    assert Reward(terms(*both, measure=measure))(gold, gold) == 1


@given(events, events)
def test_superfluous_events_and_triplets_cost(gold: list[Event], more: list[Event]) -> None:
    extra = [event.model_copy(update={"agent": "nobody"}) for event in more]
    planned, imagined = planning_reward([*gold, *extra], gold), imagination_reward(graphs_of(extra), graphs_of(gold))
    assert planned == pytest.approx(2 * len(gold) / (2 * len(gold) + len(extra)) if gold or extra else 1)
    assert planning_reward([*gold, *extra], gold, measure="recall") == (1 if gold or not extra else 0)
    assert imagined == (0 if gold or extra else 1)


def test_known_values() -> None:
    gold = graph(EVENTS, graphs_of(EVENTS))
    late = [lasting(SIT, 0, 5), lasting(DRINK, 1, 2), lasting(MEET, 3, 4), lasting(LOOK, 4, 5)]
    planning = 2 * 3.5 / (4 + 5)
    assert planning_reward(late, gold.events) == pytest.approx(planning)
    assert planning_reward(late, gold.events, measure="recall") == pytest.approx(3.5 / 5)
    seen = (scene_graph([SIT]), scene_graph([SIT, DRINK]))
    imagination = 2 * 3 / (3 + 12)
    assert imagination_reward(seen, gold.ticks) == pytest.approx(imagination)
    predicted = graph(late, seen)
    assert Reward(terms(0.75, 0.25))(predicted, gold) == pytest.approx(0.75 * planning + 0.25 * imagination)
    assert Reward(terms(0.6, 0.2))(predicted, gold) == pytest.approx(0.75 * planning + 0.25 * imagination)
    assert Reward(terms(1, 0))(graph(EVENTS), gold) == 1, "ticks are not needed without imagination"
    assert Reward(terms())(graph(()), gold) == 0
    other = graph([event.model_copy(update={"predicate": "sits on"}) for event in EVENTS[:1]])
    assert Reward(terms(1, 0))(other, graph(EVENTS[:1])) == 1, "lemmas match"


def test_the_video_plugs_in() -> None:
    gold = graph(EVENTS, graphs_of(EVENTS))
    assert Reward(terms(1, 0, 1), lambda predicted: 0.25)(gold, gold) == pytest.approx(0.625)
    assert Reward(terms(1, 1, 1), lambda predicted: 1.0)(gold, gold) == 1
    for score in (float("nan"), 1.5, -1.0):
        with pytest.raises(StageError, match="has the score"):
            Reward(terms(1, 0, 1), lambda predicted, score=score: score)(gold, gold)
    with pytest.raises(ValueError, match="or neither"):
        Reward(terms(video=0.5))
    with pytest.raises(ValueError, match="or neither"):
        Reward(terms(), lambda predicted: 1.0)


def test_weights_have_ranges() -> None:
    for wrong in ((0, 0), (-0.1, 1), (2, 0)):
        with pytest.raises(ValidationError):
            terms(*wrong)
