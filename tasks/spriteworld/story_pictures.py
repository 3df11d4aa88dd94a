"""Pictures of stories: things at a place, in a style, and captions of the kind that stories and styles are prompted with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.dreamframe.story_plots import INTERLUDES
from tasks.dreamframe.story_plots_of_courage import HELLO, SOUND
from tasks.dreamframe.story_plots_of_things import CAR, GIFT, LOST
from tasks.dreamframe.story_vocabulary import EXPRESSIONS, SETTINGS
from tasks.dreamframe.story_vocabulary import STYLES as STYLE_PHRASES
from tasks.dreamframe.style_objective import SUFFIXES, TEMPLATES
from tasks.spriteworld.backdrops import render_backdrop
from tasks.spriteworld.picture_styles import STYLES, apply_style
from tasks.spriteworld.render import Pixels, render_objects
from tasks.spriteworld.scene import ASPECT, CANVAS_PIXELS, Facing, SpriteObject, choose, join_wordings
from tasks.spriteworld.vocabulary import CLASSES, COLOURS, with_article

PLAIN = ""
"""The style of a picture that was left as it was rendered."""

_ACTIONS = tuple(
    dict.fromkeys(
        beat.action
        for plot in (LOST, CAR, GIFT, SOUND, HELLO)
        for scene in (plot.opening, *plot.middles, plot.finale)
        for beat in scene.beats
    )
) + tuple(beat.action for beat in INTERLUDES)
_PLACES = {place.name: place for places in SETTINGS.values() for place in places}
_FACES = tuple(face for faces in EXPRESSIONS.values() for face in faces)
_ANIMALS = ("cat", "dog", "bird")
_ANIMAL_PIXELS, _THING_PIXELS, _CAR_PIXELS = (23.0, 31.0), (14.0, 20.0), (23.0, 28.0)
_EMPTY_SHARE, _TOLD_SHARE, _PLAIN_SHARE = 0.12, 0.6, 0.12
_FRAME_SHARE, _BEHIND_SHARE, _TEMPLATE_SHARE = 0.4, 0.2, 0.15


class StoryPicture(NamedTuple):
    """What is to be seen: `words` say it without its style, which is `PLAIN` or one of `STYLES`."""

    words: str
    place: str
    style: str
    objects: tuple[SpriteObject, ...]
    seed: int


class _Look(NamedTuple):
    colour: str
    class_name: str

    @property
    def words(self) -> str:
        return with_article(f"{self.colour} {self.class_name}")


def _look(random: np.random.Generator, classes: tuple[str, ...]) -> _Look:
    return _Look(choose(random, tuple(COLOURS)), choose(random, classes))


def _stand(random: np.random.Generator, look: _Look, middle: float, bottom: float) -> SpriteObject:
    """The thing, standing on `bottom` with its middle at `middle` (pixels), as far as the picture allows."""
    pixels = {"ball": _THING_PIXELS, "car": _CAR_PIXELS}.get(look.class_name, _ANIMAL_PIXELS)
    longer, aspect = float(random.uniform(*pixels)), ASPECT[look.class_name] * float(random.uniform(0.95, 1.05))
    width, height = (longer, longer / aspect) if aspect >= 1 else (longer * aspect, longer)
    left = float(np.clip(middle - width / 2, 3, CANVAS_PIXELS - 3 - width))
    facing: Facing = "left" if random.random() < 0.5 else "right"
    return SpriteObject(look.class_name, look.colour, (left, bottom - height, left + width, bottom), facing)


def _arranged(random: np.random.Generator, looks: list[_Look], stacked: bool) -> tuple[SpriteObject, ...]:
    """Side by side on the ground, or the first on top of the second."""
    bottoms = [float(random.uniform(53, 60)) for _ in looks]
    if len(looks) < 2:
        return tuple(_stand(random, look, float(random.uniform(22, 42)), bottoms[0]) for look in looks)
    if stacked:
        below = _stand(random, looks[1], float(random.uniform(24, 40)), 60.0)
        top, middle = below.box[1], (below.box[0] + below.box[2]) / 2
        return below, _stand(random, looks[0], middle, top + 4)
    middles = [float(random.uniform(14, 21)), float(random.uniform(43, 50))]
    if random.random() < 0.5:
        middles.reverse()
    return tuple(_stand(random, *three) for three in zip(looks, middles, bottoms, strict=True))


def _deed(random: np.random.Generator, place: str) -> tuple[str, list[_Look], bool]:
    """What somebody does in a story: its words, who and what is in it, and whether one is on top of the other."""
    actor = _look(random, _ANIMALS)
    action = choose(random, _ACTIONS)
    friend, thing = _look(random, _ANIMALS), _look(random, ("ball", "car"))
    other = choose(random, tuple(COLOURS))
    fields: Mapping[str, str] = {
        "hero": friend.words, "friend": friend.words, "guest": friend.words, "thing": thing.words, "other": other,
        "spot": _PLACES[place].spot, "next": f"the {choose(random, tuple(_PLACES))}",
    }  # fmt: skip
    looks = [actor]
    if any(f"{{{role}}}" in action for role in ("hero", "friend", "guest")):
        looks.append(friend)
    elif "{thing}" in action:
        looks.append(thing)
    elif "{other}" in action:
        looks.append(_Look(other, "car" if "car" in action else "ball"))
    expression = choose(random, _FACES)
    words = f"{actor.words} is {action.format_map(fields)}, {expression}".replace(" a orange", " an orange")
    return words, looks, action.startswith("sitting on {")


def sample_story_picture(random: np.random.Generator) -> StoryPicture:
    """A random picture: a place with nobody, things that are named, or a deed as stories tell them."""
    place = choose(random, tuple(_PLACES))
    style = PLAIN if random.random() < _PLAIN_SHARE else choose(random, tuple(STYLES))
    kind, stacked = random.random(), False
    looks: list[_Look] = []
    if kind < _EMPTY_SHARE:
        words = place
    elif kind < _EMPTY_SHARE + _TOLD_SHARE:
        deed, looks, stacked = _deed(random, place)
        words = f"{place}, {deed}"
    else:
        looks = [_look(random, CLASSES) for _ in range(int(random.integers(1, 3)))]
        named = join_wordings([look.words for look in looks])
        words = f"{place}, {named}" if random.random() < 0.5 else f"{named} {_PLACES[place].at}"
    return StoryPicture(words, place, style, _arranged(random, looks, stacked), int(random.integers(2**31)))


def things_of(objects: tuple[SpriteObject, ...]) -> NDArray[np.float64]:
    """[64, 64] in 0 to 1: how much of each pixel belongs to a thing."""
    black = np.zeros((CANVAS_PIXELS, CANVAS_PIXELS, 3), dtype=np.uint8)
    on_black, on_white = (render_objects(ground, objects).astype(np.float64) for ground in (black, black + 255))
    return np.asarray(1 - (on_white - on_black).mean(-1) / 255)


def render_story_picture(picture: StoryPicture) -> Pixels:
    """[64, 64, 3] uint8."""
    pixels = render_objects(render_backdrop(picture.place, picture.seed), picture.objects)
    if picture.style == PLAIN:
        return pixels
    return apply_style(picture.style, pixels, things_of(picture.objects), picture.seed)


def caption_of_story_picture(random: np.random.Generator, picture: StoryPicture) -> str:
    """A prompt for it. Its style is told by some of its phrases in any order, never by its name, or not at all."""
    if picture.style == PLAIN:
        return picture.words
    phrases = STYLE_PHRASES[picture.style]
    chosen = random.permutation(len(phrases))[: int(random.integers(1, len(phrases) + 1))]
    told = ", ".join(phrases[index] for index in chosen.tolist())
    form = random.random()
    if form < _FRAME_SHARE:
        return f"generate an image in {told} style: {picture.words}"
    if form < _FRAME_SHARE + _BEHIND_SHARE:
        return f"{picture.words}, {told}"
    if form < _FRAME_SHARE + _BEHIND_SHARE + _TEMPLATE_SHARE:
        template = choose(random, TEMPLATES).format(f"{told} {choose(random, SUFFIXES)}")
        return f"{template}: {picture.words}" if random.random() < 0.5 else template
    return picture.words
