"""Short clips of the sprite world: motions, exact boxes per frame, events, and a caption in the LVD benchmark's wording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tasks.spriteworld.render import Pixels, render_background, render_objects
from tasks.spriteworld.scene import (
    CANVAS_PIXELS,
    Box,
    Facing,
    SpriteObject,
    choose,
    join_wordings,
    overlap,
    sample_size,
)
from tasks.spriteworld.vocabulary import BACKGROUNDS, CLASSES, COLOURS, with_article

_MARGIN = 1.0
_ATTEMPTS = 60
_LARGEST = {1: 30.0, 2: 22.0, 3: 18.0, 4: 16.0}
Point = tuple[float, float]

PLACES: dict[str, Point] = {
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
    "top": (0.5, 0.0),
    "bottom": (0.5, 1.0),
    "lower left": (0.0, 1.0),
    "lower right": (1.0, 1.0),
    "upper left": (0.0, 0.0),
    "upper right": (1.0, 0.0),
}
"""Named places as fractions of the room that a sprite has: 0 touches the left or top edge, 1 the right or bottom one."""


@dataclass(frozen=True)
class Event:
    """(agent, predicate, target) that holds in frames `start` to `end`, both included; without a target, an empty string."""

    agent: str
    predicate: str
    target: str
    start: int
    end: int


@dataclass(frozen=True)
class Motion:
    """A kind of motion: the places it passes (none: it stays), the frames in which it is seen, and the caption's words."""

    places: tuple[str, ...]
    visible: Callable[[int, int], bool]
    words: str


def _always(frame: int, frames: int) -> bool:
    return True


def _second_half(frame: int, frames: int) -> bool:
    return frame >= frames // 2


def _first_half(frame: int, frames: int) -> bool:
    return frame < frames // 2


def _move(*places: str) -> Motion:
    if len(places) == 2:
        return Motion(places, _always, f"moving from the {places[0]} to the {places[1]}")
    first, second, third = places
    return Motion(places, _always, f"moving from the {first} to the {second} and then to the {third}")


MOTIONS: tuple[Motion, ...] = (
    Motion((), _always, "standing still"),
    _move("left", "right"),
    _move("right", "left"),
    _move("top", "bottom"),
    _move("bottom", "top"),
    _move("lower left", "lower right", "upper right"),
    _move("lower left", "upper left", "upper right"),
    _move("lower right", "lower left", "upper left"),
    _move("lower right", "upper right", "upper left"),
    Motion((), _second_half, "appearing only in the second half"),
    Motion((), _first_half, "appearing only in the first half"),
)


@dataclass(frozen=True)
class Actor:
    """One sprite through a clip; `boxes[f]` is its box in frame f, None where it is not seen."""

    class_name: str
    colour: str
    motion: Motion
    boxes: tuple[Box | None, ...]

    @property
    def name(self) -> str:
        """For example "red car"."""
        return f"{self.colour} {self.class_name}"


@dataclass(frozen=True)
class Clip:
    """One to four actors on a background; all exact."""

    actors: tuple[Actor, ...]
    background: str
    background_seed: int
    frames: int


def _waypoints(random: np.random.Generator, motion: Motion, room: Point) -> list[Point]:
    """Top-left corners to pass, in pixels; a stay is one random point, and a move keeps the free axis where it starts."""
    if not motion.places:
        return [(float(random.uniform(0, room[0])), float(random.uniform(0, room[1])))]
    free = float(random.random())
    points = [PLACES[place] for place in motion.places]
    fractions = [(x if x != 0.5 else free, y if y != 0.5 else free) for x, y in points]
    return [(x * room[0], y * room[1]) for x, y in fractions]


def _path(points: list[Point], frames: int) -> list[Point]:
    """Positions in every frame, at an even pace from the first waypoint to the last."""
    places = np.linspace(0, len(points) - 1, frames)
    steps = np.arange(len(points))
    columns = [np.interp(places, steps, [point[axis] for point in points]) for axis in (0, 1)]
    return [(float(x), float(y)) for x, y in zip(*columns, strict=True)]


def _sample_boxes(
    random: np.random.Generator, class_name: str, motion: Motion, frames: int, largest: float
) -> list[Box | None]:
    width, height = sample_size(random, class_name, largest)
    room = (CANVAS_PIXELS - 2 * _MARGIN - width, CANVAS_PIXELS - 2 * _MARGIN - height)
    corners = _path(_waypoints(random, motion, room), frames)
    boxes = [(x + _MARGIN, y + _MARGIN, x + _MARGIN + width, y + _MARGIN + height) for x, y in corners]
    return [box if motion.visible(frame, frames) else None for frame, box in enumerate(boxes)]


def _collides(boxes: list[Box | None], others: list[Actor]) -> bool:
    pairs = ((mine, theirs) for actor in others for mine, theirs in zip(boxes, actor.boxes, strict=True))
    return any(mine and theirs and overlap(mine, theirs) > 0 for mine, theirs in pairs)


def sample_clip(
    random: np.random.Generator,
    frames: int = 8,
    most_actors: int = 4,
    motions: tuple[Motion, ...] = MOTIONS,
    twins: float = 0.0,
) -> Clip:
    """A random clip whose actors never touch.

    Args:
        random: where all choices come from.
        frames: length of the clip.
        most_actors: the number of actors is drawn from 1 to this.
        motions: what actors may do; named twice, a motion is twice as likely.
        twins: share of actors that look like the first one; without twins all actors differ in name.
    """
    count = int(random.integers(1, most_actors + 1))
    actors: list[Actor] = []
    for _ in range(count):
        twin = bool(twins and actors and random.random() < twins)
        for _ in range(_ATTEMPTS):
            class_name, colour = choose(random, CLASSES), choose(random, tuple(COLOURS))
            if twin:
                class_name, colour = actors[0].class_name, actors[0].colour
            motion = motions[int(random.integers(len(motions)))]
            boxes = _sample_boxes(random, class_name, motion, frames, _LARGEST[count])
            named = not twin and any(actor.name == f"{colour} {class_name}" for actor in actors)
            if not named and not _collides(boxes, actors):
                actors.append(Actor(class_name, colour, motion, tuple(boxes)))
                break
    return Clip(tuple(actors), choose(random, BACKGROUNDS), int(random.integers(2**31)), frames)


def _facing(actor: Actor, frame: int) -> Facing:
    """Where the actor is going; a sprite that does not move sideways looks right."""
    now, later = actor.boxes[frame], actor.boxes[min(frame + 1, len(actor.boxes) - 1)]
    before = actor.boxes[max(frame - 1, 0)]
    start, end = (now, later) if later and now and later != now else (before, now)
    return "left" if start and end and end[0] < start[0] else "right"


def render_clip(clip: Clip) -> Pixels:
    """[frames, 64, 64, 3] uint8; the background stays as it is."""
    background = render_background(clip.background, clip.background_seed)
    frames = []
    for frame in range(clip.frames):
        seen = [(actor, box) for actor in clip.actors if (box := actor.boxes[frame]) is not None]
        objects = tuple(SpriteObject(actor.class_name, actor.colour, box, _facing(actor, frame)) for actor, box in seen)
        frames.append(render_objects(background, objects))
    return np.stack(frames)


def caption_of_clip(clip: Clip) -> str:
    """One sentence that names every actor, what it does, and the kind of background."""
    wordings = [f"{with_article(actor.name)} {actor.motion.words}" for actor in clip.actors]
    return f"{join_wordings(wordings)} on {with_article(clip.background)} background."


def events_of_clip(clip: Clip) -> list[Event]:
    """What happens, exactly: stays, moves to each place in turn, appearances and disappearances; in order of start."""
    events = []
    last = clip.frames - 1
    for actor in clip.actors:
        seen = [frame for frame, box in enumerate(actor.boxes) if box is not None]
        if not seen:
            continue
        if seen[0] > 0:
            events.append(Event(actor.name, "appear", "", seen[0], seen[0]))
        legs = len(actor.motion.places) - 1
        if legs < 1:
            events.append(Event(actor.name, "stay", "", seen[0], seen[-1]))
        for leg in range(legs):
            start, end = round(last * leg / legs), round(last * (leg + 1) / legs)
            events.append(Event(actor.name, "move to", actor.motion.places[leg + 1], start, end))
        if seen[-1] < last:
            events.append(Event(actor.name, "disappear", "", seen[-1] + 1, seen[-1] + 1))
    return sorted(events, key=lambda event: (event.start, event.end, event.agent))
