"""Round 1: the window slides, what is imagined is merged, and what lasts is carried on."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checks
from hypothesis import strategies as st

from tasks.dysen.gold_sources.gold_sprites import sprite_golds
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, DynamicSceneGraph, Event, SceneGraph, Triplet
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.graphs.graph_edits import additions, apply_edits
from tasks.dysen.imagining.detail_choices import detail_choices
from tasks.dysen.imagining.detail_grammar import format_detail, format_details, items_of, read_details
from tasks.dysen.imagining.imagination import Bounds, Imagined, imagine, imagine_tick
from tasks.dysen.imagining.imagination_prompts import imagination_request
from tasks.dysen.imagining.imagination_window import NOTHING, Example, Window, example_of, window_at
from tasks.dysen.imagining.lasting_details import lasting
from tasks.llm.likelihood import Lines
from tasks.llm.model import CachedModel, open_model
from tests.dysen.enrichment_for_tests import (
    DOGS,
    DOGS_EVENTS,
    LADY,
    answering,
    graph,
    planned,
    question_of,
    with_endpoint,
)
from tests.dysen.graphs_for_tests import attributes_of, events_of_terms, few_terms, triplets_of
from tests.llm.test_local_model import local

pytestmark = pytest.mark.usefixtures("no_proxy")
DRESS = "(lady, wearing, dress)"
GOLD = [gold.graph for gold in sprite_golds({"candidates": 6}, 0, 7, 2)["candidates"]]
PAIR = [gold for gold in GOLD if any(item.predicate == "above" for item in gold.ticks[3].triplets)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def _imagined(sequence: DynamicSceneGraph, replies: dict[str, str], folder: Path) -> tuple[Imagined, list[str]]:
    """What comes of replies, each by a part of its question; and the questions."""

    def details(question: str) -> str:
        return next((reply for part, reply in replies.items() if part in question), "nothing")

    async def use(model: CachedModel) -> Imagined:
        return await imagine(model, sequence, GOLD[:1], Bounds())

    found, server = with_endpoint(answering(details), use, folder)
    return found, [question_of(body) for body in server.bodies]


def test_the_window_slides_over_the_enriched_and_the_planned(folder: Path) -> None:
    sequence = planned()
    found, questions = _imagined(
        sequence, {"Now: (lady, sit on": DRESS, "Now: (lady, look out": "(window, is, open)"}, folder
    )
    assert found.graph.ticks == (
        graph(f"(lady, sit on, chair) {DRESS}"),
        graph(f"(lady, sit on, chair) {DRESS}"),
        graph("(lady, look out of, window) (window, open)"),
        graph("(lady, look out of, window) (window, open)"),
    )
    windows = [
        (NOTHING, sequence.ticks[0], sequence.ticks[1]),
        (found.graph.ticks[0], sequence.ticks[1], sequence.ticks[2]),
        (found.graph.ticks[1], sequence.ticks[2], sequence.ticks[3]),
        (found.graph.ticks[2], sequence.ticks[3], NOTHING),
    ]
    assert questions == [
        f"Sentence: {LADY}\nBefore, with details: {format_details(before)}\nNow: {format_details(now)}\n"
        f"After: {format_details(after)}\nDetails of now:"
        for before, now, after in windows
    ]
    assert (found.asked, found.alike, found.problems) == (4, 0, ())


def test_a_window_like_the_one_before_is_not_asked_about_again(folder: Path) -> None:
    sequence = planned(events="(lady, sit on, chair, (0v, 7v))")
    found, questions = _imagined(sequence, {"sit on": DRESS}, folder)
    assert len(questions) == len(set(questions)) == found.asked == 3
    assert found.alike == 5
    assert set(found.graph.ticks) == {graph(f"(lady, sit on, chair) {DRESS}")}


def test_nothing_is_asked_about_a_tick_in_which_nothing_is_planned(folder: Path) -> None:
    sequence = planned(events="(lady, sit on, chair, (0v, 1v)) (lady, look at, cat, (3v, 4v))")
    found, questions = _imagined(sequence, {"sit on": "(room, is, dark)"}, folder)
    assert all("Now: nothing" not in question for question in questions)
    assert format_details(found.graph.ticks[2]) == "(room, is, dark)"


def test_every_edit_is_logged_with_its_round(folder: Path) -> None:
    found, _ = _imagined(planned(events="(lady, sit on, chair, (0v, 2v))"), {"Before, with details: nothing": DRESS}, folder)
    assert [(entry.edit.source, entry.edit.tick, entry.outcome) for entry in found.log] == [
        ("imagined", 0, "applied"),
        ("carried", 1, "applied"),
        ("carried", 2, "applied"),
    ]


def test_where_much_lasts_less_is_asked_for(folder: Path) -> None:
    rooms = {number: " ".join(f"(lady, in, room {number}{part})" for part in range(9)) for number in range(2)}
    replies = {"sit on": rooms[0]}
    found, _ = _imagined(planned(events="(lady, sit on, chair, (0v, 3v))"), replies, folder)
    assert {len(tick.triplets) for tick in found.graph.ticks} == {1 + 4}
    assert {problem.kind for problem in found.problems} == {"too-many"}


names = few_terms | st.sampled_from(["is", "red dog", "left of", "élan", "a-b"])
texts = st.lists(triplets_of(few_terms) | attributes_of(few_terms), max_size=6).map(
    lambda items: "\n".join(map(format_detail, items)) or "nothing"
)


@checks(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(events_of_terms(few_terms, latest=4), min_size=1, max_size=3), st.lists(texts, min_size=1, max_size=3))
def test_imagination_never_drops_what_is_planned(events: list[Event], replies: list[str]) -> None:
    sequence = DynamicSceneGraph(prompt="p", events=tuple(events), ticks=graphs_of(events))
    left = iter(replies * 20)

    async def use(model: CachedModel) -> Imagined:
        return await imagine(model, sequence, [], Bounds())

    with tempfile.TemporaryDirectory() as name:
        found, _ = with_endpoint(answering(lambda question: next(left)), use, Path(name))
    for before, after in zip(sequence.ticks, found.graph.ticks, strict=True):
        assert set(items_of(before)) <= set(items_of(after))
    assert apply_edits(sequence, [entry.edit for entry in found.log]) == (found.graph, found.log)


@checks(max_examples=40)
@given(
    st.lists(triplets_of(few_terms) | attributes_of(few_terms), max_size=6), st.lists(events_of_terms(few_terms, latest=3))
)
def test_merging_details_is_a_union_and_idempotent(items: list[Triplet | Attribute], events: list[Event]) -> None:
    sequence = DynamicSceneGraph(prompt="p", events=tuple(events), ticks=graphs_of(events) or (NOTHING,))
    once = apply_edits(sequence, additions(0, items, "imagined")).graph
    assert set(items_of(once.ticks[0])) == {*items_of(sequence.ticks[0]), *items}
    assert apply_edits(once, additions(0, items, "imagined")).graph == once


@checks(max_examples=40)
@given(st.lists(triplets_of(names) | attributes_of(names), max_size=6, unique=True))
def test_details_are_read_as_they_are_shown(items: list[Triplet | Attribute]) -> None:
    kept = [item for item in items if isinstance(item, Attribute) or item.subject != item.object]
    assert {*read_details("\n".join(map(format_detail, items))).items} == {
        Attribute(object=item.subject, attribute=item.object)
        if isinstance(item, Triplet) and item.predicate in ("is", "are", "be", "am", "was", "were")
        else item
        for item in kept
    }


def test_details_are_read_in_several_forms() -> None:
    items, problems = read_details("1. (Dog, is, Red)\n- (dog, red), (dog, near, dog), (dog, in front of, house)")
    assert [*map(format_detail, items)] == ["(dog, is, red)", "(dog, in front of, house)"]
    assert problems == ()
    assert read_details("Nothing.") == ((), ())
    assert [problem.kind for problem in read_details("no idea").problems] == ["nothing"]


@pytest.mark.parametrize(
    ("events", "tick", "before", "after"),
    [
        ("(dog, stay in, scene, (0v, 3v))", 1, "(dog, red) (dog, in, basket) (dog, near, box)", "same"),
        (
            "(dog, run to, left, (0v, 3v))",
            1,
            "(dog, red) (dog, wearing, hat) (dog, near, box)",
            "(dog, red) (dog, wearing, hat)",
        ),
        ("(man, push, cart, (0v, 3v))", 1, "(cart, left of, box) (cart, old)", "(cart, old)"),
        ("(man, look at, cart, (0v, 3v))", 1, "(cart, left of, box) (man, above, cart)", "same"),
        (
            "(man, sit on, sofa, (0v, 3v)) (man, drop, cup, (1v, 2v))",
            1,
            "(man, holding, cup) (sofa, in, room)",
            "(sofa, in, room)",
        ),
        ("(man, sit on, sofa, (0v, 3v)) (man, paint, sofa, (1v, 2v))", 2, "(sofa, red) (man, old)", ""),
        ("(man, sit on, sofa, (0v, 3v)) (cat, walk to, sofa, (0v, 1v))", 1, "(cat, grey) (sofa, red)", "(sofa, red)"),
        ("(man, sit on, sofa, (0v, 3v))", 1, "(man, kicking, ball) (man, sit on, sofa)", ""),
    ],
)
def test_what_lasts(events: str, tick: int, before: str, after: str) -> None:
    previous = graph(before)
    wanted = previous if after == "same" else graph(after)
    assert lasting(planned(events=events), tick, previous) == [*items_of(wanted)]


def test_what_lasts_gives_way_to_what_is_imagined(folder: Path) -> None:
    sequence = planned(
        events="(lady, stay in, scene, (0v, 2v)) (cat, stay in, scene, (0v, 1v)) (cat, sit in, scene, (1v, 2v))"
    )
    replies = {"Now: (cat, stay": "(lady, wearing, hat) (lady, holding, cup)", "Now: (cat, sit": "(lady, drop, cup)"}
    found, _ = _imagined(sequence, replies, folder)
    assert format_details(found.graph.ticks[1]) == (
        "(cat, sit in, scene) (lady, drop, cup) (lady, stay in, scene) (lady, wearing, hat)"
    )


def test_an_example_is_the_middle_step_of_gold() -> None:
    sequence = planned(DOGS, DOGS_EVENTS)
    seen = [graph("(red dog, left of, white cat) (red dog, red)")] * 2 + [graph("(red dog, right of, white cat)")] * 2
    gold = apply_edits(sequence, [edit for tick in range(4) for edit in additions(tick, items_of(seen[tick]), "")]).graph
    assert example_of(gold) == Example(DOGS, Window(gold.ticks[1], sequence.ticks[2], sequence.ticks[3]), items_of(seen[2]))
    named = planned(DOGS, DOGS_EVENTS, attributed=True)
    assert example_of(gold, attributed=True).window.current == named.ticks[2]
    assert example_of(sequence) == Example(DOGS, window_at(sequence.ticks, 0, NOTHING), ())
    assert example_of(DynamicSceneGraph(prompt="p")).details == ()


def _choices(caption: str, now: str, after: str = "", examples: tuple[Example, ...] = ()) -> set[str]:
    following = graph(after) if after else NOTHING
    return {format_detail(item) for item in detail_choices(caption, Window(NOTHING, graph(now), following), examples)}


def test_a_small_model_chooses_among_what_the_caption_has() -> None:
    gold = example_of(PAIR[0])
    caption = "A red dog and a white cat in a blue box move from the left to the right on a plain background."
    found = _choices(caption, "(red dog, move to, right)", "(white cat, move to, right)", (gold,))
    assert found == {
        "(red dog, is, red)",
        *(f"(red dog, {relation}, box)" for relation in ("left of", "right of", "above", "below")),
    }
    found = _choices("The dog is old and red.", "(dog, sit on, bench) (dog, red)")
    assert "(dog, holding, bench)" in found
    assert "(dog, is, red)" not in found
    assert _choices("x", "(right, near, scene)") == set()


def test_hostile_captions_and_graphs_give_bounded_questions() -> None:
    many = graph(" ".join(f"(thing {number}, near, other {number})" for number in range(200)))
    window = Window(many, many, many)
    demonstrations = [Example("word " * 5_000, window, items_of(many))] * 32
    request = imagination_request("red noun " * 3_000, window, demonstrations, 4)
    assert isinstance(request.likelihood, Lines)
    assert len(request.likelihood.prompt) <= 30_000
    assert len(request.likelihood.slots[0].choices) <= 10 * 16 * 14
    assert imagination_request("x", Window(NOTHING, NOTHING, NOTHING), [], 4).likelihood is None


def test_conversations_show_demonstrations_in_order() -> None:
    window = window_at(planned().ticks, 0, NOTHING)
    request = imagination_request(LADY, window, [example_of(gold) for gold in PAIR[:2]], 4)
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert PAIR[1].prompt in request.messages[3].content
    assert request.messages[4].content == "\n".join(map(format_detail, example_of(PAIR[1]).details))
    assert request.messages[5].content.startswith(f"Sentence: {LADY}\nBefore, with details: nothing\nNow: (lady, sit on")


def test_the_local_model_imagines_as_gold_shows(folder: Path) -> None:
    window = window_at(planned(DOGS, DOGS_EVENTS).ticks, 1, graph("(red dog, run to, right) (red dog, red)"))
    empty = Window(NOTHING, SceneGraph(), NOTHING)

    async def use() -> tuple[list[Triplet | Attribute], list[Triplet | Attribute]]:
        async with open_model(local(), folder / "replies.jsonl") as model:
            found = await imagine_tick(model, DOGS, window, PAIR[:2])
            return found, await imagine_tick(model, DOGS, empty, PAIR[:2])

    found, none = asyncio.run(use())
    shown = [format_detail(item) for item in found]
    assert {"(red dog, is, red)", "(white cat, is, white)"} <= set(shown)
    assert len(found) <= 4
    assert none == []
