"""The parser from captions to timed events."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from tasks.captions.caption_tokens import read_words
from tasks.captions.caption_words import CLOSED
from tasks.captions.english_verbs import FORMS
from tasks.dysen.checks.graph_verifiers import verify_order
from tasks.dysen.clauses.caption_tagging import tagged_captions
from tasks.dysen.clauses.clause_events import ClauseEventParser
from tasks.dysen.graphs.dynamic_scene_graph import Event, triplet_key
from tasks.dysen.graphs.event_grammar import format_event
from tasks.dysen.scores.term_matching import MatchCounts, item_matches, lemma_match
from tasks.spriteworld.clips import Clip, caption_of_clip, events_of_clip, sample_clip
from tests.dysen.graphs_for_tests import EVENTS, PROMPT

EVERYDAY = [json.loads(line) for line in Path(__file__).with_name("everyday_captions.jsonl").read_text().splitlines()]
PREDICATES = {"stay": "stay in", "appear": "appear in", "disappear": "disappear from"}
parser = ClauseEventParser()


def parsed(caption: str, last_tick: int = 8) -> list[str]:
    return [format_event(event) for event in parser.events_of(caption, last_tick)]


# ---- sprite world


def gold_events(clip: Clip) -> list[Event]:
    last = clip.frames - 1
    return [
        Event(
            agent=told.agent,
            predicate=PREDICATES.get(told.predicate, told.predicate),
            target=told.target or "scene",
            start=told.start,
            end=told.end + (told.predicate != "move to" and told.end < last),
        )
        for told in events_of_clip(clip)
    ]


def key(event: Event) -> tuple[str | int, ...]:
    return (event.start, event.end, event.agent, event.predicate, event.target)


@pytest.mark.parametrize(("seed", "frames", "most_actors"), [(0, 8, 1), (1, 8, 2), (2, 8, 4), (3, 5, 3), (4, 17, 3)])
def test_sprite_captions_give_exactly_what_happens(seed: int, frames: int, most_actors: int) -> None:
    random = np.random.default_rng(seed)
    clips = [sample_clip(random, frames, most_actors) for _ in range(200)]
    found = parser.events_of_all([caption_of_clip(clip) for clip in clips], frames - 1)
    right = [
        sorted(events, key=key) == sorted(gold_events(clip), key=key) for clip, events in zip(clips, found, strict=True)
    ]
    assert np.mean(right) >= 0.97


# ---- everyday captions


def matched(events: tuple[Event, ...], triplets: list[tuple[str, ...]]) -> MatchCounts:
    told = list(dict.fromkeys(triplet_key(event.triplet) for event in events))
    matches = item_matches(told, triplets, ("object", "predicate", "object"), lemma_match)
    return MatchCounts(matches[linear_sum_assignment(matches, maximize=True)].sum(), len(told), len(triplets))


@pytest.mark.parametrize(("part", "recall", "precision"), [("known", 0.95, 0.95), ("unseen", 0.8, 0.8)])
def test_everyday_captions(part: str, recall: float, precision: float) -> None:
    rows = [row for row in EVERYDAY if row["set"] == part]
    found = parser.events_of_all([row["caption"] for row in rows], 7)
    counts = sum(
        (matched(events, [tuple(triplet) for triplet in row["triplets"]]) for row, events in zip(rows, found, strict=True)),
        MatchCounts(),
    )
    assert counts.recall >= recall
    assert counts.precision >= precision


def test_order_words_are_obeyed() -> None:
    captions = [row["caption"] for row in EVERYDAY]
    for caption, events in zip(captions, parser.events_of_all(captions, 16), strict=True):
        assert verify_order(caption, events) == [], caption


def test_the_example_of_the_method() -> None:
    events = sorted(parser.events_of(PROMPT, 7), key=lambda event: (event.start, -event.end))
    assert matched(tuple(events), [triplet_key(event.triplet) for event in EVENTS]) == MatchCounts(5, 5, 5)
    verbs = {event.predicate.split()[0]: event for event in events}
    gold = {"sit": EVENTS[0], "drink": EVENTS[1], "meet": EVENTS[2], "greet": EVENTS[3], "look": EVENTS[4]}
    for verb, one in gold.items():
        for other_verb, other in gold.items():
            if one.start < other.start:
                assert verbs[verb].start <= verbs[other_verb].start
            if one.end <= other.start:
                assert verbs[verb].end <= verbs[other_verb].start
    assert (verbs["sit"].start, verbs["sit"].end) == (0, 7)


# ---- readings, one by one

READINGS = {
    "A red car and a blue ball.": ["(red car, stay in, scene, (0v, 8v))", "(blue ball, stay in, scene, (0v, 8v))"],
    "Two red cars race down a hill.": ["(two red cars, race down, hill, (0v, 8v))"],
    "A ball is thrown by a boy.": ["(boy, throw, ball, (0v, 8v))"],
    "A cat sits on a chair.": ["(cat, sit on, chair, (0v, 8v))"],
    "A lady looks out the window.": ["(lady, look out, window, (0v, 8v))"],
    "A man puts a bottle in a bag.": ["(man, put, bottle, (0v, 8v))", "(man, put in, bag, (0v, 8v))"],
    "A dog stands under a tree.": ["(dog, stand under, tree, (0v, 8v))"],
    "A bird flies.": ["(bird, fly in, scene, (0v, 8v))"],
    "A flying bird.": ["(bird, fly in, scene, (0v, 8v))"],
    "A red dog runs and the dog barks.": ["(red dog, run in, scene, (0v, 4v))", "(red dog, bark in, scene, (4v, 8v))"],
    "A dog runs and a cat sleeps.": ["(dog, run in, scene, (0v, 8v))", "(cat, sleep in, scene, (0v, 8v))"],
    "A dog runs, then a cat sleeps.": ["(dog, run in, scene, (0v, 4v))", "(cat, sleep in, scene, (4v, 8v))"],
    "A dog runs before a cat jumps.": ["(dog, run in, scene, (0v, 4v))", "(cat, jump in, scene, (4v, 8v))"],
    "A dog runs after a cat jumps.": ["(cat, jump in, scene, (0v, 4v))", "(dog, run in, scene, (4v, 8v))"],
    "After a cat jumps, a dog runs.": ["(cat, jump in, scene, (0v, 4v))", "(dog, run in, scene, (4v, 8v))"],
    "Before a cat jumps, a dog runs.": ["(dog, run in, scene, (0v, 4v))", "(cat, jump in, scene, (4v, 8v))"],
    "While a cat jumps, a dog runs.": ["(cat, jump in, scene, (0v, 8v))", "(dog, run in, scene, (0v, 8v))"],
    "A dog runs after a cat.": ["(dog, run after, cat, (0v, 8v))"],
    "A man sits, eats, stands up and walks away.": [
        "(man, sit in, scene, (0v, 4v))",
        "(man, eat in, scene, (2v, 4v))",
        "(man, stand up in, scene, (4v, 6v))",
        "(man, walk away in, scene, (6v, 8v))",
    ],
    "A man sits on a bench and eats.": ["(man, sit on, bench, (0v, 8v))", "(man, eat in, scene, (0v, 8v))"],
    "In the second half, a dog jumps.": ["(dog, jump in, scene, (4v, 8v))"],
    "A cat appears at the end.": ["(cat, appear in, scene, (6v, 7v))", "(cat, stay in, scene, (6v, 8v))"],
    "A cat is not visible in the first half.": ["(cat, appear in, scene, (4v, 5v))", "(cat, stay in, scene, (4v, 8v))"],
    "A dog runs and disappears.": ["(dog, run in, scene, (0v, 4v))", "(dog, disappear from, scene, (4v, 5v))"],
    "A dog that chases a cat barks.": ["(dog, chase, cat, (0v, 4v))", "(dog, bark in, scene, (4v, 8v))"],
    "The ball that a boy kicks is red.": ["(boy, kick, ball, (0v, 8v))", "(ball, stay in, scene, (0v, 8v))"],
    "A robot picks a box from a shelf and drops it.": [
        "(robot, pick, box, (0v, 4v))",
        "(robot, pick from, shelf, (0v, 4v))",
        "(robot, drop, box, (4v, 8v))",
    ],
    "The camera follows a fox running through snow.": ["(fox, run through, snow, (0v, 8v))"],
    "A dog does not move.": ["(dog, stay in, scene, (0v, 8v))"],
    "A car moves from the left to the top, then to the right, and then to the bottom left.": [
        "(car, move to, top, (0v, 3v))",
        "(car, move to, right, (3v, 5v))",
        "(car, move to, lower left, (5v, 8v))",
    ],
    "": [],
    "and then , of the": [],
}


@pytest.mark.parametrize("caption", READINGS)
def test_readings(caption: str) -> None:
    assert sorted(parsed(caption)) == sorted(READINGS[caption])


def test_actions_share_ticks_when_there_are_more_of_them() -> None:
    verbs = ("eats", "drinks", "sings", "laughs", "cries", "jumps")
    events = parser.events_of(f"A man {', '.join(verbs[:-1])} and {verbs[-1]}.", 3)
    assert [event.predicate.split()[0] for event in events] == ["eat", "drink", "sing", "laugh", "cry", "jump"]
    assert {(event.start, event.end) for event in events} == {(0, 1), (1, 2), (2, 3)}


def test_captions_keep_their_order_and_may_stand_twice() -> None:
    captions = ["a dog runs", "a cat sleeps", "a dog runs"]
    assert parser.events_of_all(captions, 4) == [parser.events_of(caption, 4) for caption in captions]
    assert parser.events_of_all([], 4) == []


@pytest.mark.parametrize("last_tick", [0, -1, 65])
def test_a_length_out_of_range_is_refused(last_tick: int) -> None:
    with pytest.raises(ValueError, match="last_tick"):
        parser.events_of("a dog runs", last_tick)


# ---- any text

word = st.sampled_from([*sorted(CLOSED), *sorted(FORMS)[::7], "dog", "cat", "man", "scene", "half", "her", "back", "of"])
texts = st.one_of(st.text(max_size=80), st.lists(word, max_size=30).map(" ".join))


@settings(max_examples=150, deadline=None)
@given(texts, st.integers(1, 64))
@example("the dog " * 1000, 7)
@example("a man sits and " * 300, 1)
@example("x" * 100_000, 7)
@example("((" * 5000, 7)
def test_any_text_gives_valid_events(text: str, last_tick: int) -> None:
    events = parser.events_of(text, last_tick)
    assert len(events) <= 64
    assert len(set(events)) == len(events)
    assert all(0 <= event.start < event.end <= last_tick for event in events)
    assert all(Event.model_validate(event.model_dump()) == event for event in events)
    assert [event.start for event in events] == sorted(event.start for event in events)


@settings(max_examples=30, deadline=None)
@given(st.lists(texts, max_size=4))
def test_faster_tagging_gives_the_same_words(captions: list[str]) -> None:
    assert [tagged.words for tagged in tagged_captions(captions)] == list(read_words(captions))


def test_faster_tagging_gives_the_same_words_for_captions() -> None:
    captions = [row["caption"] for row in EVERYDAY]
    for tagged, words in zip(tagged_captions(captions), read_words(captions), strict=True):
        assert tagged.words == words
        assert len(tagged.tokens) == len(words)
