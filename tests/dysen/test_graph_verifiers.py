"""Checks of dynamic scene graphs: each finds what is wrong, and nothing in the method's own example."""

from __future__ import annotations

import pytest

from tasks.dysen.checks.graph_verifiers import (
    Limits,
    verify,
    verify_contradictions,
    verify_coverage,
    verify_grammar,
    verify_order,
    verify_persistence,
    verify_plan,
    verify_sizes,
    verify_times,
    verify_vocabulary,
)
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, DynamicSceneGraph, SceneGraph, Triplet, scene_graph
from tasks.dysen.graphs.event_grammar import parse_events, parse_triplets
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tests.dysen.graphs_for_tests import EVENTS, PROMPT, SIT

LIMITS = Limits()
GOLDEN = DynamicSceneGraph(prompt=PROMPT, events=EVENTS, ticks=graphs_of(EVENTS))


def _graph(text: str) -> SceneGraph:
    found = parse_triplets(text)
    assert not found.problems
    return scene_graph(found.triplets, found.attributes)


def _ticks(*texts: str) -> DynamicSceneGraph:
    return DynamicSceneGraph(prompt="", ticks=tuple(map(_graph, texts)))


def test_the_example_of_the_method_is_right() -> None:
    assert verify(GOLDEN, LIMITS) == []


def test_grammar() -> None:
    found = verify_grammar(parse_events("x\n(a, b, c)").problems)
    assert found == [("grammar", "line 2", "times: 0 times instead of start and end: a, b, c")]
    assert verify(GOLDEN, LIMITS, parse_events("(a, b, c)").problems)[0].kind == "grammar"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("(a, b, c, (0v, 2v)) (d, e, f, (4v, 16v))", []),
        ("(a, b, c, (0v, 17v))", ["(a, b, c, (0v, 17v))"]),
        ("(d, e, f, (5v, 9v)) (a, b, c, (0v, 2v))", ["tick 2 to 5"]),
        ("(a, b, c, (3v, 4v))", ["tick 0 to 3"]),
        ("(a, b, c, (0v, 9v)) (a, b, d, (1v, 2v)) (a, b, e, (9v, 10v))", []),
    ],
)
def test_times(text: str, where: list[str]) -> None:
    assert [violation.where for violation in verify_times(parse_events(text).events, LIMITS)] == where


@pytest.mark.parametrize(
    ("prompt", "jump", "run", "wrong"),
    [
        ("a dog jumps over a log, then runs to a tree", (0, 1), (1, 2), 0),
        ("a dog jumps over a log, then runs to a tree", (1, 2), (0, 1), 1),
        ("A dog jumps over a log. Afterwards it runs to a tree.", (1, 2), (0, 1), 1),
        ("a dog jumps over a log before running to a tree", (1, 2), (0, 1), 1),
        ("before the dog runs to a tree, it jumps over a log", (1, 2), (0, 1), 1),
        ("a dog jumps over a log after it ran to a tree", (0, 1), (1, 2), 1),
        ("after it ran to a tree, the dog jumps over a log", (0, 1), (1, 2), 1),
        ("after it ran to a tree, the dog jumps over a log", (1, 2), (0, 1), 0),
        ("a dog jumps over a log while it runs to a tree", (0, 1), (1, 2), 1),
        ("a dog jumps over a log while it runs to a tree", (0, 2), (1, 3), 0),
        ("a dog jumps over a log and runs to a tree", (1, 2), (0, 1), 0),
    ],
)
def test_order(prompt: str, jump: tuple[int, int], run: tuple[int, int], wrong: int) -> None:
    text = f"(dog, jumping over, log, ({jump[0]}v, {jump[1]}v)) (dog, running to, tree, ({run[0]}v, {run[1]}v))"
    found = verify_order(prompt, parse_events(text).events)
    assert [violation.kind for violation in found] == ["order"] * wrong


def test_order_of_one_verb_is_told_by_its_agents() -> None:
    prompt = "a dog runs to a tree, then a cat runs to a house"
    text = "(dog, running to, tree, (1v, 2v)) (cat, running to, house, (0v, 1v))"
    found = verify_order(prompt, parse_events(text).events)
    assert [violation.where for violation in found] == ["(cat, running to, house, (0v, 1v))"]


def test_coverage() -> None:
    graph = GOLDEN.model_copy(update={"prompt": "Two old ladies quickly sit on red chairs in the garden and eat a big cake"})
    assert [violation.detail.split('"')[1] for violation in verify_coverage(graph)] == ["garden", "eat", "cake"]


def test_plan() -> None:
    assert verify_plan(GOLDEN) == []
    fewer = GOLDEN.model_copy(update={"ticks": (_graph("(lady, in, dress)"), *GOLDEN.ticks[1:5])})
    assert [violation.where for violation in verify_plan(fewer)] == ["tick 0", "tick 5", "tick 5"]


@pytest.mark.parametrize(
    ("ticks", "count"),
    [
        (("(lady, in, dress) (bag, cloth)", "(lady, in, dress) (bag, cloth)"), 0),
        (("(lady, in, dress) (lady, at, table)", "(lady, at, table)"), 1),
        (("(lady, wearing, hat) (lady, at, table)", "(lady, at, table)"), 1),
        (("(lady, kicking, ball) (lady, at, table)", "(lady, at, table)"), 0),
        (("(bag, cloth) (lady, at, bag)", "(lady, at, bag)"), 1),
        (("(bag, cloth) (lady, kicking, bag)", "(lady, at, table)"), 0),
    ],
)
def test_persistence(ticks: tuple[str, ...], count: int) -> None:
    assert len(verify_persistence(_ticks(*ticks))) == count


def test_an_event_may_end_a_state() -> None:
    events = parse_events("(lady, taking off, hat, (1v, 2v))").events
    plan = graphs_of(events)
    ticks = (_graph("(lady, wearing, hat) (lady, at, table)"), plan[1], plan[2])
    assert verify_persistence(DynamicSceneGraph(prompt="", events=events, ticks=ticks)) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("(cup, above, table) (cup, below, table)", 1),
        ("(cup, in front of, box) (cup, behind, box)", 1),
        ("(lady, sits on, chair) (lady, standing on, chair)", 1),
        ("(dog, entering, house) (dog, leaving, house)", 1),
        ("(cup, above, table) (table, above, cup)", 1),
        ("(lady, next to, man) (man, next to, lady)", 0),
        ("(cup, above, table) (table, below, cup)", 0),
        ("(cup, above, table) (cup, below, lamp)", 0),
        ("(lady, sitting on, chair) (lady, in front of, chair)", 0),
    ],
)
def test_contradictions(text: str, count: int) -> None:
    assert len(verify_contradictions([scene_graph([]), _graph(text)])) == count


def test_sizes() -> None:
    def of(count: int) -> DynamicSceneGraph:
        new = [Triplet(subject=f"a{number}", predicate="near", object="lady") for number in range(count)]
        return GOLDEN.model_copy(update={"ticks": (scene_graph([SIT, *new]),)})

    assert verify_sizes(of(8), LIMITS) == []
    assert [violation.detail for violation in verify_sizes(of(9), LIMITS)] == ["9 new triplets, more than 8"]
    details = [violation.detail for violation in verify_sizes(of(31), LIMITS)]
    assert details == ["31 new triplets, more than 8", "33 objects, more than 32"]


def test_vocabulary() -> None:
    graph = _ticks(
        "(the lady, sits on, chair) (lady, sitting on, sofa) (them, near, a one two three four five)", "(bag, cloth)"
    )
    found = verify_vocabulary(graph, LIMITS)
    assert [violation.where for violation in found] == [
        "a one two three four five",
        "a one two three four five",
        "the lady",
        "them",
        "sits on",
    ]
    attribute = Attribute(object="bag", attribute="made of very old grey cloth")
    graph = DynamicSceneGraph(prompt="", ticks=(scene_graph([], [attribute]),))
    assert [violation.where for violation in verify_vocabulary(graph, LIMITS)] == ["made of very old grey cloth"]
