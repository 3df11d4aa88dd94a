"""Image files that lie, are broken, or are something else: refused with a reason, and without much memory."""

from __future__ import annotations

import io
import struct
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.common.images import BadImage, decode_image, looks_like_image
from tests.corpus.archives_for_tests import encoded, oriented, picture, run_in_little_memory

MOST = 1_000_000


def rejected(data: bytes, most_pixels: int = MOST) -> str:
    """The word for which an image is refused."""
    with pytest.raises(BadImage) as caught:
        decode_image(data, most_pixels)
    return caught.value.reason


def png_header(width: int, height: int) -> bytes:
    """A PNG file of this size with hardly any pixels."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + size, b"IDAT" + zlib.compress(bytes(100)), b"IEND"]
    framed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def jpeg_header(width: int, height: int) -> bytes:
    """A JPEG file that claims this size."""
    data = bytearray(encoded(picture()))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP", "PPM", "ICO", "JPEG2000"])
def test_other_formats_are_no_images(kind: str) -> None:
    data = encoded(picture(), kind)
    assert rejected(data) == "not-an-image"
    assert not looks_like_image(data[:16])


NO_IMAGES = [b"", b"\xff\xd8\xff", b"<!DOCTYPE html><html></html>", b"<svg/>", b"RIFF\0\0\0\0WEBP", bytes(99)]


@pytest.mark.parametrize("data", NO_IMAGES)
def test_other_bytes_are_no_images(data: bytes) -> None:
    assert rejected(data) == "not-an-image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_file_is_damaged(kind: str, share: float) -> None:
    data = encoded(picture(size=(200, 300)), kind)
    assert rejected(data[: int(len(data) * share)]) in ("damaged", "not-an-image" if kind == "WEBP" else "damaged")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animations_are_refused(kind: str) -> None:
    data = encoded(picture(0), kind, save_all=True, append_images=[picture(3), picture(5)], duration=50)
    assert rejected(data) == ("not-an-image" if kind == "GIF" else "animated")


UNREADABLE = [b"garbage", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff\x12\x01"]


@pytest.mark.parametrize("exif", UNREADABLE)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_unreadable_exif_leaves_the_picture_as_it_lies(kind: str, exif: bytes) -> None:
    data = encoded(picture(), kind, exif=b"Exif\0\0" + exif)
    assert decode_image(data, MOST).stored == data


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [(b"\x01\x1a\0\5", b"\x01\x0d\0\5"), (b"\x01\x0e\0\2", b"\x01\x00\0\2")],
    ids=["a fraction as a name", "a text as a width"],
)
def test_exif_that_cannot_be_written_again_still_turns(entry: bytes, wrong: bytes) -> None:
    exif = oriented(6)
    exif[0x010E], exif[0x011A] = "description", 72.0
    data = encoded(picture(), "JPEG", exif=exif)
    assert data.count(entry) == 1
    assert decode_image(data.replace(entry, wrong), MOST).picture.size == (40, 48)


@pytest.mark.parametrize("data", [png_header(60_000, 60_000), jpeg_header(60_000, 60_000)], ids=["PNG", "JPEG"])
@pytest.mark.parametrize("most_pixels", [1024, 100_000_000, 1_000_000_000])
def test_huge_header_is_refused(data: bytes, most_pixels: int) -> None:
    assert rejected(data, most_pixels) == "too-many-pixels"


@pytest.mark.parametrize("limit_of_pillow", [100, 10_000_000, None])
def test_limit_of_pixels_is_exact_and_ours(monkeypatch: pytest.MonkeyPatch, limit_of_pillow: int | None) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit_of_pillow)
    data = encoded(Image.new("RGB", (100, 50)), "WEBP", lossless=True)
    assert decode_image(data, 5000).picture.size == (100, 50)
    assert rejected(data, 4999) == rejected(data, 2000) == "too-many-pixels"
    assert limit_of_pillow == Image.MAX_IMAGE_PIXELS


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
def test_huge_headers_and_long_crops_take_little_memory() -> None:
    imports = "from PIL import Image\nfrom tasks.common.images import BadImage, decode_image, square_crop\nImage.init()\n"
    code = f"""
for data in ({png_header(60_000, 60_000)!r}, {jpeg_header(60_000, 60_000)!r}):
    try:
        decode_image(data, 1_000_000_000)
    except BadImage as bad:
        print(bad.reason)
print(square_crop(Image.new("RGB", (20_000, 2)), 512).shape)
"""
    expected = "too-many-pixels\ntoo-many-pixels\n(512, 512, 3)\n"
    assert run_in_little_memory(imports, code, growth=100_000_000) == expected


PICTURES = [
    encoded(picture(size=(24, 16)), "JPEG", exif=oriented(6)),
    encoded(picture(size=(24, 16)), "JPEG", progressive=True),
    encoded(picture(size=(24, 16)), "PNG", exif=oriented(3)),
    encoded(picture(size=(24, 16)).quantize(8), "PNG", transparency=1),
    encoded(picture(size=(24, 16)), "WEBP", exif=oriented(8)),
    encoded(picture(size=(24, 16)).convert("RGBA"), "WEBP"),
]


def good_or_bad_image(data: bytes) -> bool:
    """Whether the image is taken; any other error than `BadImage` is let through."""
    try:
        result = decode_image(data, MOST)
    except BadImage:
        return False
    return result.picture.mode == "RGB" and Image.open(io.BytesIO(result.stored)).width > 0


STARTS = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x20\0\0\0WEBPVP8 "]


@settings(deadline=None, max_examples=200)
@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=300))
def test_random_bytes(start: bytes, rest: bytes) -> None:
    assert good_or_bad_image(start + rest) in (True, False)


@settings(deadline=None, max_examples=500)
@given(
    data=st.sampled_from(PICTURES),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    keep=st.floats(0.3, 1),
)
def test_damaged_files(data: bytes, changes: list[tuple[float, int]], keep: float) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[int(place**2 * len(data))] = value
    assert good_or_bad_image(bytes(damaged[: int(keep * len(data)) + 1])) in (True, False)
