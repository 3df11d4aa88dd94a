"""Videos that show what a benchmark prompt wants, or just not: sprites with exact boxes, to judge the detector by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tasks.common.files import write_text
from tasks.lvd.benchmark_prompts import BenchmarkPrompt
from tasks.lvd.expectations import Attribution, Expectation, Numeracy, OneDirection, Sequence, TwoDirections, Visibility
from tasks.lvd.interpolation import condition_tracks
from tasks.lvd.layout import DynamicSceneLayout
from tasks.lvd.video_index import INDEX_FILE, VideoRecord
from tasks.spriteworld.clips import MOTIONS, PLACES, Actor, Clip, render_clip
from tasks.spriteworld.scene import ASPECT, CANVAS_PIXELS, Box, choose, overlap, sample_size
from tasks.spriteworld.vocabulary import BACKGROUNDS, CLASSES, COLOURS
from tasks.video.mp4 import write_mp4

FRAMES_PER_SECOND = 8
_ATTEMPTS = 2000
_MARGIN = 1.0
_LARGEST = {1: 30.0, 2: 22.0, 3: 18.0, 4: 16.0, 5: 14.5}
_OTHER_SIDE = {"left": "right", "right": "left"}
Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Role:
    """One sprite to place: None is a colour or a path of chance; a path is fractions of the room that the sprite has."""

    class_name: str
    colour: str | None = None
    path: Callable[[np.random.Generator], list[Point]] | None = None
    half: str = ""

    def is_seen(self, frame: int, frames: int) -> bool:
        """Whether the sprite is there in a frame: in a half of the clip, or always."""
        return not self.half or (frame < frames // 2) == (self.half == "first")


def true_clip(expectation: Expectation, random: np.random.Generator, frames: int = 8, *, right: bool = True) -> Clip:
    """A clip of sprites that do not touch, which is what the expectation wants, or not `right`: one thing is wrong with it.

    Wrong is: one object less or more, colours exchanged, the other half, the way back, and a tour the other way round.
    """
    return _placed(_roles(expectation, random, right), random, frames)


def clip_of_layout(layout: DynamicSceneLayout, random: np.random.Generator, frames: int = 8) -> Clip:
    """A clip with a sprite in every box of a layout whose name says one; colours that no name says are drawn.

    Sprites keep their shape: they are as large as the box allows, and stand in its middle. The detector knows no others.
    """
    actors = []
    for track in condition_tracks(layout, frames):
        words = track.name.split()
        class_name = next((word for word in words if word in CLASSES), None)
        colour = next((word for word in words if word in COLOURS), None) or choose(random, tuple(COLOURS))
        if class_name:
            places = zip((track.boxes * CANVAS_PIXELS).tolist(), track.present, strict=True)
            boxes = [_fitted(box, ASPECT[class_name]) if seen else None for box, seen in places]
            actors.append(Actor(class_name, colour, MOTIONS[0], tuple(boxes)))
    return Clip(tuple(actors), choose(random, BACKGROUNDS), int(random.integers(2**31)), frames)


def _fitted(box: list[float], aspect: float) -> Box:
    """The largest box of this width over height in the middle of another."""
    width, height = box[2] - box[0], box[3] - box[1]
    width, height = min(width, aspect * height), min(height, width / aspect)
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def write_method(folder: Path, method: str, clips: list[tuple[BenchmarkPrompt, int, Clip]], prompt_set: str = "lvd") -> None:
    """The clips as videos of a method, each with its prompt and its repeat, in the form that `lvd_stage2` reads."""
    lines = []
    for prompt, repeat, clip in clips:
        name = f"{prompt.index:03d}-{repeat}.mp4"
        frames_FHWC = render_clip(clip)
        write_mp4(frames_FHWC, folder / method / name, FRAMES_PER_SECOND)
        record = VideoRecord(
            file=name, prompt_index=prompt.index, prompt=prompt.prompt, prompt_set=prompt_set, repeat=repeat,
            seed=repeat, method=method, frames=len(frames_FHWC), width=CANVAS_PIXELS, height=CANVAS_PIXELS,
        )  # fmt: skip
        lines.append(record.model_dump_json() + "\n")
    write_text(folder / method / INDEX_FILE, "".join(lines))


def _roles(expectation: Expectation, random: np.random.Generator, right: bool) -> list[Role]:
    match expectation:
        case Numeracy():
            change = 0 if right else 1 if expectation.count == 1 or random.random() < 0.5 else -1
            return [Role(expectation.object)] * (expectation.count + change)
        case Attribution():
            colours = [colour for colour, _ in expectation.pairs]
            order = colours if right else colours[::-1]
            return [Role(noun, colour) for colour, (_, noun) in zip(order, expectation.pairs, strict=True)]
        case Visibility():
            other = "second" if expectation.half == "first" else "first"
            return [Role(expectation.object, half=expectation.half if right else other)]
        case OneDirection():
            return [Role(expectation.object, path=_across(expectation.to if right else _OTHER_SIDE[expectation.to]))]
        case TwoDirections():
            mover = Role(expectation.object, path=_across(expectation.to if right else _OTHER_SIDE[expectation.to]))
            return [mover, Role(expectation.other, path=lambda draw: [(draw.uniform(0.35, 0.65), draw.random())])]
        case Sequence():
            tour = expectation.quadrants if right else expectation.quadrants[::-1]
            return [Role(expectation.object, path=lambda _: [PLACES[place] for place in tour])]


def _across(to: str) -> Callable[[np.random.Generator], list[Point]]:
    ends = (0.0, 1.0) if to == "right" else (1.0, 0.0)

    def path(draw: np.random.Generator) -> list[Point]:
        height = float(draw.random())
        return [(end, height) for end in ends]

    return path


def _anywhere(draw: np.random.Generator) -> list[Point]:
    """A short straight way, or a stay."""
    start = draw.random(2)
    end = np.clip(start + draw.uniform(-0.3, 0.3, 2), 0, 1) if draw.random() < 0.7 else start
    return [(float(x), float(y)) for x, y in (start, end)]


def _boxes(role: Role, random: np.random.Generator, frames: int, largest: float) -> list[Box | None]:
    size = np.array(sample_size(random, role.class_name, largest))
    points = np.array((role.path or _anywhere)(random))
    times = np.linspace(0, len(points) - 1, frames)
    places = np.stack([np.interp(times, np.arange(len(points)), points[:, axis]) for axis in (0, 1)], axis=1)
    corners = _MARGIN + places * (CANVAS_PIXELS - 2 * _MARGIN - size)
    boxes = np.concatenate([corners, corners + size], axis=1).tolist()
    return [tuple(box) if role.is_seen(frame, frames) else None for frame, box in enumerate(boxes)]


def _placed(roles: list[Role], random: np.random.Generator, frames: int) -> Clip:
    for _ in range(_ATTEMPTS):
        boxes = [_boxes(role, random, frames, _LARGEST[len(roles)]) for role in roles]
        pairs = ((one, other) for place, one in enumerate(boxes) for other in boxes[:place])
        if not any(a and b and overlap(a, b) for one, other in pairs for a, b in zip(one, other, strict=True)):
            colours = [role.colour or choose(random, tuple(COLOURS)) for role in roles]
            cast = zip(roles, colours, boxes, strict=True)
            actors = tuple(Actor(role.class_name, colour, MOTIONS[0], tuple(track)) for role, colour, track in cast)
            return Clip(actors, choose(random, BACKGROUNDS), int(random.integers(2**31)), frames)
    raise ValueError(f"{len(roles)} sprites do not fit into a clip")
