"""Pictures of layouts: moving previews and film strips, to look at what a planner has made of a caption."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tasks.common.contact_sheet import Tile
from tasks.common.names import safe_name
from tasks.common.quarantine import printable
from tasks.lvd.interpolation import Track, condition_tracks
from tasks.lvd.layout import DynamicSceneLayout
from tasks.video.gif import write_gif
from tasks.video.mp4 import write_mp4

PREVIEW_FRAMES = 24
STRIP_COLUMNS = 6
STRIP_SIZE = (240, 240)
"""Width and height of a tile of a film strip, for `contact_sheet.save_contact_sheet`."""
_MILLISECONDS = 125
_PAPER, _INK, _FRAME, _BACKGROUND_INK = "white", (20, 20, 20), (150, 150, 150), (170, 176, 182)
_CANVAS = (250, 251, 252)
_COLOURS = (
    *((214, 39, 40), (31, 119, 180), (20, 130, 60), (148, 60, 189), (190, 95, 0), (0, 128, 128)),
    *((200, 40, 130), (95, 95, 95), (120, 75, 50), (60, 70, 190)),
)
_MOST_CAPTION_LINES = 3
_STRIP_TEXT_PIXELS = 12
_READ = 600
"""Characters of a caption that are looked at."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Box = tuple[float, float, float, float]


def render_frames(layout: DynamicSceneLayout, frames: int = PREVIEW_FRAMES, side: int = 384) -> NDArray[np.uint8]:
    """A layout as a video: the caption, below it the canvas with outlined and labelled boxes.

    Args:
        layout: any layout; what lies outside the canvas is cut off.
        frames: how many to draw; between its own frames boxes move in straight lines.
        side: side of the canvas in pixels, at least 64.

    Returns:
        [frames, height, width, 3] RGB with even sides.
    """
    margin, text_pixels = side // 24, max(10, side // 22)
    font = ImageFont.load_default(text_pixels)
    lines = wrapped(layout.prompt, font, side, _MOST_CAPTION_LINES)
    line_height = round(1.35 * text_pixels)
    top = margin + len(lines) * line_height + (margin // 2 if lines else 0)
    width, height = side + 2 * margin, top + side + margin
    figure = Image.new("RGB", (width + width % 2, height + height % 2), _PAPER)
    draw = ImageDraw.Draw(figure)
    for number, line in enumerate(lines):
        draw.text((margin, margin + number * line_height), line, fill=_INK, font=font)
    pictures = []
    for canvas in _canvases(layout, frames, side):
        figure.paste(canvas, (margin, top))
        pictures.append(np.asarray(figure))
    return np.stack(pictures)


def film_strip_tiles(layout: DynamicSceneLayout) -> list[Tile]:
    """One row of a contact sheet: six moments of a layout, its caption below them, running on from tile to tile.

    Draw it with `save_contact_sheet(tiles, STRIP_COLUMNS, STRIP_SIZE, target)`.
    """
    lines = wrapped(layout.prompt, ImageFont.load_default(_STRIP_TEXT_PIXELS), STRIP_SIZE[0], STRIP_COLUMNS)
    titles = [*lines, *[""] * (STRIP_COLUMNS - len(lines))]
    canvases = _canvases(layout, STRIP_COLUMNS, STRIP_SIZE[0])
    return [Tile(np.asarray(canvas), title=title) for canvas, title in zip(canvases, titles, strict=True)]


def save_previews(layouts: Iterable[DynamicSceneLayout], folder: Path) -> list[str]:
    """Writes a GIF and an MP4 of each layout, 8 frames a second.

    Args:
        layouts: what to draw.
        folder: where the files go.

    Returns:
        The name of each layout's files without ending, made from its caption; a caption's second layout ends in "-2".
    """
    names, used = [], Counter[str]()
    for layout in layouts:
        name = safe_name(layout.prompt)
        used[name] += 1
        names.append(name if used[name] == 1 else f"{name}-{used[name]}")
        frames_FHWC = render_frames(layout)
        write_gif(frames_FHWC, folder / f"{names[-1]}.gif", _MILLISECONDS)
        write_mp4(frames_FHWC, folder / f"{names[-1]}.mp4", 1000 / _MILLISECONDS)
    return names


def wrapped(text: str, font: Font, width: int, most_lines: int) -> list[str]:
    """Text in lines of at most `width` pixels; what does not fit into the lines ends in "…"."""
    words = legible(" ".join(text[:_READ].split())).split()
    lines = [""]
    for position, word in enumerate(words):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        elif len(lines) == most_lines:
            lines[-1] = shortened(" ".join([longer, *words[position + 1 :]]), font, width)
            break
        else:
            lines[len(lines) - (not lines[-1]) :] = [shortened(word, font, width)]
    return [line for line in lines if line]


def legible(text: str) -> str:
    """Text as Pillow's own font can draw most of it: accents are left out, control characters escaped."""
    folded = [(unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode() or sign) for sign in text[:_READ]]
    return printable("".join(folded), _READ)


def shortened(text: str, font: Font, width: float) -> str:
    """The begin of a text that is at most `width` pixels long, with "…" if anything is missing."""
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.getlength(text[:middle].rstrip() + "…") <= width else (low, middle - 1)
    return text[:low].rstrip() + "…"


def _canvases(layout: DynamicSceneLayout, frames: int, side: int) -> list[Image.Image]:
    tracks = condition_tracks(layout, frames)
    ids_as_in_tracks = dict.fromkeys(item.id for frame in layout.frames for item in frame)
    colours = [_COLOURS[number % len(_COLOURS)] for number in ids_as_in_tracks]
    return [_canvas(tracks, colours, frame, layout.background, side) for frame in range(frames)]


def _canvas(
    tracks: Sequence[Track], colours: Sequence[tuple[int, int, int]], frame: int, background: str, side: int
) -> Image.Image:
    canvas = Image.new("RGB", (side, side), _CANVAS)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(max(10, side // 26))
    draw.text(
        (side - 6, side - 5), shortened(legible(background), font, side - 12), fill=_BACKGROUND_INK, font=font, anchor="rs"
    )
    seen = [number for number, track in enumerate(tracks) if track.present[frame]]
    boxes = {number: _pixels(tracks[number].boxes[frame], side) for number in seen}
    for number in seen:
        draw.rectangle(boxes[number], outline=colours[number], width=max(2, side // 160))
    draw.rectangle((0, 0, side - 1, side - 1), outline=_FRAME)
    _draw_labels(draw, font, [(tracks[number].name, boxes[number], colours[number]) for number in seen], side)
    return canvas


def _pixels(box: NDArray[np.float64], side: int) -> Box:
    """Corners in pixels, in order, and just outside the canvas where they are far outside."""
    x0, y0, x1, y1 = np.clip(np.rint(box * side), -8, side + 8).tolist()
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _draw_labels(
    draw: ImageDraw.ImageDraw, font: Font, items: Sequence[tuple[str, Box, tuple[int, int, int]]], side: int
) -> None:
    """Writes each name near its box where it hides no other; of several with one name, those without room go unnamed."""
    taken = [box for _, box, _ in items]
    named: set[str] = set()
    height = round(1.3 * float(getattr(font, "size", 10)))
    for index, (name, box, colour) in enumerate(items):
        if box[2] < 0 or box[3] < 0 or box[0] > side or box[1] > side:
            continue
        text = shortened(legible(name), font, side - 8)
        width = font.getlength(text) + 6
        left = min(max(box[0], 0), side - width)
        spots = [(left, top, left + width, top + height) for top in (box[1] - height, box[3] + 1, box[1], box[3] - height)]
        inside = [spot for spot in spots if spot[1] >= 0 and spot[3] <= side]
        others = taken[:index] + taken[index + 1 :]
        free = [spot for spot in inside if not any(_touch(spot, other) for other in others)]
        if not free and name in named:
            continue
        left, top, right, bottom = (free or inside or [(left, 0, left + width, height)])[0]
        draw.rectangle((left, top, right, bottom), fill=colour)
        draw.text((left + 3, (top + bottom) / 2), text, fill="white", font=font, anchor="lm")
        taken.append((left, top, right, bottom))
        named.add(name)


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
