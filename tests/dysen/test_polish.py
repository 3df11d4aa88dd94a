"""Round 2: operations are read however they are written, and what events plan stays."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st

from tasks.dysen.graphs.bracketed_tuples import MOST_CHARACTERS
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, DynamicSceneGraph, Event
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.graphs.graph_edits import Edit, additions, apply_edits
from tasks.dysen.imagining.detail_grammar import format_details, items_of
from tasks.dysen.imagining.edit_grammar import MOST_EDITS, format_edits, parse_edits
from tasks.dysen.imagining.edit_proposals import Proposal, polish_proposals, repair_proposals
from tasks.dysen.imagining.edit_requests import ask_for_polish
from tasks.dysen.imagining.polish import Changed, polish
from tasks.llm.model import CachedModel, open_model
from tests.dysen.enrichment_for_tests import answering, graph, planned, question_of, with_endpoint
from tests.dysen.graphs_for_tests import attributes_of, events_of_terms, few_terms, triplets_of
from tests.llm.test_local_model import local

pytestmark = pytest.mark.usefixtures("no_proxy")
THREE = [
    "add 3 (a, b, c)",
    "remove 0 (a, is, b)",
    "remove 1 (a, is, b)",
    "replace 4 (a, b, c) with (a, d, c)",
]
names = few_terms | st.sampled_from(["red dog", "left of", "add", "remove 3", "all", "élan"])
details = (triplets_of(names) | attributes_of(names)).filter(
    lambda item: isinstance(item, Attribute) or item.subject != item.object
)
edits = st.builds(
    Edit, operation=st.sampled_from(["add", "remove"]), tick=st.integers(0, 9), item=details, source=st.just("x")
) | st.builds(
    Edit, operation=st.just("replace"), tick=st.integers(0, 9), item=details, replacement=details, source=st.just("x")
)


def _read(text: str) -> list[str]:
    found = parse_edits(text, "x", 7)
    assert found.problems == (), found.problems
    return [format_edits([edit]) for edit in found.edits]


@given(st.lists(edits, max_size=8))
def test_edits_are_read_as_they_are_shown(wanted: list[Edit]) -> None:
    assert parse_edits(format_edits(wanted), "x") == (tuple(wanted), ())


@pytest.mark.parametrize(
    "text",
    [
        "add 3 (a, b, c)\nremove 0-1 (a, b)\nreplace 4 (a, b, c) with (a, d, c)",
        "1. Add 3: (a, b, c).\n2. Remove 0 to 1: (a, is, b)\n3. Replace 4 (a, b, c) by (a, d, c)",
        "- tick 3: add (a, b, c)\n- ticks 0–1: delete (a, b)\n- tick 4: (a, b, c) -> (a, d, c)",
        "Tick 3:\n  * insert (a, b, c)\nTicks 0-1:\n  * drop (a, b)\nTick 4:\n  * (A, B, C) => (A, D, C)",
        "add (a, b, c) at tick 3; remove (a, b) from ticks 0 and 1; change (a, b, c) to (a, d, c) at 4",
        "The changes (in order):\n```\nADD 3v [a; b; c]\nREMOVE 0..1 <a, b>\nreplace 4 {a | b | c} → {a | d | c}\n```",
        "<think>add 5 (x, y, z)\n</think>\nadd 3 (a, b, c\nremove 0, 1 (a, b)\nswap 4 (a, b, c) for (a, d, c)",
        '{"operation": "add", "tick": 3, "item": "(a, b, c)"}\n{"op": "remove", "ticks": [0, 1], "item": ["a", "b"]}\n'
        '{"op": "replace", "tick": 4, "item": ["a", "b", "c"], "with": ["a", "d", "c"]}',
        "add SG 3 （a，b，c）\r\nremove graphs 0 until 1 (a, b)\r\nreplace 4 (a, b, c) (a, d, c)",
    ],
)
def test_operations_are_read_however_they_are_written(text: str) -> None:
    assert list(dict.fromkeys(_read(text))) == THREE


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("keep", []),
        ("1. keep\n2. remove 2 (a, b)\n3. keep", ["remove 2 (a, is, b)"]),
        ("No changes are needed: keep (a, b, c) as it is.", []),
        ("remove all (a, b)", [f"remove {tick} (a, is, b)" for tick in range(8)]),
        ("remove every tick: (a, b)", [f"remove {tick} (a, is, b)" for tick in range(8)]),
        ("add 6-60 (a, b)", ["add 6 (a, is, b)", "add 7 (a, is, b)"]),
        ("add 1 (a, b), (c, d); 2 (e, f)", ["add 1 (a, is, b)", "add 1 (c, is, d)", "add 2 (e, is, f)"]),
        ("tick 1: add (a, b), remove (c, d)", ["add 1 (a, is, b)", "remove 1 (c, is, d)"]),
        ("add 1 (a, b) (see above)", ["add 1 (a, is, b)"]),
        ("add\n1 (a, b)\n2 (a, b)", ["add 1 (a, is, b)", "add 2 (a, is, b)"]),
    ],
)
def test_more_operations(text: str, wanted: list[str]) -> None:
    assert _read(text) == wanted


@pytest.mark.parametrize(
    ("text", "kind", "detail"),
    [
        ("add (a, b, c)", "ticks", "no tick"),
        ("0: (a, b, c) (d, e, f)", "operation", "no add, remove or replace"),
        ("add 65 (a, b, c)", "ticks", "whole number up to 64"),
        ("add 1.5 (a, b, c)", "ticks", "whole number"),
        ("add 5-2 (a, b, c)", "ticks", "before it begins"),
        ("add 1 (a, b, c, d)", "terms", "4 terms"),
        ("add 1 (a, near, a)", "terms", "relates to itself"),
        ("replace 1 (a, b, c)", "terms", "nothing to put"),
        ("I see no problem.", "nothing", "no operation"),
        ("keep" + " " * MOST_CHARACTERS, "oversize", "only the first"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, kind: str, detail: str) -> None:
    edits, problems = parse_edits("\n" + text, "x")
    assert edits == ()
    assert [problem.kind for problem in problems] == [kind]
    assert detail in problems[0].detail
    assert problems[0].line == (1 if kind in ("nothing", "oversize") else 2)


def test_of_too_many_edits_the_first_are_kept() -> None:
    found = parse_edits("remove all (a, b)\n" * 100, "x")
    assert len(found.edits) == MOST_EDITS
    assert {problem.kind for problem in found.problems} == {"too-many"}


@given(
    st.text()
    | st.text("(),[]{}<>|; \n-v019ab\"'→")
    | st.lists(st.sampled_from([*THREE, "tick 3:", "->", "(a, b", "all", "\n"])).map(" ".join)
)
def test_any_text_is_survived(text: str) -> None:
    found = parse_edits(text, "x")
    assert len(found.problems) <= 64
    assert all(edit.source == "x" for edit in found.edits)


@pytest.mark.parametrize(
    "piece",
    [
        "(",
        "(a,",
        "add 1 (a,b,c)",
        "add 1 (a",
        "1-",
        "1 - 2 ",
        "all ",
        "add ",
        "->",
        "-",
        "- ",
        "1. ",
        "1 \t",
        "{<",
        "\n",
        "keep\n",
    ],
)
def test_time_grows_with_the_length_only(piece: str) -> None:
    text = piece * (MOST_CHARACTERS // len(piece))
    begun = time.process_time()
    parse_edits(text, "x")
    assert time.process_time() - begun < 4  # under one second on an idle machine; a quadratic reader takes minutes


def _enriched(sequence: DynamicSceneGraph, *more: str) -> DynamicSceneGraph:
    added = [edit for tick, text in enumerate(more) if text for edit in additions(tick, items_of(graph(text)), "")]
    return apply_edits(sequence, added).graph


SOFA = planned("a man sits on a sofa", "(man, sit on, sofa, (0v, 4v))")


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (["(sofa, red)"] * 5, []),
        (["(sofa, red)", "(sofa, red)", "", "(sofa, red)", "(sofa, red)"], [("add 2 (sofa, is, red)", "keep")]),
        (["", "", "", "(man, old)"], [("remove 3 (man, is, old)", "keep")]),
        (["", "", "", "(man, kicking, ball)"], []),
        (
            ["(man, left of, box) (man, right of, box)"] * 5,
            [("remove 0-4 (man, left of, box)", "remove 0-4 (man, right of, box)", "keep")],
        ),
        (["(man, stand on, sofa)"] * 5, [("remove 0-4 (man, stand on, sofa)", "keep")]),
    ],
)
def test_what_is_proposed_for_polish(more: Sequence[str], wanted: list[tuple[str, ...]]) -> None:
    assert polish_proposals(SOFA, _enriched(SOFA, *more)) == [Proposal(options) for options in wanted]


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (["(sofa, red)"] * 5, []),
        (["(sofa, red)", "(sofa, red)", "", "", "(sofa, red)"], [("add 2-3 (sofa, is, red)", "remove 0-1 (sofa, is, red)")]),
        (["(man, in, coat)"], [("add 1-4 (man, in, coat)", "remove 0 (man, in, coat)")]),
        (["(man, stand on, sofa)"], [("remove 0 (man, stand on, sofa)",)]),
        (["", "", "", "", "(man, kicking, a) (man, kicking, b) (man, kicking, c)"], [("remove 4 (man, kicking, a)",)] * 0),
    ],
)
def test_what_is_proposed_for_repair(more: Sequence[str], wanted: list[tuple[str, ...]]) -> None:
    assert repair_proposals(SOFA, _enriched(SOFA, *more), 8) == [Proposal(options) for options in wanted]


def test_as_many_go_as_are_too_many() -> None:
    full = _enriched(SOFA, "", "", "", "", "(man, kicking, a) (man, kicking, b) (man, kicking, c)")
    assert repair_proposals(SOFA, full, 1) == [
        Proposal(("remove 4 (man, kicking, a)", "remove 4 (man, kicking, c)")),
        Proposal(("remove 4 (man, kicking, b)",)),
    ]


def _polished(sequence: DynamicSceneGraph, full: DynamicSceneGraph, reply: str) -> tuple[Changed, list[str]]:
    async def use(model: CachedModel) -> Changed:
        return await polish(model, sequence, full)

    with tempfile.TemporaryDirectory() as folder:
        found, server = with_endpoint(answering(str, reply), use, Path(folder))
    return found, [question_of(body) for body in server.bodies]


def test_polish_applies_what_the_model_writes_in_one_call() -> None:
    full = _enriched(SOFA, *["(sofa, red)"] * 4)
    reply = "add 4 (sofa, red)\nremove 0-4 (man, sit on, sofa)\nreplace 0 (sofa, red) with (sofa, green)"
    found, questions = _polished(SOFA, full, reply)
    assert [format_details(tick) for tick in found.graph.ticks] == [
        "(sofa, is, green) (man, sit on, sofa)",
        *["(sofa, is, red) (man, sit on, sofa)"] * 4,
    ]
    assert [entry.outcome for entry in found.log] == ["applied", *["planned"] * 5, "applied"]
    assert {entry.edit.source for entry in found.log} == {"polished"}
    (question,) = questions
    assert question.startswith("Sentence: a man sits on a sofa\n0: (sofa, is, red) (man, sit on, sofa)\n1: ")
    assert "(man, sit on, sofa, (0v, 4v))" in question


@checks(max_examples=15, deadline=None)
@given(
    st.lists(events_of_terms(few_terms, latest=4), min_size=1, max_size=3), st.lists(edits, max_size=8), st.integers(0, 99)
)
def test_polish_never_removes_what_is_planned(events: list[Event], wanted: list[Edit], number: int) -> None:
    sequence = DynamicSceneGraph(prompt="p", events=tuple(events), ticks=graphs_of(events))
    plans = [item for tick in sequence.ticks for item in tick.triplets]
    aimed = Edit(operation="remove", tick=number % len(sequence.ticks), item=plans[number % len(plans)], source="x")
    found, _ = _polished(sequence, sequence, format_edits([*wanted, aimed]))
    for before, after in zip(sequence.ticks, found.graph.ticks, strict=True):
        assert set(before.triplets) <= set(after.triplets)


def test_the_local_model_chooses_one_of_each_proposal() -> None:
    full = _enriched(
        SOFA, "(sofa, red)", "(sofa, red)", "", "(sofa, red)", "(sofa, red) (man, left of, box) (man, right of, box)"
    )
    proposals = polish_proposals(SOFA, full)

    async def use() -> tuple[list[str], int]:
        with tempfile.TemporaryDirectory() as folder:
            async with open_model(local(), Path(folder) / "replies.jsonl") as model:
                chosen = await ask_for_polish(model, full, proposals, "polished")
                nothing = await ask_for_polish(model, full, [], "polished")
                assert chosen.problems == nothing.problems == nothing.edits == ()
                return [format_edits([edit]) for edit in chosen.edits], model.counts.asked

    found, asked = asyncio.run(use())
    assert asked == 1
    options = [set(proposal.options) for proposal in proposals]
    assert len(options) == 2
    assert all(sum(text in option for text in found) <= 1 for option in options)
    assert all(any(text in option for option in options) for text in found)
