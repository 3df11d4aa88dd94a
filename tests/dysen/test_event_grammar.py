"""Events and triplets in replies of language models."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dysen.graphs.bracketed_tuples import MOST_CHARACTERS
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, Event, Triplet, scene_graph
from tasks.dysen.graphs.event_grammar import (
    format_event,
    format_events,
    format_graph,
    format_item,
    parse_events,
    parse_triplets,
)
from tests.dysen.graphs_for_tests import (
    DRINK,
    EVENTS,
    attributes_of,
    events_of_terms,
    few_terms,
    lasting,
    terms,
    triplets_of,
)

ONE = Event(agent="lady", predicate="sitting on", target="chair", start=0, end=5)
OTHER = Event(agent="lady", predicate="drinking", target="coffee", start=1, end=2)
names = terms | few_terms


def test_the_example_of_the_method_is_read() -> None:
    text = (
        "(lady, sitting on, chair, (0v,5v)), (lady, drinking, coffee, (1v,2v)), (lady, meeting, friend, (3v,4v)),\n"
        "(lady, greeting, friend, (3v,4v)), (lady, looking out, window, (3v,5v))"
    )
    assert parse_events(text) == (EVENTS, ())


@given(st.lists(events_of_terms(names), max_size=8, unique=True))
def test_events_are_read_as_they_are_shown(events: list[Event]) -> None:
    assert parse_events(format_events(events)) == (tuple(events), ())


@given(st.lists(triplets_of(names), max_size=6), st.lists(attributes_of(names), max_size=6))
def test_graphs_are_read_as_they_are_shown(triplets: list[Triplet], attributes: list[Attribute]) -> None:
    graph = scene_graph(triplets, attributes)
    assert parse_triplets(format_graph(graph)) == (graph.triplets, graph.attributes, ())


@pytest.mark.parametrize(
    "text",
    [
        "1. (lady, sitting on, chair, (0v,5v)).\n2. (lady, drinking, coffee, (1v,2v)).",
        "1) (lady, sitting on, chair, (0v,5v))\n2) (lady, drinking, coffee, (1v,2v))",
        "Here (in order):\n```text\n- (Lady, Sitting  on, chair, (0, 5))\n* (lady, drinking, coffee, (1, 2))\n```",
        "[lady; sitting on; chair; [0v - 5v]]\r\n{lady | drinking | coffee | {1V to 2V}}",
        '[["lady", "sitting on", "chair", ["0v", "5v"]],\n [\n"lady",\n"drinking",\n"coffee",\n["1v", "2v"]\n],\n]',
        "(“lady”, ‘sitting on’, 'chair', (0v, 5v)) (**lady**, `drinking`, coffee, (1v, 2v))",
        "（lady，sitting on，chair，（0v，5v））\n＜lady，drinking，coffee，1v，2v＞",
        "lady, sitting on, chair, 0v, 5v\noutput: lady, drinking, coffee, (1v, 2v)",
        "| lady | sitting on | chair | 0v | 5v |\n|---|---|---|---|---|\n| lady | drinking | coffee | 1v | 2v |",
        "((lady, sitting on, chair), (0v, 5v)), ((lady, drinking, coffee), (1v, 2v))",
        "(lady, sitting on, chair, (0v,5v)\n(lady, drinking, coffee, (1v,2v)",
        "(lady, sitting on, chair, (0v,5v]\n(lady, drinking, coffee, 1v, 2v)",
        "lady -> sitting on -> chair -> 0v -> 5v\n<lady, drinking, coffee, <1v, 2v>>",
        "<think>(a, b, c, (1v, 2v))\n</think>{e: [(lady, sitting on, chair, (0v,5v)), (lady, drinking, coffee, (1v,2v))]}",
        "2. lady, sitting on, chair, (0v, 5v))\n(\u200blady, drinking (slowly), coffee, (1v, 2v),)",
    ],
)
def test_events_are_read_however_they_are_written(text: str) -> None:
    assert parse_events(text) == ((ONE, OTHER), ())


@pytest.mark.parametrize(
    ("text", "kind", "detail"),
    [
        ("(a, b, c)", "times", "0 times instead of start and end: a, b, c"),
        ("(a, b, c, (5v, 1v))", "times", "start must be before end"),
        ("(a, b, c, (0v, 65v))", "times", "less than or equal to 64"),
        ("(a, b, c, (1.5v, 2v))", "times", "whole numbers"),
        ("(a, b, c, (-1v, 2v))", "times", "whole numbers"),
        ("(a, b, c, 1v)", "times", "1 times"),
        ("(a, b, c, d, (1v, 2v))", "terms", "4 terms"),
        ("(a, , c, (1v, 2v))", "terms", "term 2: a term has no letter"),
        ("(a, b\nb, c, (1v, 2v))", "terms", "term 2 runs over the end of a line"),
        ("(agent, predicate, target, (1v, 2v))", "terms", "a pattern"),
        ('[{"agent": "a", "predicate": "b", "target": "c", "start": 0, "end": 1}]', "terms", "instead of agent"),
        ("(a, b, c, (0v, 6", "cut-off", "the last bracket"),
        ("(a, b, c, (0v, 1v)) (a, b, c, (0v, 1v))", "repeated", "again"),
        ("I see no events.", "nothing", "nothing in brackets"),
        ("(a, b, c, (0v, 1v))" + " " * MOST_CHARACTERS, "oversize", "only the first"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, kind: str, detail: str) -> None:
    problems = parse_events("\n" + text).problems
    assert [problem.kind for problem in problems] == [kind]
    assert detail in problems[0].detail
    assert problems[0].line == (1 if kind in ("nothing", "oversize") else 2)


def test_of_too_many_events_the_first_are_kept() -> None:
    lines = [format_event(lasting(DRINK.model_copy(update={"object": f"cup {number}"}), 0, 1)) for number in range(66)]
    events, problems = parse_events("\n".join(lines))
    assert len(events) == 64
    assert [problem.kind for problem in problems] == ["too-many"] * 2


@pytest.mark.parametrize(
    "text",
    [
        "(lady, in, dress) (Table, in front of, lady), (bag, cloth)",
        "0 SG: [(lady, in, dress), (table, in front of, lady), (bag, cloth)]\n1 SG: []",
        '["(lady, in, dress)", "(table, in front of, lady)", "(bag, cloth)"]',
        "1. (lady, in, dress\n2. (table, in front of, lady\n3. (bag, cloth)",
        "(lady, in, dress, (0v, 5v)); (table, in front of, lady); (bag, cloth)",
    ],
)
def test_triplets_are_read_however_they_are_written(text: str) -> None:
    triplets, attributes, problems = parse_triplets(text)
    assert [format_item(item) for item in (*triplets, *attributes)] == [
        "(lady, in, dress)",
        "(table, in front of, lady)",
        "(bag, cloth)",
    ]
    assert problems == ()


@given(st.text() | st.text("(),[]{}<>|; \n-v019ab\"'"))
def test_any_text_is_survived(text: str) -> None:
    for found in (parse_events(text), parse_triplets(text)):
        assert len(found.problems) <= 64


@pytest.mark.parametrize(
    "piece",
    ["(", "(a,", "(a,b,c", "(a,b,c,(0v,1v)", "(---()", "((", "a,", "()", "-", " \n", "(a,b)", "[0v", "(\n- ", "a b(x)"],
)
def test_time_grows_with_the_length_only(piece: str) -> None:
    text = piece * (MOST_CHARACTERS // len(piece))
    begun = time.process_time()
    parse_events(text)
    parse_triplets(text)
    assert time.process_time() - begun < 4  # under one second on an idle machine; a quadratic reader takes minutes
