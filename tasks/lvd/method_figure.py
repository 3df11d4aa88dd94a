"""Methods of video generation side by side: the same prompts and seeds, with the boxes asked for and those detected."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tasks.common.files import complete
from tasks.lvd.expectations import TASKS, things_of
from tasks.lvd.method_scores import MethodScores
from tasks.lvd.previews import legible, shortened, wrapped
from tasks.lvd.rules import FRAMES
from tasks.lvd.scoring import SetAside, Verdict
from tasks.lvd.video_detector import FrameDetections
from tasks.lvd.video_judging import Seen, Video
from tasks.lvd.video_layout import asked_tracks
from tasks.video.gif import write_gif
from tasks.video.mp4 import read_mp4

_TILE, _GAP, _MARGIN, _SIDE = 140, 5, 10, 136
_LINE, _DASH, _MILLISECONDS = 17, 5, 400
_PAPER, _EMPTY, _INK, _FAINT = "white", (235, 235, 235), (20, 20, 20), (110, 110, 110)
_GOOD, _BAD = (0, 120, 50), (190, 30, 30)
_FOUND = ((215, 0, 110), (0, 95, 215), (190, 95, 0), (0, 120, 60), (110, 50, 190))
_LEGEND = "Dashed: a box that the layout asks for. Solid: what the detector found, with its score."
Case = tuple[str, int, int]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class _Strip:
    """What is shown of one video: six tiles, and lines of text with their colours."""

    tiles: tuple[Image.Image, ...]
    lines: tuple[tuple[str, Colour], ...]


def save_method_figures(scores: Sequence[MethodScores], prompts: int, figure: Path, animation: Path) -> None:
    """Draws some prompts: as PNG the six judged frames of every method below each other, as GIF the methods side by side.

    Args:
        scores: of all methods.
        prompts: how many prompts, in turn from each task.
        figure: the PNG.
        animation: the GIF; methods are columns, prompts are rows.
    """
    cases = chosen_cases(scores, prompts)
    captions: dict[Case, str] = {}
    strips: dict[tuple[Case, str], _Strip] = {}
    for item in scores:
        for (video, seen), verdict in zip(item.judged, item.scores.verdicts, strict=True):
            case = _case(video)
            if case in cases:
                captions.setdefault(case, f"{verdict.prompt.task}: {video.prompt.prompt} (seed {video.record.seed})")
                strips[case, item.method] = _strip(video, seen, verdict)
    methods = [item.method for item in scores]
    with complete(figure) as path:
        _still(methods, {case: captions[case] for case in cases}, strips).save(path, "PNG")
    moments = [_moment(methods, {case: captions[case] for case in cases}, strips, frame) for frame in range(FRAMES)]
    write_gif(np.stack([np.asarray(moment) for moment in moments]), animation, _MILLISECONDS)


def chosen_cases(scores: Sequence[MethodScores], prompts: int) -> list[Case]:
    """(set, index, repeat) of the prompts to draw: what most methods have, of each task in turn, the middle ones first."""
    having: dict[Case, int] = {}
    tasks: dict[Case, str] = {}
    for video in (video for item in scores for video, _ in item.judged):
        having[_case(video)] = having.get(_case(video), 0) + 1
        tasks[_case(video)] = video.prompt.task
    most = max(having.values(), default=0)
    queues = []
    for task in TASKS:
        full = sorted(case for case in having if tasks[case] == task and having[case] == most)
        first_repeats = list({case[:2]: case for case in reversed(full)}.values())[::-1]
        middle = len(first_repeats) // 2
        queues.append(first_repeats[middle:] + first_repeats[:middle])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*queues))
    return [case for case in turns if case is not None][:prompts]


def _case(video: Video) -> Case:
    return (video.record.prompt_set, video.record.prompt_index, video.record.repeat)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _strip(video: Video, seen: Seen | SetAside, verdict: Verdict) -> _Strip:
    judgements = [(mode, verdict.passed(mode)) for mode in ("compatible", "strict")]  # type: list[tuple[str, bool]]
    lines = [(f"{mode}: {'yes' if passed else 'no'}", _GOOD if passed else _BAD) for mode, passed in judgements]
    if isinstance(seen, SetAside):
        return _Strip((Image.new("RGB", (_TILE, _TILE), _EMPTY),) * FRAMES, ((seen.reason, _BAD), *lines))
    if seen.layout_iou is not None:
        lines.append((f"layout IoU {seen.layout_iou:.2f}", _FAINT))
    frames_FHWC = read_mp4(video.path)
    asked = [] if video.asked is None else asked_tracks(video.prompt, video.asked, len(frames_FHWC))
    names = things_of(video.prompt.expectation)
    tiles = []
    for place, found in zip(seen.places.tolist(), seen.found, strict=True):
        picture = Image.fromarray(frames_FHWC[place])
        smaller = max(picture.size) <= _TILE
        tile = picture.resize((_TILE, _TILE), Image.Resampling.NEAREST if smaller else Image.Resampling.LANCZOS)
        for _, track in asked:
            if track.present[place]:
                _dashed(ImageDraw.Draw(tile), [float(value) * (_TILE - 1) for value in track.boxes[place]])
        _draw_found(ImageDraw.Draw(tile), found, names)
        tiles.append(tile)
    return _Strip(tuple(tiles), tuple(lines))


def _dashed(draw: ImageDraw.ImageDraw, box: Sequence[float]) -> None:
    """White dashes on black, to be seen on any picture."""
    x0, y0, x1, y1 = box
    draw.rectangle((x0, y0, x1, y1), outline="black", width=1)
    for x in np.arange(x0, x1, 2 * _DASH).tolist():
        for y in (y0, y1):
            draw.line((x, y, min(x + _DASH, x1), y), fill="white", width=1)
    for y in np.arange(y0, y1, 2 * _DASH).tolist():
        for x in (x0, x1):
            draw.line((x, y, x, min(y + _DASH, y1)), fill="white", width=1)


def _draw_found(draw: ImageDraw.ImageDraw, found: FrameDetections, names: Sequence[str]) -> None:
    font = _font(10)
    for box, score, label in zip(found.boxes_N4, found.scores_N.tolist(), found.labels_N.tolist(), strict=True):
        colour = _FOUND[label % len(_FOUND)]
        x0, y0, x1, y1 = (float(value) * (_TILE - 1) for value in box)
        draw.rectangle((x0, y0, x1, y1), outline=colour, width=2)
        text = f"{shortened(legible(names[label]), font, _TILE - 34)} {score:.2f}"
        width = font.getlength(text) + 4
        above, below = y0 - 13, y1 + 1
        wanted = above if (label % 2 == 0 and above > 0) or below > _TILE - 13 else below
        left, top = max(0.0, min(x0, _TILE - width)), max(0.0, wanted)
        draw.rectangle((left, top, left + width, top + 12), fill=colour)
        draw.text((left + 2, top), text, fill="white", font=font)


def _still(methods: Sequence[str], captions: dict[Case, str], strips: dict[tuple[Case, str], _Strip]) -> Image.Image:
    """One block for each prompt: its words, and a row of tiles for each method."""
    width = 2 * _MARGIN + _SIDE + FRAMES * (_TILE + _GAP)
    block = 2 * _LINE + len(methods) * (_TILE + _GAP) + _MARGIN
    sheet = Image.new("RGB", (width, 2 * _MARGIN + _LINE + len(captions) * block), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), _LEGEND if captions else "No prompt is drawn.", fill=_FAINT, font=_font(12))
    for number, (case, caption) in enumerate(captions.items()):
        top = _MARGIN + _LINE + number * block
        for row, line in enumerate(wrapped(caption, _font(13), width - 2 * _MARGIN, 2)):
            draw.text((_MARGIN, top + row * _LINE), line, fill=_INK, font=_font(13))
        for row, method in enumerate(methods):
            place = top + 2 * _LINE + row * (_TILE + _GAP)
            _write_lines(draw, (_MARGIN, place), method, strips.get((case, method)))
            for column, tile in enumerate(_tiles(strips.get((case, method)))):
                sheet.paste(tile, (_MARGIN + _SIDE + column * (_TILE + _GAP), place))
    return sheet


def _tiles(strip: _Strip | None) -> Sequence[Image.Image]:
    return strip.tiles if strip else [Image.new("RGB", (_TILE, _TILE), _EMPTY)] * FRAMES


def _write_lines(draw: ImageDraw.ImageDraw, place: tuple[int, int], method: str, strip: _Strip | None) -> None:
    lines = strip.lines if strip else (("no video", _BAD),)
    for row, (text, colour) in enumerate([(method, _INK), *lines]):
        font = _font(14 if row == 0 else 12)
        draw.text((place[0], place[1] + row * _LINE), shortened(legible(text), font, _SIDE - _GAP), fill=colour, font=font)


def _moment(
    methods: Sequence[str], captions: dict[Case, str], strips: dict[tuple[Case, str], _Strip], frame: int
) -> Image.Image:
    """One frame of all videos: methods are columns, prompts are rows with their words below."""
    width = 2 * _MARGIN + max(1, len(methods)) * (_TILE + _GAP)
    row = _TILE + 2 * _LINE + _GAP
    sheet = Image.new("RGB", (width, 2 * _MARGIN + _LINE + len(captions) * row), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, method in enumerate(methods):
        left = _MARGIN + column * (_TILE + _GAP)
        draw.text((left, _MARGIN - 2), shortened(legible(method), _font(13), _TILE), fill=_INK, font=_font(13))
        for number, case in enumerate(captions):
            sheet.paste(_tiles(strips.get((case, method)))[frame], (left, _MARGIN + _LINE + number * row))
    for number, caption in enumerate(captions.values()):
        top = _MARGIN + _LINE + number * row + _TILE + 2
        for line, text in enumerate(wrapped(caption, _font(11), width - 2 * _MARGIN, 2)):
            draw.text((_MARGIN, top + line * 14), text, fill=_FAINT, font=_font(11))
    return sheet
