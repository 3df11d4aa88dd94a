"""Worked examples of the direct planner: three scenes with boxes computed for any number of frames.

Boxes are rounded to whole pixels; `i` counts frames from 0 and the last frame is `last`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from tasks.lvd.layout import CANVAS_PIXELS, DynamicSceneLayout, LayoutObject

FEWEST_FRAMES = 2
MOST_FRAMES = 64
_CENTRE = CANVAS_PIXELS / 2
_MARGIN = 20
_LEAP = 200
_DROP = 320
_RESTITUTION = 0.75

_Box = tuple[float, float, float, float]


def example_layouts(frames: int) -> tuple[DynamicSceneLayout, DynamicSceneLayout, DynamicSceneLayout]:
    """A constant speed beside a leap under gravity, a throw that bounces, and a camera that comes nearer.

    Args:
        frames: how many, from `FEWEST_FRAMES` to `MOST_FRAMES`.

    Raises:
        ValueError: fewer or more.
    """
    if not FEWEST_FRAMES <= frames <= MOST_FRAMES:
        raise ValueError(f"frames: {frames} is not between {FEWEST_FRAMES} and {MOST_FRAMES}")
    return _leap(frames), _throw(frames), _camera(frames)


def _leap(frames: int) -> DynamicSceneLayout:
    """The leap lasts the whole video: height 4 h t (1 - t) with t = i / last."""
    last = frames - 1
    step = _step(140, last)
    boats = [(_MARGIN + step * i, 390, 140, 100) for i in range(frames)]
    dolphins = [(340, 300 - 4 * _LEAP * i * (last - i) / last**2, 90, 60) for i in range(frames)]
    return _layout(
        "A rowing boat glides to the right while a dolphin leaps out of the water behind it",
        {"rowing boat": boats, "dolphin": dolphins},
        "sea",
        f"The boat keeps its speed: its x grows by {step} from frame to frame and its y stays. The dolphin leaps straight"
        " up, so its x stays. Gravity slows it down while it rises and speeds it up while it falls, until it is back at the"
        " surface in the last frame. It is farther away than the boat, so it is higher up in the picture, without overlap.",
    )


def _throw(frames: int) -> DynamicSceneLayout:
    """Free fall with constant acceleration; each impact leaves `_RESTITUTION` of the speed. Sideways nothing acts."""
    last = frames - 1
    step = _step(60, last)
    impact = max(1, round(0.4 * last))
    tyres = [(_MARGIN + step * i, 410 - _height_above_ground(i, impact), 60, 60) for i in range(frames)]
    return _layout(
        "A rubber tyre is thrown to the right from the top of a wall and bounces on the ground",
        {"rubber tyre": tyres},
        "yard",
        f"Nothing pushes the tyre sideways after the throw, so its x grows by {step} from frame to frame. Gravity makes it"
        f" fall faster and faster; it hits the ground in frame {impact + 1}. Rubber is elastic, so it springs up again, but"
        " the impact costs energy: it does not come as high as before.",
    )


def _camera(frames: int) -> DynamicSceneLayout:
    """A camera of constant speed halves its distance: sizes, and offsets from the centre, go with 1 / distance."""
    last = frames - 1
    scales = [1 / (2 - i / last) for i in range(frames)]
    return _layout(
        "The camera moves steadily towards a statue beside a fountain",
        {
            "statue": [_seen((-190, -150, 140, 300), scale) for scale in scales],
            "fountain": [_seen((40, -30, 180, 180), scale) for scale in scales],
        },
        "park",
        "Statue and fountain stand still, only the camera moves. What comes nearer looks larger: at half the distance both"
        " are twice as wide and twice as high. Everything grows away from the centre of the picture, so both also move"
        " outwards. Boxes change more from frame to frame the nearer the camera is.",
    )


def _step(width: int, last: int) -> int:
    """Whole pixels per frame with which a box of this width crosses the canvas."""
    return (CANVAS_PIXELS - 2 * _MARGIN - width) // last


def _height_above_ground(time: float, impact: int) -> float:
    """Height in pixels at a time in frames, for a fall from `_DROP` that ends at `impact`."""
    gravity = 2 * _DROP / impact**2
    if time <= impact:
        return _DROP - gravity * time**2 / 2
    since, speed = time - impact, _RESTITUTION * gravity * impact
    while since > 2 * speed / gravity:
        since -= 2 * speed / gravity
        speed *= _RESTITUTION
    return speed * since - gravity * since**2 / 2


def _seen(offsets: _Box, scale: float) -> _Box:
    """A box given by offsets from the centre and size, as the camera sees it."""
    x, y, width, height = (value * scale for value in offsets)
    return _CENTRE + x, _CENTRE + y, width, height


def _layout(prompt: str, paths: dict[str, Iterable[_Box]], background: str, reasoning: str) -> DynamicSceneLayout:
    tracks = [
        [LayoutObject(id=identifier, name=name, box=_whole_pixels(box)) for box in path]
        for identifier, (name, path) in enumerate(paths.items())
    ]
    return DynamicSceneLayout(
        prompt=prompt, frames=tuple(zip(*tracks, strict=True)), background=background, reasoning=reasoning, planner="example"
    )


def _whole_pixels(box: _Box) -> _Box:
    """The box with all four sides on whole pixels, so that what does not overlap does not begin to."""
    x, y, width, height = box
    left, top = math.floor(x + 0.5), math.floor(y + 0.5)
    return left, top, math.floor(x + width + 0.5) - left, math.floor(y + height + 0.5) - top
