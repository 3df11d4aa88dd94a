"""Pictures of layouts: everything in its colour and place, whatever the layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFont, ImageSequence

from tasks.common.contact_sheet import save_contact_sheet
from tasks.common.names import safe_name
from tasks.lvd.layout import DynamicSceneLayout, LayoutObject
from tasks.lvd.previews import STRIP_COLUMNS, STRIP_SIZE, film_strip_tiles, render_frames, save_previews, shortened, wrapped
from tasks.video.mp4 import read_mp4

RED, BLUE = (214, 39, 40), (31, 119, 180)
FONT = ImageFont.load_default(14)


def thing(number: int, box: tuple[float, float, float, float], name: str = "cat") -> LayoutObject:
    return LayoutObject(id=number, name=name, box=box)


def layout(*frames: tuple[LayoutObject, ...], prompt: str = "A cat and a dog", background: str = "") -> DynamicSceneLayout:
    return DynamicSceneLayout(prompt=prompt, frames=frames, background=background)


WALK = layout(
    (thing(0, (0, 200, 100, 100)), thing(1, (300, 50, 80, 80), "dog")),
    (thing(0, (200, 200, 100, 100)),),
    (thing(0, (400, 200, 100, 100)),),
)


def extent(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> tuple[int, int, int, int] | None:
    """(x0, y0, x1, y1) of the pixels of a colour."""
    rows, columns = np.nonzero((picture == colour).all(axis=-1))
    return (int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())) if len(rows) else None


def test_boxes_move_in_their_colours_and_leave() -> None:
    frames = render_frames(WALK, frames=24, side=512)
    assert frames.dtype == np.uint8
    assert frames.shape[0] == 24
    assert frames.shape[1] % 2 == frames.shape[2] % 2 == 0
    red = [extent(frame, RED) for frame in frames]
    lefts = [box[0] for box in red if box]
    assert len(lefts) == 24
    assert lefts == sorted(lefts)
    assert lefts[-1] - lefts[0] == pytest.approx(400, abs=2)
    assert [extent(frame, BLUE) is not None for frame in frames] == [True] * 8 + [False] * 16


def test_a_box_is_where_the_layout_says() -> None:
    only = layout((thing(0, (100, 300, 150, 100), ""),), prompt="")
    margin = 512 // 24
    found = extent(render_frames(only, frames=1, side=512)[0], RED)
    assert found == (100 + margin, found[1] if found else 0, 250 + margin, 400 + margin)


@pytest.mark.parametrize("x", [-60, 0, 200, 480, 511])
@pytest.mark.parametrize("y", [-60, 0, 200, 480, 511])
def test_labels_are_never_cut_off(x: float, y: float) -> None:
    """The label's field is as wide as its text wherever the box is."""
    name = "a very long name of a thing"
    canvas = np.asarray(film_strip_tiles(layout((thing(0, (x, y, 90, 90), name),)))[0].pixels)
    rows = (canvas == RED).all(axis=-1) | (canvas == 255).all(axis=-1)
    text_width = ImageFont.load_default(STRIP_SIZE[0] // 26).getlength(name)
    assert max(int(row.sum()) for row in rows) >= text_width


def test_a_label_is_not_written_over_another_box() -> None:
    above, below = thing(0, (100, 100, 100, 100)), thing(1, (100, 205, 100, 100), "dog")
    pixels = np.asarray(film_strip_tiles(layout((above, below)))[0].pixels)
    blue, scale = extent(pixels, BLUE), STRIP_SIZE[0] / 512
    assert blue is not None
    assert blue[1] >= 204 * scale - 1


def test_a_film_strip_has_the_caption_below_its_tiles(tmp_path: Path) -> None:
    prompt = "word " * 60
    tiles = film_strip_tiles(layout((thing(0, (0, 0, 99, 99)),), prompt=prompt))
    assert len(tiles) == STRIP_COLUMNS
    assert {tile.pixels.shape for tile in tiles} == {(STRIP_SIZE[1], STRIP_SIZE[0], 3)}
    titles = " ".join(tile.title for tile in tiles)
    assert prompt.startswith(titles.removesuffix("…").strip())
    assert titles.endswith("…")
    save_contact_sheet(tiles, STRIP_COLUMNS, STRIP_SIZE, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.width > STRIP_COLUMNS * STRIP_SIZE[0]


def test_previews_are_a_gif_and_a_video_each(tmp_path: Path) -> None:
    hostile = layout((), prompt="../../" + "x" * 300)
    names = save_previews([WALK, hostile, WALK], tmp_path / "new")
    assert names == [safe_name(WALK.prompt), safe_name(hostile.prompt), safe_name(WALK.prompt) + "-2"]
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == sorted(
        name + ending for name in names for ending in (".gif", ".mp4")
    )
    video = read_mp4(tmp_path / "new" / f"{names[0]}.mp4")
    assert np.abs(video.astype(int) - render_frames(WALK)).mean() < 4
    with Image.open(tmp_path / "new" / f"{names[0]}.gif") as picture:
        assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(picture)) == 3000


def test_the_same_layout_gives_the_same_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save_previews([WALK], tmp_path / folder)
    one, other = ([path.read_bytes() for path in sorted((tmp_path / folder).iterdir())] for folder in ("a", "b"))
    assert one == other


number = st.floats(-1e6, 1e6) | st.floats(-50, 600)
objects = st.builds(thing, st.integers(0, 30), st.tuples(number, number, number, number), st.text(max_size=200))


@settings(max_examples=40)
@given(st.lists(st.lists(objects, max_size=8), min_size=1, max_size=5), st.text(max_size=700), st.text(max_size=200))
def test_every_layout_can_be_drawn(frames: list[list[LayoutObject]], prompt: str, background: str) -> None:
    drawn = layout(*map(tuple, frames), prompt=prompt, background=background)
    assert render_frames(drawn, frames=3, side=64).shape[0] == 3
    assert len(film_strip_tiles(drawn)) == STRIP_COLUMNS


@given(st.text(max_size=700), st.integers(30, 400), st.integers(1, 6))
def test_wrapped_lines_fit(text: str, width: int, most: int) -> None:
    lines = wrapped(text, FONT, width, most)
    assert len(lines) <= most
    assert all(FONT.getlength(line) <= width for line in lines)


def test_wrapped_text_is_all_there_or_says_what_is_missing() -> None:
    text = "a quick brown fox jumps over the lazy dog"
    assert " ".join(wrapped(text, FONT, 90, 9)) == text
    assert wrapped(text, FONT, 90, 2)[-1].endswith("…")
    assert wrapped("x" * 99 + " and more", FONT, 90, 3)[1:] == ["and more"]
    assert wrapped("", FONT, 90, 3) == []
    assert shortened("short", FONT, 90) == "short"
    assert wrapped("Käfer, Ærø“", FONT, 900, 3) == ["Kafer, Ærø“"]
    assert "<script>" in wrapped("<script>\x1b[31m\u202e", FONT, 900, 3)[0]
    assert "\x1b" not in wrapped("<script>\x1b[31m\u202e", FONT, 900, 3)[0]
