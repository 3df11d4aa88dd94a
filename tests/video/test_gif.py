"""Frames to GIF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from tasks.video.gif import write_gif


def squares(frames: int = 6) -> NDArray[np.uint8]:
    """A red square that moves over white."""
    pictures = np.full((frames, 30, 40, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        picture[10:20, 5 * index : 5 * index + 8] = (200, 20, 40)
    return pictures


def test_frames_come_back_with_their_colours(tmp_path: Path) -> None:
    write_gif(squares(), tmp_path / "new" / "clip.gif", 120)
    with Image.open(tmp_path / "new" / "clip.gif") as picture:
        back = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)]
        assert picture.info["loop"] == 0
    np.testing.assert_array_equal(back, squares())


def test_times_are_right_on_average(tmp_path: Path) -> None:
    write_gif(squares(), tmp_path / "clip.gif", 125)
    with Image.open(tmp_path / "clip.gif") as picture:
        times = [frame.info["duration"] for frame in ImageSequence.Iterator(picture)]
    assert set(times) <= {120, 130}
    assert sum(times) == 750


def test_equal_frames_are_shown_for_longer(tmp_path: Path) -> None:
    write_gif(np.repeat(squares(2), 3, axis=0), tmp_path / "clip.gif", 100)
    with Image.open(tmp_path / "clip.gif") as picture:
        assert [frame.info["duration"] for frame in ImageSequence.Iterator(picture)] == [300, 300]


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (5, 33, 47, 3), dtype=np.uint8)
    for name in ("a.gif", "b.gif"):
        write_gif(noise, tmp_path / name, 125)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (2, 0, 8, 3), (2, 8, 8, 4), (8, 8, 3)])
def test_what_are_no_frames_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        write_gif(np.zeros(shape, np.uint8), tmp_path / "clip.gif", 125)


@pytest.mark.parametrize("milliseconds", [0, -5, 19, float("nan"), 1e9])
def test_what_is_no_time_is_refused(tmp_path: Path, milliseconds: float) -> None:
    with pytest.raises(ValueError, match="milliseconds"):
        write_gif(squares(), tmp_path / "clip.gif", milliseconds)
    assert not list(tmp_path.iterdir())
