"""Story pictures: every place and style of stories is drawn, and captions say what is to be seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.dreamframe.story_vocabulary import SETTINGS
from tasks.dreamframe.story_vocabulary import STYLES as STYLE_PHRASES
from tasks.spriteworld.backdrops import BACKDROPS, MOTIFS, render_backdrop
from tasks.spriteworld.picture_styles import STYLES, apply_style
from tasks.spriteworld.scene import SpriteObject
from tasks.spriteworld.story_pictures import (
    PLAIN,
    StoryPicture,
    caption_of_story_picture,
    render_story_picture,
    sample_story_picture,
    things_of,
)
from tasks.spriteworld.story_pools import render_story_pictures
from tasks.spriteworld.text_to_image_model import time_ids

DOG = SpriteObject("dog", "brown", (20.0, 30.0, 44.0, 54.0), "right")


def test_every_place_and_style_of_stories_is_drawn() -> None:
    assert set(BACKDROPS) == {place.name for places in SETTINGS.values() for place in places}
    assert set(STYLES) == set(STYLE_PHRASES)
    assert {name for backdrop in BACKDROPS.values() for name, *_ in backdrop.motifs} == set(MOTIFS)


def test_places_differ_from_each_other_more_than_from_themselves() -> None:
    first, second = ([render_backdrop(place, seed).astype(float) for place in BACKDROPS] for seed in (1, 2))
    apart = np.array([[np.abs(one - other).mean() for other in second] for one in first])
    assert (apart.argmin(1) == np.arange(len(BACKDROPS))).mean() > 0.9


@pytest.mark.parametrize("style", STYLES)
def test_a_style_changes_the_picture_and_keeps_the_thing(style: str) -> None:
    plain = StoryPicture("clearing", "clearing", PLAIN, (DOG,), 5)
    before, after = render_story_picture(plain), render_story_picture(plain._replace(style=style))
    assert after.shape == (64, 64, 3)
    assert after.dtype == np.uint8
    assert np.abs(after.astype(float) - before).mean() > 8
    body = things_of((DOG,)) > 0.9
    assert np.corrcoef(before[body].ravel(), after[body].ravel())[0, 1] > 0.6


def test_styles_are_deterministic_and_depend_on_the_seed() -> None:
    backdrop, things_HW = render_backdrop("brook", 3), things_of((DOG,))
    assert np.array_equal(apply_style("Felt", backdrop, things_HW, 1), apply_style("Felt", backdrop, things_HW, 1))
    assert not np.array_equal(apply_style("Felt", backdrop, things_HW, 1), apply_style("Felt", backdrop, things_HW, 2))


@given(st.integers(0, 2**32 - 1))
def test_captions_name_place_and_things_and_never_the_style(seed: int) -> None:
    random = np.random.default_rng(seed)
    picture = sample_story_picture(random)
    assert picture.place in picture.words
    assert all(f"{item.colour} {item.class_name}" in picture.words for item in picture.objects)
    caption = caption_of_story_picture(random, picture)
    assert not any(keyword.lower() in caption.lower() for keyword in STYLES)
    assert "{" not in caption
    others = {phrase for style, phrases in STYLE_PHRASES.items() if style != picture.style for phrase in phrases}
    assert not any(phrase in caption for phrase in others - set(STYLE_PHRASES.get(picture.style, ())))


@given(st.integers(0, 2**32 - 1))
def test_things_stay_inside_the_picture(seed: int) -> None:
    for item in sample_story_picture(np.random.default_rng(seed)).objects:
        assert item.box[0] >= 0
        assert item.box[2] <= 64
        assert item.box[3] <= 64.0001
        assert item.box[1] >= 0


def test_the_same_seed_gives_the_same_pictures() -> None:
    first, second = render_story_pictures(4, 12), render_story_pictures(4, 12)
    assert first[0] == second[0]
    assert np.array_equal(first[1], second[1])


def test_micro_conditioning_tells_the_original_size() -> None:
    ids_B6 = time_ids(torch.tensor([64, 32]), 64)
    assert ids_B6.tolist() == [[64, 64, 0, 0, 64, 64], [32, 32, 0, 0, 64, 64]]
