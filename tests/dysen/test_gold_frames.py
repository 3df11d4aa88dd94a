"""Gold graphs of frames: what the sprite detector sees, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from tasks.corpus.detector import PhraseDetector
from tasks.dysen.gold_sources.gold_frames import FrameReader, Looking, asked_for, frames_graph, phrases_of_all
from tasks.dysen.gold_sources.gold_sprites import sprite_golds
from tasks.dysen.gold_sources.object_tracks import Sighting
from tasks.dysen.scores.graph_metrics import GraphCounts, count_matches
from tasks.dysen.scores.planning_reliability import planning_reliability
from tasks.spriteworld.clips import render_clip
from tests.dysen.gold_for_tests import ROOT

_LOOKING = Looking(resolution=64, box_threshold=0.3, text_threshold=0.3, batch=32)


def _open() -> PhraseDetector:
    return PhraseDetector(str(ROOT / "models/sprite/detector"), None, "cpu", torch.float32)


@pytest.fixture(scope="module")
def reader() -> FrameReader:
    return FrameReader(_open, _LOOKING)


@pytest.mark.parametrize(
    ("found", "asked", "phrase"),
    [
        ("red car", ["red car", "blue car"], "red car"),
        ("a red car", ["red car", "car"], "red car"),
        ("car", ["red car", "car"], "car"),
        ("car", ["red car", "blue dog"], "red car"),
        ("car", ["red car", "blue car"], ""),
        ("red dog", ["red car", "blue dog"], ""),
        ("t - shirt", ["t-shirt"], "t-shirt"),
        ("", ["red car"], ""),
        ("a", ["red car"], ""),
        ("car", [], ""),
    ],
)
def test_what_is_found_is_called_as_it_was_asked_for(found: str, asked: Sequence[str], phrase: str) -> None:
    assert asked_for(found, asked) == phrase


def test_captions_say_what_to_look_for() -> None:
    captions = ["a red car moving from the left to the right and two blue dogs on a plain background.", "Nothing."]
    assert phrases_of_all(captions)[0] == ("red car", "blue dog")
    assert phrases_of_all([]) == []


def test_graphs_of_rendered_clips_are_those_that_they_were_made_from(reader: FrameReader) -> None:
    golds = sprite_golds({"heldout": 12}, seed=0, last_tick=7, most_actors=2)["heldout"]
    counts, reliabilities = GraphCounts(), []
    for gold in golds:
        graph = reader.graph(gold.graph.prompt, render_clip(gold.clip), [actor.name for actor in gold.clip.actors])
        assert len(graph.ticks) == 8
        counts += count_matches(graph.ticks, gold.graph.ticks)
        reliabilities.append(planning_reliability(graph.events, gold.graph.events))
    assert counts.triplets.precision > 0.95
    assert counts.triplets.recall > 0.95
    assert np.mean(reliabilities) > 0.95


def test_frames_of_any_shape_are_looked_at_as_a_whole(reader: FrameReader) -> None:
    gold = sprite_golds({"heldout": 2}, seed=0, last_tick=7, most_actors=2)["heldout"][1]
    asked = [actor.name for actor in gold.clip.actors]
    wide = np.repeat(np.repeat(render_clip(gold.clip), 2, axis=1), 3, axis=2)
    graph = reader.graph(gold.graph.prompt, wide, asked)
    assert graph.events == reader.graph(gold.graph.prompt, render_clip(gold.clip), asked).events


def test_nothing_is_asked_and_no_detector_opened_for_a_prompt_without_things() -> None:
    def fail() -> PhraseDetector:
        raise AssertionError("opened")

    graph = FrameReader(fail, _LOOKING).graph("nothing", np.zeros((3, 8, 8, 3), np.uint8), ())
    assert [tick.objects for tick in graph.ticks] == [(), (), ()]
    assert graph.events == ()


def test_a_single_frame_shows_where_things_are_and_no_event() -> None:
    seen = [Sighting((0.0, 0.4, 0.2, 0.6), "red car", 0.9), Sighting((0.8, 0.4, 1.0, 0.6), "red car", 0.8)]
    graph = frames_graph("two red cars", [seen])
    assert graph.events == ()
    assert [(item.subject, item.predicate, item.object) for item in graph.ticks[0].triplets] == [
        ("red car", "left of", "red car 2")
    ]
    assert [item.attribute for item in graph.ticks[0].attributes] == ["red", "red"]
