"""Videos as H.264 in MP4, with the same bytes for the same frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from tasks.common.errors import UserError
from tasks.common.files import complete
from tasks.common.quarantine import printable

MOST_FRAMES = 10_000
_MOST_SIDE = 8192
_MOST_BYTES = 2 * 2**30
_MOST_FRAME_RATE = 1000
_ENCODER = {"crf": "18", "preset": "medium", "threads": "1", "x264-params": "cpu-independent=1"}
_EXACT = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT)


def write_mp4(frames_FHWC: NDArray[np.uint8], target: Path, frames_per_second: float) -> None:
    """Writes a video that any player shows, whole or not at all; odd sides get one more row or column, like the last one.

    Args:
        frames_FHWC: [frames, height, width, 3] RGB, 1..10000 frames of at most 8192 pixels a side.
        target: name of the file.
        frames_per_second: above 0, at most 1000.

    Raises:
        ValueError: frames of another shape or type, too many or none, or no such frame rate.
        StageError: the disk is full or cannot be written to.
    """
    _check(frames_FHWC, frames_per_second)
    rate = Fraction(frames_per_second).limit_denominator(1001)
    height, width = (side + side % 2 for side in frames_FHWC.shape[1:3])
    with complete(target) as path, path.open("wb") as file:
        muxer = {"fflags": "+bitexact", "movflags": "+faststart"}
        with av.open(file, "w", format="mp4", options=muxer) as container:
            stream = container.add_stream("libx264", rate=rate, options=_ENCODER)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.thread_count = 1
            stream.codec_context.flags |= Flags.bitexact
            for number, frame_HWC in enumerate(frames_FHWC):
                picture = VideoFrame.from_ndarray(_even(frame_HWC), "rgb24")
                picture = picture.reformat(format="yuv420p", interpolation=_EXACT)
                picture.pts, picture.time_base = number, 1 / rate
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))


def _check(frames_FHWC: NDArray[np.uint8], frames_per_second: float) -> None:
    shape = frames_FHWC.shape
    if frames_FHWC.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3:
        raise ValueError(f"frames are {frames_FHWC.dtype} of shape {shape}, expected uint8 [frames, height, width, 3]")
    if not 1 <= shape[0] <= MOST_FRAMES or not all(1 <= side <= _MOST_SIDE for side in shape[1:3]):
        raise ValueError(f"frames have shape {shape}, expected 1..{MOST_FRAMES} frames of 1..{_MOST_SIDE} pixels a side")
    if not 0.01 <= frames_per_second <= _MOST_FRAME_RATE:
        raise ValueError(f"frames_per_second is {frames_per_second}, expected 0.01..{_MOST_FRAME_RATE}")


def _even(frame_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frame_HWC.shape[:2]
    padded = np.pad(frame_HWC, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded)


def read_mp4(path: Path) -> NDArray[np.uint8]:
    """All frames of a video, [frames, height, width, 3] RGB.

    Raises:
        UserError: no such file, no complete video, or one of more than 10000 frames or 2 GiB of pixels.
    """
    try:
        with path.open("rb") as file, av.open(file, "r", format="mp4", metadata_errors="replace") as container:
            frames = _decoded(container, path)
    except (av.FFmpegError, OSError, ValueError, OverflowError) as error:
        problem = printable(getattr(error, "strerror", None) or str(error) or type(error).__name__)
        raise UserError(f"{path}: no readable MP4 video ({problem}); write or copy it again") from None
    return frames


def _decoded(container: InputContainer, path: Path) -> NDArray[np.uint8]:
    if not container.streams.video:
        raise UserError(f"{path}: holds no video; expected an MP4 file with a video track")
    stream = container.streams.video[0]
    decoder: VideoCodecContext | None = stream.codec_context
    if decoder is None:
        raise ValueError("coded in an unknown way")
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str(_MOST_SIDE**2), "err_detect": "explode"}
    frames: list[NDArray[np.uint8]] = []
    packets, pixels = 0, max(1, stream.width * stream.height)
    most = min(MOST_FRAMES, _MOST_BYTES // (3 * pixels))
    for packet in container.demux(stream):
        packets += packet.size > 0
        if packet.is_corrupt:
            raise ValueError("damaged or cut")
        if max(packets, stream.frames) > most:
            raise UserError(f"{path}: more than {most} frames of {stream.width} x {stream.height}; cut or scale the video")
        frames += (np.asarray(frame.to_ndarray(format="rgb24", interpolation=_EXACT), np.uint8) for frame in packet.decode())
    if packets < stream.frames:
        raise ValueError(f"{packets} of {stream.frames} frames are there")
    if not frames:
        raise ValueError("no frame in it")
    return np.stack(frames)
