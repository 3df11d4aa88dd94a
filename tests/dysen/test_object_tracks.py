"""Sightings linked to tracks, and the events of their paths."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dysen.gold_sources.gold_sprites import boxes_of_sprites, events_of_sprites, sprite_gold
from tasks.dysen.gold_sources.object_tracks import Linking, Sighting, each_once, link
from tasks.dysen.gold_sources.track_events import events_of_track
from tasks.dysen.graphs.dynamic_scene_graph import Event
from tasks.dysen.graphs.spatial_predicates import Box

_PHRASES = st.sampled_from(["red car", "blue dog", "car"])
_SIGHTINGS = st.builds(
    lambda x, y, side, phrase, score: Sighting((x, y, x + side, y + side), phrase, score),
    *[st.floats(0, 0.8)] * 2,
    st.floats(0.05, 0.2),
    _PHRASES,
    st.floats(0, 1),
)
_VIDEOS = st.lists(st.lists(_SIGHTINGS, max_size=4), max_size=6)


def _at(x: float, y: float, side: float = 0.2) -> Box:
    return (x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def _see(x: float, y: float, phrase: str = "red car", score: float = 0.9) -> Sighting:
    return Sighting(_at(x, y), phrase, score)


def test_two_things_of_one_phrase_keep_their_numbers_while_they_move() -> None:
    frames = [[_see(0.9 - frame / 10, 0.8), _see(0.1 + frame / 10, 0.2)] for frame in range(8)]
    first, second = link(frames)
    assert (first.name, second.name) == ("red car", "red car 2")
    assert [round(box[0], 6) for box in first.boxes.values()] == [round(frame / 10, 6) for frame in range(8)]
    assert {round(box[1], 6) for box in second.boxes.values()} == {0.7}


def test_a_thing_that_is_missed_for_a_while_is_the_same_and_stands_between() -> None:
    frames = [[_see(0.1 + frame / 10, 0.2)] if frame not in (3, 4) else [] for frame in range(8)]
    (track,) = link(frames)
    assert list(track.boxes) == list(range(8))
    assert track.boxes[3] == pytest.approx(_at(0.4, 0.2))


@pytest.mark.parametrize(("missing", "present"), [((0, 1), range(8)), ((6, 7), range(8)), ((0, 1, 2), range(3, 8))])
def test_only_a_long_gap_at_the_ends_is_an_absence(missing: tuple[int, ...], present: range) -> None:
    (track,) = link([[] if frame in missing else [_see(0.5, 0.5)] for frame in range(8)])
    assert list(track.boxes) == list(present)


def test_a_thing_that_comes_back_after_a_long_gap_is_another_one() -> None:
    frames = [[_see(0.5, 0.5)] if frame in (0, 1, 6, 7) else [] for frame in range(8)]
    assert [track.name for track in link(frames)] == ["red car", "red car 2"]


def test_no_thing_leaps_through_the_canvas() -> None:
    frames = [[_see(0.1, 0.1)]] * 3 + [[_see(0.9, 0.9)]] * 3
    assert [list(track.boxes) for track in link(frames)] == [[0, 1, 2], [3, 4, 5]]


def test_what_is_seen_once_is_taken_for_a_mistake_but_in_a_single_frame() -> None:
    assert link([[_see(0.5, 0.5)], [], []]) == []
    assert [track.name for track in link([[_see(0.5, 0.5)]])] == ["red car"]
    assert link([]) == []


def test_a_name_that_ends_with_a_number_is_not_given_twice() -> None:
    frames = [[_see(0.1, 0.1, "car"), _see(0.9, 0.1, "car"), _see(0.5, 0.9, "car 2")]] * 3
    assert sorted(track.name for track in link(frames)) == ["car", "car 2", "car 3"]


def test_the_better_of_two_boxes_of_one_thing_counts() -> None:
    seen = [_see(0.5, 0.5, "car", 0.6), _see(0.51, 0.5, "red car", 0.8), _see(0.1, 0.1, "car", 0.4)]
    assert [(item.phrase, item.score) for item in each_once(seen, 0.5)] == [("red car", 0.8), ("car", 0.4)]


@given(_VIDEOS, st.integers(0, 1000))
def test_the_order_of_detections_changes_nothing(frames: list[list[Sighting]], seed: int) -> None:
    random = Random(seed)  # noqa: S311 - of a test
    shuffled = [random.sample(frame, len(frame)) for frame in frames]
    assert link(shuffled) == link(frames)


@given(_VIDEOS, st.integers(0, 3), st.integers(1, 3))
def test_tracks_are_whole_and_named_once(frames: list[list[Sighting]], gap: int, least: int) -> None:
    tracks = link(frames, Linking(longest_gap=gap, least_sightings=least))
    assert len({track.name for track in tracks}) == len(tracks)
    for track in tracks:
        assert list(track.boxes) == list(range(min(track.boxes), max(track.boxes) + 1))
        assert 0 <= min(track.boxes) <= max(track.boxes) < len(frames)
        events = events_of_track(track.name, track.boxes, len(frames))
        assert all(0 <= event.start < event.end < len(frames) for event in events)
        assert bool(events) == (len(frames) > 1)


@given(st.integers(0, 2**32), st.sampled_from([7, 8, 11, 12, 15]), st.integers(1, 4))
def test_exact_boxes_give_the_exact_events_back(seed: int, last_tick: int, most_actors: int) -> None:
    clip, _ = sprite_gold("a", seed, last_tick, most_actors)
    frames = [[Sighting(box, name, 1.0) for name, box in seen.items()] for seen in boxes_of_sprites(clip)]
    tracks = link(frames)
    assert sorted(track.name for track in tracks) == sorted(actor.name for actor in clip.actors)
    told = [event for track in tracks for event in events_of_track(track.name, track.boxes, clip.frames)]
    assert sorted(told, key=_key) == sorted(events_of_sprites(clip), key=_key)


def _key(event: Event) -> tuple[str, int, int, str]:
    return (event.agent, event.start, event.end, event.predicate)


def _path(*points: tuple[float, float]) -> dict[int, Box]:
    return {frame: _at(x, y) for frame, (x, y) in enumerate(points)}


@pytest.mark.parametrize(
    ("points", "events"),
    [
        ([(0.5, 0.5)] * 8, [("stay in", "scene", 0, 7)]),
        ([(0.4 + frame * 0.03, 0.5) for frame in range(8)], [("stay in", "scene", 0, 7)]),
        ([(0.1 + frame * 0.11, 0.9) for frame in range(8)], [("move to", "right", 0, 7)]),
        ([(0.9 - frame * 0.05, 0.9) for frame in range(8)], [("move to", "center", 0, 7)]),
        ([(0.1 + frame * 0.11, 0.1 + frame * 0.11) for frame in range(8)], [("move to", "lower right", 0, 7)]),
        (
            [(0.1, 0.5)] * 4 + [(0.1 + step * 0.2, 0.5) for step in range(1, 5)],
            [("stay in", "scene", 0, 3), ("move to", "right", 3, 7)],
        ),
        (
            [(0.9, 0.1), (0.7, 0.1), (0.5, 0.1), (0.3, 0.1), (0.1, 0.1), (0.3, 0.1), (0.5, 0.1), (0.7, 0.1)],
            [("move to", "left", 0, 4), ("move to", "right", 4, 7)],
        ),
    ],
)
def test_a_path_is_told_in_legs(points: list[tuple[float, float]], events: list[tuple[str, str, int, int]]) -> None:
    told = events_of_track("red car", _path(*points), len(points))
    assert [(event.predicate, event.target, event.start, event.end) for event in told] == events


def test_a_thing_that_comes_and_goes() -> None:
    boxes = {frame: _at(0.5, 0.5) for frame in range(2, 5)}
    told = events_of_track("red car", boxes, 8)
    assert [(event.predicate, event.start, event.end) for event in told] == [
        ("appear in", 2, 3),
        ("stay in", 2, 5),
        ("disappear from", 5, 6),
    ]
