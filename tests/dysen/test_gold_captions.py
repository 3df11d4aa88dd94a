"""Gold graphs of captions, and events placed in the parts of a video that their sentences tell of."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tasks.dysen.checks.graph_verifiers import verify_plan
from tasks.dysen.gold_sources.annotation_rows import AnnotatedVideo, TimedSentence
from tasks.dysen.gold_sources.gold_captions import caption_graph, events_in_time, tell
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, Event
from tests.dysen.graphs_for_tests import events_of_terms, few_terms


def _event(agent: str, start: int, end: int) -> Event:
    return Event(agent=agent, predicate="run in", target="scene", start=start, end=end)


def _first_words(captions: Sequence[str], last_tick: int) -> list[tuple[Event, ...]]:
    """A parser for which the first word of a caption runs all the time."""
    return [(_event(caption.split()[0].lower(), 0, last_tick),) for caption in captions]


def test_a_caption_becomes_a_graph_for_each_tick() -> None:
    graph = caption_graph("a red car runs", [_event("red car", 2, 4)], last_tick=7)
    assert graph.source == "captions"
    assert [len(tick.triplets) for tick in graph.ticks] == [0, 0, 1, 1, 1, 0, 0, 0]
    assert graph.ticks[2].attributes == (Attribute(object="red car", attribute="red"),)


def test_sentences_with_times_are_one_prompt_with_events_at_their_times() -> None:
    segments = (
        TimedSentence(0.0, 30.0, "Dogs run."),
        TimedSentence(20.0, 60.0, "Cats run."),
        TimedSentence(59.0, 60.0, "Ants run."),
    )
    timed = AnnotatedVideo("v", "v.mp4", ("Dogs run.", "Cats run.", "Ants run."), segments, 60.0)
    (told,) = tell([timed], _first_words, last_tick=6, sentences=1)
    assert told.prompt == "Dogs run. Cats run. Ants run."
    assert told.events == (_event("dogs", 0, 3), _event("cats", 2, 6), _event("ants", 5, 6))


def test_captions_without_times_are_a_prompt_each() -> None:
    videos = [
        AnnotatedVideo("a", "a.mp4", ("Dogs run.", "Cats run.", "Ants run.")),
        AnnotatedVideo("b", "b.mp4", ("Bees run.",)),
    ]
    told = list(tell(videos, _first_words, last_tick=6, sentences=2))
    assert [(one.video.id, one.prompt, one.events[0].agent) for one in told] == [
        ("a", "Dogs run.", "dogs"),
        ("a", "Cats run.", "cats"),
        ("b", "Bees run.", "bees"),
    ]


def test_events_of_a_sentence_share_its_part_as_they_shared_the_whole() -> None:
    told = [(_event("dog", 0, 4), _event("cat", 4, 8), _event("ant", 7, 8))]
    (part,) = [TimedSentence(40.0, 80.0, "x")]
    assert events_in_time([part], 80.0, told, 8) == (_event("dog", 4, 6), _event("cat", 6, 8), _event("ant", 7, 8))


_SEGMENTS = st.builds(lambda a, b: TimedSentence(min(a, b), max(a, b), "x"), *[st.floats(0, 50)] * 2)


@given(st.lists(st.tuples(_SEGMENTS, st.lists(events_of_terms(few_terms, 12), max_size=4)), max_size=4), st.floats(1e-3, 50))
def test_events_in_time_stay_within_the_video_and_can_be_planned(
    parts: list[tuple[TimedSentence, list[Event]]], duration_s: float
) -> None:
    told = [events for _, events in parts]
    events = events_in_time([segment for segment, _ in parts], duration_s, told, last_tick=12)
    assert all(0 <= event.start < event.end <= 12 for event in events)
    assert {event.triplet for event in events} == {event.triplet for of_sentence in told for event in of_sentence}
    assert [event.start for event in events] == sorted(event.start for event in events)
    graph = caption_graph("x", events, last_tick=12)
    assert len(graph.ticks) == 13
    assert verify_plan(graph) == []
