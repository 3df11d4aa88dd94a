"""Unusual image files to upright RGB pixels, and square crops of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tasks.common.images import DecodedImage, decode_image, looks_like_image, square_crop
from tests.corpus.archives_for_tests import encoded, oriented, picture


def decode(data: bytes) -> DecodedImage:
    return decode_image(data, most_pixels=1_000_000)


@pytest.mark.parametrize(
    ("kind", "options", "ending"),
    [("JPEG", {}, "jpg"), ("JPEG", {"progressive": True}, "jpg"), ("PNG", {}, "png"), ("WEBP", {"lossless": True}, "webp")],
)
def test_upright_rgb_keeps_its_bytes(kind: str, options: dict[str, object], ending: str) -> None:
    data = encoded(picture(), kind, **options)
    result = decode(data)
    assert (result.stored, result.ending, result.picture.mode) == (data, ending, "RGB")
    assert np.abs(np.asarray(result.picture).astype(int) - np.asarray(picture())).max() <= (30 if kind == "JPEG" else 0)
    assert looks_like_image(data[:16])


def test_camera_file_with_a_second_view_is_its_first() -> None:
    data = encoded(picture(), "MPO", save_all=True, append_images=[picture(3)])
    result = decode(data)
    assert (result.ending, result.picture.size, result.stored) == ("jpg", (48, 40), data)
    np.testing.assert_allclose(np.asarray(result.picture).astype(int), np.asarray(picture()), atol=30)


def test_one_pixel() -> None:
    result = decode(encoded(Image.new("RGB", (1, 1), "red"), "PNG"))
    assert result.picture.getpixel((0, 0)) == (255, 0, 0)
    assert square_crop(result.picture, 8).tolist() == [[[255, 0, 0]] * 8] * 8


def test_sixteen_bit_gray_keeps_its_upper_byte() -> None:
    values = np.array([[0, 255, 256], [0x1234, 0x8000, 0xFFFF]], dtype=np.uint16)
    result = decode(encoded(Image.fromarray(values), "PNG"))
    assert np.asarray(result.picture)[..., 0].tolist() == [[0, 0, 1], [0x12, 0x80, 0xFF]]
    assert (result.picture.mode, result.ending) == ("RGB", "png")


def test_cmyk_jpeg_becomes_rgb() -> None:
    result = decode(encoded(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG"))
    assert (result.picture.mode, result.ending) == ("RGB", "jpg")
    np.testing.assert_allclose(result.picture.getpixel((16, 16)), (255, 0, 0), atol=8)


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_gray_and_palette_become_rgb(mode: str) -> None:
    source = picture().convert(mode)
    result = decode(encoded(source, "PNG"))
    np.testing.assert_array_equal(np.asarray(result.picture), np.asarray(source.convert("RGB")))


HALF_CLEAR = Image.new("RGBA", (40, 40), (0, 0, 0, 255))
HALF_CLEAR.paste((0, 0, 0, 0), (0, 0, 20, 40))
ALPHA = HALF_CLEAR.getchannel("A")
RED_AND_BLACK = Image.composite(Image.new("RGB", (40, 40)), Image.new("RGB", (40, 40), "red"), ALPHA)
PALETTE = RED_AND_BLACK.quantize(2)
TRANSPARENT = {
    "RGBA": encoded(HALF_CLEAR, "PNG"),
    "LA": encoded(HALF_CLEAR.convert("LA"), "PNG"),
    "WebP": encoded(HALF_CLEAR, "WEBP", lossless=True),
    "palette with many alphas": encoded(HALF_CLEAR.quantize(4), "PNG"),
    "palette with one clear color": encoded(PALETTE, "PNG", transparency=PALETTE.getpixel((0, 0))),
    "RGB with one clear color": encoded(RED_AND_BLACK, "PNG", transparency=(255, 0, 0)),
    "gray with one clear value": encoded(ALPHA.point(lambda value: 255 - value), "PNG", transparency=255),
}


@pytest.mark.parametrize("data", TRANSPARENT.values(), ids=TRANSPARENT)
def test_transparency_is_flattened_on_white(data: bytes) -> None:
    result = decode(data)
    assert (result.picture.mode, result.ending) == ("RGB", "png")
    assert result.picture.getpixel((5, 20)) == (255, 255, 255)
    assert result.picture.getpixel((35, 20)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("number", "size", "corner"),
    [
        (1, (60, 40), "top left"),
        (2, (60, 40), "top right"),
        (3, (60, 40), "bottom right"),
        (4, (60, 40), "bottom left"),
        (5, (40, 60), "top left"),
        (6, (40, 60), "top right"),
        (7, (40, 60), "bottom right"),
        (8, (40, 60), "bottom left"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_turns_the_picture(kind: str, number: int, size: tuple[int, int], corner: str) -> None:
    lying = Image.new("RGB", (60, 40), "white")
    lying.paste("red", (0, 0, 16, 8))
    data = encoded(lying, kind, exif=oriented(number))
    result = decode(data)
    pixels = np.asarray(result.picture).astype(int)
    is_red = pixels[..., 0] - pixels[..., 1] > 128
    rows, columns = np.nonzero(is_red)
    found = f"{'top' if rows.mean() < size[1] / 2 else 'bottom'} {'left' if columns.mean() < size[0] / 2 else 'right'}"
    assert (result.picture.size, found) == (size, corner)
    assert abs(int(is_red.sum()) - 16 * 8) <= 30
    assert (np.ptp(rows) > np.ptp(columns)) == (number > 4)
    assert (result.stored == data) == (number == 1)


def test_stored_turned_picture_is_not_turned_again() -> None:
    first = decode(encoded(picture(), "JPEG", exif=oriented(6)))
    second = decode(first.stored)
    assert second.stored == first.stored
    assert second.picture.size == first.picture.size == (40, 48)


@pytest.mark.parametrize("size", [(90, 30), (30, 90), (91, 30), (30, 30), (64, 64), (20_000, 2), (2, 20_000), (1, 300)])
def test_square_crop_shows_the_centre(size: tuple[int, int]) -> None:
    source = Image.new("RGB", size, "red")
    left, top = ((length - min(size)) // 2 for length in size)
    source.paste("blue", (left, top, size[0] - left, size[1] - top))
    cropped = square_crop(source, 64)
    assert (cropped.shape, cropped.dtype) == ((64, 64, 3), np.uint8)
    assert (cropped[24:40, 24:40] == (0, 0, 255)).all()
    assert (cropped[..., 2] >= 120).all()


@pytest.mark.parametrize("size", [(90, 30), (30, 90), (300, 200), (64, 1000)])
def test_square_crop_is_the_middle_of_the_scaled_picture(size: tuple[int, int]) -> None:
    scale = 64 / min(size)
    whole = picture(size=size).resize((round(size[0] * scale), round(size[1] * scale)), Image.Resampling.BILINEAR)
    left, top = (whole.width - 64) // 2, (whole.height - 64) // 2
    expected = np.asarray(whole.crop((left, top, left + 64, top + 64))).astype(int)
    np.testing.assert_allclose(square_crop(picture(size=size), 64).astype(int), expected, atol=3)


def test_square_crop_of_the_right_size_is_untouched() -> None:
    np.testing.assert_array_equal(square_crop(picture(size=(64, 64)), 64), np.asarray(picture(size=(64, 64))))


def test_square_crop_keeps_the_order_of_the_pixels() -> None:
    columns = np.asarray(square_crop(picture(size=(300, 100)), 10)).astype(int)
    assert (np.diff(columns[:, 5, 0]) > 0).all()
    assert np.ptp(columns[5, :, 0]) <= 1
    assert np.ptp(columns[5, :, 1]) < 128
