"""The renderer: exact boxes, exact captions, same bytes, tellable sprites."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.spriteworld.render import render_background, render_objects, render_scene
from tasks.spriteworld.scene import (
    ASPECT,
    CANVAS_PIXELS,
    SIZE_PIXELS,
    SpriteObject,
    caption_of,
    object_phrases,
    overlap,
    sample_scene,
)
from tasks.spriteworld.sprites import SPRITES, master_sprite
from tasks.spriteworld.vocabulary import BACKGROUNDS, CLASSES, COLOURS, NUMBERS

seeds = st.integers(0, 2**32 - 1)
GRAY = np.full((CANVAS_PIXELS, CANVAS_PIXELS, 3), 120, np.uint8)


def draw(class_name: str, colour: str, box: tuple[float, float, float, float]) -> np.ndarray:
    return render_objects(GRAY, (SpriteObject(class_name, colour, box, "right"),))


@pytest.mark.parametrize("class_name", CLASSES)
@pytest.mark.parametrize("box", [(10.0, 12.0, 34.0, 36.0), (3.25, 7.5, 20.75, 25.25), (40.5, 1.0, 63.0, 19.5)])
def test_a_sprite_fills_its_box_and_nothing_else(class_name: str, box: tuple[float, float, float, float]) -> None:
    changed = (np.abs(draw(class_name, "red", box).astype(int) - GRAY) > 12).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    drawn = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert all(abs(a - b) <= 1 for a, b in zip(drawn, box, strict=True))


@given(seeds)
def test_scenes_are_inside_the_canvas_and_hardly_overlap(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    assert 1 <= len(scene.objects) <= 4
    for item in scene.objects:
        x0, y0, x1, y1 = item.box
        assert 0 <= x0 < x1 <= CANVAS_PIXELS
        assert 0 <= y0 < y1 <= CANVAS_PIXELS
        assert SIZE_PIXELS[0] - 0.01 <= max(x1 - x0, y1 - y0) <= SIZE_PIXELS[1] + 0.01
    assert all(overlap(a.box, b.box) <= 0.05 for a, b in itertools.combinations(scene.objects, 2))


@given(seeds)
def test_captions_say_exactly_what_is_there(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    caption = caption_of(scene)
    assert caption.endswith(f" {scene.background} background.")
    counts = Counter((item.colour, item.class_name) for item in scene.objects)
    named = caption.removesuffix(f" on a {scene.background} background.").replace(" and ", ", ").split(", ")
    said = {}
    for words in named:
        number, colour, noun = words.split()
        count = 1 if number in ("a", "an") else NUMBERS.index(number) + 1
        said[colour, noun if count == 1 else noun.removesuffix("s")] = count
    assert said == dict(counts)
    for phrase in object_phrases(scene):
        assert phrase in caption


@given(seeds)
def test_the_same_scene_gives_the_same_pixels(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    assert np.array_equal(render_scene(scene), render_scene(scene))
    assert render_scene(scene).shape == (64, 64, 3)


def test_pixels_do_not_follow_the_process() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from tasks.spriteworld.render import render_scene\n"
        "from tasks.spriteworld.scene import sample_scene\n"
        "print(hashlib.sha256(render_scene(sample_scene(np.random.default_rng(5))).tobytes()).hexdigest())\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": "1"})
    here = render_scene(sample_scene(np.random.default_rng(5)))
    assert answer.stdout.strip() == hashlib.sha256(here.tobytes()).hexdigest()


def test_everything_that_can_be_drawn_is_drawn_sometimes() -> None:
    scenes = [sample_scene(np.random.default_rng(seed)) for seed in range(400)]
    objects = [item for scene in scenes for item in scene.objects]
    assert {item.class_name for item in objects} == set(CLASSES) == set(SPRITES) == set(ASPECT)
    assert {item.colour for item in objects} == set(COLOURS)
    assert len(COLOURS) == 11
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    assert {len(scene.objects) for scene in scenes} == {1, 2, 3, 4}
    assert {item.facing for item in objects} == {"left", "right"}


@pytest.mark.parametrize("colour", COLOURS)
def test_most_of_a_sprite_has_its_colour(colour: str) -> None:
    for class_name in CLASSES:
        pixels = np.asarray(master_sprite(class_name, colour).convert("RGB")).reshape(-1, 3).astype(int)
        opaque = np.asarray(master_sprite(class_name, colour).getchannel("A")).reshape(-1) > 250
        nearest = np.abs(pixels[opaque][:, None] - np.array(list(COLOURS.values()))[None]).sum(2).argmin(1)
        assert Counter(nearest.tolist())[list(COLOURS).index(colour)] > 0.25 * opaque.sum()


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(CLASSES, 2)))
def test_classes_differ_at_the_smallest_size(first: str, second: str) -> None:
    """A share of pixels clearly differs even at 14 pixels, whatever the colour."""
    box = (20.0, 20.0, 34.0, 34.0)
    a, b = (draw(name, "blue", box)[20:34, 20:34].astype(int) for name in (first, second))
    assert (np.abs(a - b).sum(2) > 120).mean() > 0.2


def test_facing_mirrors_the_sprite() -> None:
    box = (20.0, 20.0, 44.0, 40.0)
    right = render_objects(GRAY, (SpriteObject("dog", "brown", box, "right"),))[20:40, 20:44]
    left = render_objects(GRAY, (SpriteObject("dog", "brown", box, "left"),))[20:40, 20:44]
    mirrored, same = (np.abs(picture.astype(int) - right).mean() for picture in (left[:, ::-1], left))
    assert mirrored < 3
    assert same > 10 * mirrored


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_backgrounds_are_of_their_kind(kind: str) -> None:
    spreads = [render_background(kind, seed).reshape(-1, 3).std(0).max() for seed in range(20)]
    assert (max(spreads) == 0) == (kind == "plain")
    assert not np.array_equal(render_background(kind, 1), render_background(kind, 2))
