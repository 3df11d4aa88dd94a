"""Keyframes as a video that is large enough to watch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.video.mp4 import MOST_FRAMES, write_mp4

MOST_BYTES = 2 * 2**30
"""Of the pixels of all frames of a video."""
Resampling = Literal["nearest", "lanczos"]
_FILTERS = {"nearest": Image.Resampling.NEAREST, "lanczos": Image.Resampling.LANCZOS}


class TooLong(Exception):
    """More frames or pixels than a video may have; the message says how many."""


def video_size(height: int, width: int, least_side: int, most_side: int) -> tuple[int, int]:
    """(height, width) of a video: enlarged until its shorter side is `least_side`, but no side above `most_side`."""
    scale = min(max(1.0, least_side / min(height, width)), most_side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def frames_of_each(seconds_per_frame: float, frames_per_second: float) -> int:
    """How many frames of the video show one keyframe; at least one."""
    return max(1, round(seconds_per_frame * frames_per_second))


def write_slideshow(
    pictures_HWC: Iterable[NDArray[np.uint8]],
    count: int,
    target: Path,
    size: tuple[int, int],
    repeats: int,
    frames_per_second: float,
    resampling: Resampling,
) -> None:
    """Writes the pictures as an MP4 file, the same pictures to the same bytes.

    Args:
        pictures_HWC: RGB, [height, width, 3] each.
        count: how many there are.
        target: the file.
        size: (height, width) of the video.
        repeats: frames for each picture.
        frames_per_second: of the video.
        resampling: how pictures are brought to that size.

    Raises:
        TooLong: more than 10,000 frames or 2 GiB of pixels.
    """
    height, width = size
    frames = count * repeats
    if frames > MOST_FRAMES or frames * height * width * 3 > MOST_BYTES:
        raise TooLong(f"{frames} frames of {height} x {width} pixels")
    frames_FHWC = np.empty((frames, height, width, 3), np.uint8)
    for place, picture_HWC in enumerate(pictures_HWC):
        scaled = Image.fromarray(picture_HWC).resize((width, height), _FILTERS[resampling])
        frames_FHWC[place * repeats : (place + 1) * repeats] = np.asarray(scaled)
    write_mp4(frames_FHWC, target, frames_per_second)
