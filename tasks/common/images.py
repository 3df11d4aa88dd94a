"""Hostile image bytes to upright RGB pixels."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
"""Accepted formats (told by content) and the file ending that each is stored under."""
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_ORIENTATION = 0x0112
Image.MAX_IMAGE_PIXELS = None  # `decode_image` has a cap of its own
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError),
    *(struct.error, zlib.error),
)
_RE_ENCODED_QUALITY = 95


class BadImage(Exception):
    """An image that cannot be used; `reason` is the quarantine's fixed word."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class DecodedImage:
    """Upright RGB picture; `stored` is the original file where that already is such a picture, else a new encoding."""

    picture: Image.Image
    stored: bytes
    ending: str


def looks_like_image(start: bytes) -> bool:
    """Whether the first bytes are those of a JPEG, PNG or WebP file."""
    return start.startswith(_SIGNATURES) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


def decode_image(data: bytes, most_pixels: int) -> DecodedImage:
    """Decodes by content, turns by EXIF, and flattens to RGB.

    Args:
        data: the whole file.
        most_pixels: largest width times height; checked on the header, before pixels are allocated.

    Raises:
        BadImage: reasons "not-an-image", "too-many-pixels", "animated", "damaged".
    """
    try:
        with _pixel_limit(most_pixels), warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning)
            image = Image.open(io.BytesIO(data), formats=tuple(FORMATS))
            _check_header(image, most_pixels)
            image.load()
            return _upright_rgb(image, data)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage("too-many-pixels", f"more than {most_pixels} pixels") from None
    except UnidentifiedImageError:
        raise BadImage("not-an-image", "not a JPEG, PNG or WebP file") from None
    except _DAMAGE as error:
        raise BadImage("damaged", str(error)) from None


@contextmanager
def _pixel_limit(most_pixels: int) -> Iterator[None]:
    """Pillow's own limit is lower than ours may be."""
    former = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = most_pixels
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = former


def _check_header(image: Image.Image, most_pixels: int) -> None:
    if image.width * image.height > most_pixels:
        raise BadImage("too-many-pixels", f"{image.width}x{image.height}, more than {most_pixels} pixels")
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise BadImage("animated", f"{getattr(image, 'n_frames', 1)} frames")


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What EXIF asks for; viewers show a picture with unreadable EXIF as it lies, and so do we."""
    try:
        orientation: Any = image.getexif().get(_ORIENTATION)
        return _TURN.get(orientation)
    except _DAMAGE:
        return None


def _upright_rgb(image: Image.Image, data: bytes) -> DecodedImage:
    source = "JPEG" if image.format == "MPO" else str(image.format)  # MPO: a JPEG with a second view behind it
    turn = _turn(image)
    if image.mode == "RGB" and turn is None and "transparency" not in image.info:
        return DecodedImage(image, data, FORMATS[source])
    picture = _flatten(image if turn is None else image.transpose(turn))
    encoded = io.BytesIO()
    if source == "JPEG":
        picture.save(encoded, "JPEG", quality=_RE_ENCODED_QUALITY, subsampling=0)
    else:
        picture.save(encoded, "PNG")
        source = "PNG"
    return DecodedImage(picture, encoded.getvalue(), FORMATS[source])


def _flatten(image: Image.Image) -> Image.Image:
    """RGB on white; 16-bit gray keeps its upper byte."""
    if image.mode.startswith("I"):
        upper = (np.asarray(image, dtype=np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return Image.fromarray(upper).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        pasted = image.convert("RGBA")
        paper = Image.new("RGB", pasted.size, "white")
        paper.paste(pasted, mask=pasted.getchannel("A"))
        return paper
    return image.convert("RGB")


def stored_picture(data: bytes) -> Image.Image:
    """The picture of a file that `decode_image` made or let through: upright RGB, its size checked by `ingest`."""
    return Image.open(io.BytesIO(data), formats=tuple(FORMATS))


def square_crop(picture: Image.Image, side: int) -> NDArray[np.uint8]:
    """The central square, scaled to `side` (bilinear): [side, side, 3] uint8 (LVD specification, section 6.1)."""
    if picture.size == (side, side):
        return np.array(picture)
    edge = min(picture.size)
    left, top = (picture.width - edge) / 2, (picture.height - edge) / 2
    square = (left, top, left + edge, top + edge)
    return np.array(picture.resize((side, side), Image.Resampling.BILINEAR, box=square, reducing_gap=3.0))
