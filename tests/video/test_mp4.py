"""Frames to MP4 and back."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tasks.common.errors import UserError
from tasks.video.mp4 import MOST_FRAMES, read_mp4, write_mp4


def clip(frames: int = 8, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A smooth picture that moves to the left."""
    down, across = np.mgrid[:height, :width]
    pictures = [
        np.stack([128 + 100 * np.sin((across + 2 * frame) / 20), down * 2, across * 0 + 90], -1) for frame in range(frames)
    ]
    return np.array(pictures).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (64, 48), (16, 16), (33, 65), (1, 1), (2, 300)])
@pytest.mark.parametrize("frames", [1, 2, 25])
def test_frames_come_back(tmp_path: Path, frames: int, height: int, width: int) -> None:
    written = clip(frames, height, width)
    write_mp4(written, tmp_path / "new" / "clip.mp4", 8)
    back = read_mp4(tmp_path / "new" / "clip.mp4")
    assert back.shape == (frames, height + height % 2, width + width % 2, 3)
    assert back.dtype == np.uint8
    assert np.abs(back[:, :height, :width].astype(int) - written).mean() < 4
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["clip.mp4"]


def test_the_order_of_the_frames_is_kept(tmp_path: Path) -> None:
    levels = np.array([10, 200, 60, 120, 240, 30] * 5, np.uint8)
    write_mp4(np.broadcast_to(levels[:, None, None, None], (30, 32, 32, 3)), tmp_path / "clip.mp4", 24)
    np.testing.assert_allclose(read_mp4(tmp_path / "clip.mp4").mean(axis=(1, 2, 3)), levels, atol=3)


def test_added_rows_and_columns_repeat_the_last(tmp_path: Path) -> None:
    write_mp4(np.full((3, 31, 17, 3), 200, np.uint8), tmp_path / "clip.mp4", 8)
    np.testing.assert_allclose(read_mp4(tmp_path / "clip.mp4").astype(int), 200, atol=2)


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for file in files:
        write_mp4(clip(30, 120, 160), file, 8)
    one, other = (file.read_bytes() for file in files)
    assert one == other
    assert b"Lavf" not in one
    assert re.search(b"mvhd\0\0\0\0\0{8}", one), "a time of creation"


@pytest.mark.parametrize(
    ("rate", "kept"), [(8, 8), (29.97, Fraction(2997, 100)), (30000 / 1001, Fraction(30000, 1001)), (0.5, Fraction(1, 2))]
)
def test_what_players_ask_for(tmp_path: Path, rate: float, kept: Fraction) -> None:
    write_mp4(clip(), tmp_path / "clip.mp4", rate)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.average_rate, stream.frames) == (kept, 8)
    data = (tmp_path / "clip.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((MOST_FRAMES + 1, 1, 1, 3), np.uint8),
        np.zeros((2, 0, 8, 3), np.uint8),
        np.zeros((2, 8, 8193, 3), np.uint8),
        np.zeros((2, 8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((2, 8, 8, 3), np.float32),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, frames: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="expected"):
        write_mp4(frames, tmp_path / "clip.mp4", 8)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), 1001])
def test_what_is_no_frame_rate_is_refused(tmp_path: Path, rate: float) -> None:
    with pytest.raises(ValueError, match="frames_per_second"):
        write_mp4(clip(), tmp_path / "clip.mp4", rate)


def test_a_former_video_is_replaced(tmp_path: Path) -> None:
    write_mp4(clip(5), tmp_path / "clip.mp4", 8)
    write_mp4(clip(3), tmp_path / "clip.mp4", 8)
    assert len(read_mp4(tmp_path / "clip.mp4")) == 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    write_mp4(clip(), path, 8)
    return path.read_bytes()


@pytest.mark.parametrize(
    "data", [b"", b"no video", b"\0" * 5000, b"\0\0\0\x20ftypisom", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"]
)
def test_other_files_are_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(data)
    with pytest.raises(UserError, match=r"clip\.mp4: no readable MP4 video \(.+\); write or copy it again"):
        read_mp4(tmp_path / "clip.mp4")


@pytest.mark.parametrize("name", ["missing.mp4", "."])
def test_no_such_file_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no readable MP4 video"):
        read_mp4(tmp_path / name)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_video_is_refused(tmp_path: Path, whole: bytes, share: float) -> None:
    (tmp_path / "clip.mp4").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"clip\.mp4"):
        read_mp4(tmp_path / "clip.mp4")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6)
)
def test_a_damaged_video_is_refused_or_read(tmp_path: Path, whole: bytes, damage: list[tuple[float, bytes]]) -> None:
    data = bytearray(whole)
    for place, other in damage:
        start = int(place * len(data))
        data[start : start + len(other)] = other
    (tmp_path / "clip.mp4").write_bytes(data)
    try:
        frames = read_mp4(tmp_path / "clip.mp4")
    except UserError:
        return
    assert frames.dtype == np.uint8
    assert frames.shape[3] == 3


def test_an_index_that_promises_too_much_is_refused_before_decoding(tmp_path: Path, whole: bytes) -> None:
    place = whole.index(b"stsz") + 12
    (tmp_path / "clip.mp4").write_bytes(whole[:place] + (2**31 - 1).to_bytes(4, "big") + whole[place + 4 :])
    with pytest.raises(UserError, match=r"clip\.mp4"):
        read_mp4(tmp_path / "clip.mp4")


def test_a_sound_track_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(UserError, match="holds no video"):
        read_mp4(tmp_path / "clip.mp4")
