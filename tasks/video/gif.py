"""Short videos as GIF, for pages and reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.common.files import complete

_LEAST_MILLISECONDS = 20
_TICK = 10
"""GIF counts time in hundredths of a second."""
_SAMPLE_PIXELS = 1_000_000


def write_gif(frames_FHWC: NDArray[np.uint8], target: Path, milliseconds: float) -> None:
    """Writes a GIF that plays for ever, whole or not at all; the same frames give the same bytes.

    All frames share one palette, so that colours do not flicker; frames that are equal to the one before become one that
    is shown for longer.

    Args:
        frames_FHWC: [frames, height, width, 3] RGB, at least one frame.
        target: name of the file.
        milliseconds: how long each frame is shown, at least 20; on average, as GIF can only tell hundredths of a second.

    Raises:
        ValueError: frames of another shape or type, none at all, or no such time.
        StageError: the disk is full or cannot be written to.
    """
    shape = frames_FHWC.shape
    if frames_FHWC.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise ValueError(f"frames are {frames_FHWC.dtype} of shape {shape}, expected uint8 [frames, height, width, 3]")
    if not _LEAST_MILLISECONDS <= milliseconds <= 60_000:
        raise ValueError(f"milliseconds is {milliseconds}, expected {_LEAST_MILLISECONDS}..60000")
    ends = [_TICK * round(number * milliseconds / _TICK) for number in range(len(frames_FHWC) + 1)]
    palette = _palette(frames_FHWC)
    first, *others = (
        Image.fromarray(frame_HWC).quantize(palette=palette, dither=Image.Dither.NONE) for frame_HWC in frames_FHWC
    )
    times = np.diff(ends).tolist()
    with complete(target) as path:
        first.save(path, "GIF", save_all=True, append_images=others, duration=times, loop=0, optimize=False)


def _palette(frames_FHWC: NDArray[np.uint8]) -> Image.Image:
    """At most 256 colours for all frames, from evenly chosen pixels of them."""
    pixels = frames_FHWC.reshape(-1, 3)
    chosen = pixels[:: -(-len(pixels) // _SAMPLE_PIXELS)]
    return Image.fromarray(np.ascontiguousarray(chosen[None])).quantize(256, Image.Quantize.MEDIANCUT)
