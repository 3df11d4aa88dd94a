"""Clips: motion, boxes, events and captions agree with each other and with the pixels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.spriteworld.clips import MOTIONS, PLACES, Actor, Clip, caption_of_clip, events_of_clip, render_clip, sample_clip
from tasks.spriteworld.render import render_background
from tasks.spriteworld.scene import CANVAS_PIXELS, overlap

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.sampled_from([2, 8, 16]))
def test_boxes_stay_inside_and_apart(seed: int, frames: int) -> None:
    clip = sample_clip(np.random.default_rng(seed), frames)
    assert 1 <= len(clip.actors) <= 4
    assert len({actor.name for actor in clip.actors}) == len(clip.actors)
    for actor in clip.actors:
        assert len(actor.boxes) == frames
        for box in filter(None, actor.boxes):
            assert min(box) >= 0
            assert max(box) <= CANVAS_PIXELS
    for first, second in itertools.combinations(clip.actors, 2):
        for mine, theirs in zip(first.boxes, second.boxes, strict=True):
            assert not (mine and theirs) or overlap(mine, theirs) == 0


@given(seeds)
def test_events_tell_the_boxes(seed: int) -> None:
    clip = sample_clip(np.random.default_rng(seed), 8)
    events = events_of_clip(clip)
    assert [event.start for event in events] == sorted(event.start for event in events)
    for actor in clip.actors:
        mine = [event for event in events if event.agent == actor.name]
        assert mine
        for event in mine:
            assert 0 <= event.start <= event.end < clip.frames
            if event.predicate == "appear":
                assert actor.boxes[event.start - 1] is None
                assert actor.boxes[event.start] is not None
            elif event.predicate == "disappear":
                assert actor.boxes[event.start] is None
            elif event.predicate == "stay":
                assert len({box for box in actor.boxes if box}) == 1
            else:
                assert_reaches(actor, event.target, event.end)


def assert_reaches(actor: Actor, place: str, frame: int) -> None:
    """With an even pace, a corner in the middle of a path falls between two frames: one step of tolerance."""
    box = actor.boxes[frame]
    assert box is not None
    step = 2 * CANVAS_PIXELS / (len(actor.boxes) - 1)
    for axis in (0, 1):
        wanted = PLACES[place][axis]
        if wanted == 0:
            assert box[axis] <= 1 + step / 2
        elif wanted == 1:
            assert box[axis + 2] >= CANVAS_PIXELS - 1 - step / 2


@given(seeds)
def test_captions_name_every_actor_and_motion(seed: int) -> None:
    clip = sample_clip(np.random.default_rng(seed))
    caption = caption_of_clip(clip)
    for actor in clip.actors:
        assert f"{actor.name} {actor.motion.words}" in caption


@given(seeds)
def test_pixels_change_where_boxes_are_and_nowhere_else(seed: int) -> None:
    clip = sample_clip(np.random.default_rng(seed), 4)
    pixels = render_clip(clip)
    background = render_background(clip.background, clip.background_seed)
    assert pixels.shape == (4, 64, 64, 3)
    for frame in range(4):
        covered = np.zeros((64, 64), bool)
        for actor in clip.actors:
            if (box := actor.boxes[frame]) is not None:
                left, top = (int(np.floor(value)) for value in box[:2])
                right, bottom = (int(np.ceil(value)) for value in box[2:])
                covered[top:bottom, left:right] = True
        changed = (pixels[frame] != background).any(axis=2)
        assert not (changed & ~covered).any()
        assert changed.any() == covered.any()


def test_every_motion_comes_up() -> None:
    seen = {actor.motion.words for seed in range(200) for actor in sample_clip(np.random.default_rng(seed)).actors}
    assert seen == {motion.words for motion in MOTIONS}


def test_a_sprite_looks_where_it_goes() -> None:
    moving = next(motion for motion in MOTIONS if motion.places == ("right", "left"))
    boxes = tuple((40.0 - 8 * f, 20.0, 60.0 - 8 * f, 38.0) for f in range(4))
    there = Clip((Actor("dog", "red", moving, boxes),), "plain", 3, 4)
    back = Clip((Actor("dog", "red", moving, boxes[::-1]),), "plain", 3, 4)
    first, last = render_clip(there)[0], render_clip(back)[-1]
    assert not np.array_equal(first, last), "the same place, but facing the other way"


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_clips_are_drawn(frames: int) -> None:
    for seed in range(20):
        clip = sample_clip(np.random.default_rng(seed), frames)
        assert render_clip(clip).shape[0] == frames
        assert all(event.end < frames for event in events_of_clip(clip))
