"""Pictures for people: a contact sheet of each substory, and what the learned style changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.common.contact_sheet import Tile, save_contact_sheet
from tasks.common.shard_engine import Part
from tasks.dreamframe.keyframe_images import is_made, pixels_of
from tasks.dreamframe.keyframe_requests import WAYS, StyledStory, Way, picture_name
from tasks.dreamframe.keyframe_scores import compared_frames
from tasks.dreamframe.picture_archive import read_pictures
from tasks.dreamframe.story_tree import Frame, Story, Substory
from tasks.dreamframe.style_prompts import plain_prompt

_WIDTH = 160
_SMALL_WIDTH = 64
_MOST_COLUMNS = 12
_MANY = 500
_LABELS: dict[Way, str] = {"learned": "learned style", "untrained": "untrained", "plain": "no style"}
_BLANK = np.full((1, 1, 3), 235, np.uint8)


def save_substory_sheet(story: Story, substory: Substory, parts: dict[str, Part], target: Path) -> None:
    """The keyframes of a substory with their ids and what they show; a row is a tiny story where it fits into one."""
    frames = [[shot for shot in tiny_story.shots if isinstance(shot, Frame)] for tiny_story in substory.tiny_stories]
    columns = min(_MOST_COLUMNS, max(map(len, frames), default=1) or 1)
    width = _WIDTH if sum(map(len, frames)) <= _MANY else _SMALL_WIDTH
    tiles, shape = [], (1, 1)
    for row in frames:
        for frame in row:
            part = parts[picture_name(story, frame, "learned")]
            caption = f"{frame.id} {plain_prompt(frame.prompt, story.style_keyword)}"
            if is_made(part):
                pixels = pixels_of(part)
                shape = pixels.shape[:2]
                tiles.append(Tile(_shrunk(pixels, width), title=caption))
            else:
                tiles.append(Tile(_BLANK, title=f"{frame.id} {part.statistics['reason']}"))
        tiles += [Tile(_BLANK)] * (-len(row) % columns)
    save_contact_sheet(tiles, columns, _size(shape, width), target)


def save_comparison(styled: Sequence[StyledStory], parts: dict[str, Part], most: int, target: Path) -> None:
    """Up to `most` stories: the compared frames in each way, row by row, and style images below them."""
    shown = [(item, frames) for item in styled if (frames := compared_frames(item, parts))][:most]
    columns = max((len(frames) for _, frames in shown), default=1)
    tiles, shape = [], (1, 1)
    for item, frames in shown:
        for way in WAYS:
            row = []
            for frame in frames:
                pixels = pixels_of(parts[picture_name(item.story, frame, way)])
                shape = pixels.shape[:2]
                caption = f"{_LABELS[way]}: {plain_prompt(frame.prompt, item.story.style_keyword)}"
                row.append(Tile(_shrunk(pixels, _WIDTH), title=caption))
            tiles += _filled(row, columns)
        pictures = islice(read_pictures(item.images), columns) if item.images else ()
        tiles += _filled([Tile(_shrunk(pixels, _WIDTH), title=f"style image {name}") for name, pixels in pictures], columns)
    save_contact_sheet(tiles, columns, _size(shape, _WIDTH), target)


def _filled(row: list[Tile], columns: int) -> list[Tile]:
    return row + [Tile(_BLANK)] * (columns - len(row))


def _size(shape: Sequence[int], width: int) -> tuple[int, int]:
    return width, max(1, round(width * shape[0] / shape[1]))


def _shrunk(pixels: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Small enough that all tiles of a sheet fit into memory."""
    if pixels.shape[1] <= width:
        return pixels
    return np.array(Image.fromarray(pixels).resize(_size(pixels.shape, width), Image.Resampling.LANCZOS))
