"""Gold graphs of sprite-world clips, exact: what the caption tells, what happens, and what each frame shows.

A tick is a frame. Its graph has the triplets of the events, what the names of its objects tell of them, and where the
sprites of that frame stand to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tasks.common.errors import UserError
from tasks.common.seeds import item_seed
from tasks.dysen.gold_sources.gold_ticks import ticks_of
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Event
from tasks.dysen.graphs.spatial_predicates import Box
from tasks.spriteworld.clips import Clip, caption_of_clip, events_of_clip, sample_clip
from tasks.spriteworld.scene import CANVAS_PIXELS

SOURCE = "spriteworld"
_PREDICATES = {"stay": "stay in", "appear": "appear in", "disappear": "disappear from"}
_ATTEMPTS = 30


class SpriteGold(NamedTuple):
    """A clip, its exact graph, and the key that both derive from."""

    key: str
    clip: Clip
    graph: DynamicSceneGraph


def events_of_sprites(clip: Clip) -> tuple[Event, ...]:
    """The events of a clip in ticks, in order of start.

    What lasts to the last frame ends with it, what stays up to another one ends behind it, and an appearance or
    disappearance takes one tick. The clip has three frames or more.
    """
    last = clip.frames - 1
    events = []
    for told in events_of_clip(clip):
        after = told.predicate != "move to" and told.end < last
        events.append(
            Event(
                agent=told.agent,
                predicate=_PREDICATES.get(told.predicate, told.predicate),
                target=told.target or "scene",
                start=told.start,
                end=told.end + after,
            )
        )
    return tuple(events)


def boxes_of_sprites(clip: Clip) -> list[dict[str, Box]]:
    """For each frame, the boxes of the sprites that are seen in it, as fractions of the canvas, by name."""
    frames: list[dict[str, Box]] = []
    for frame in range(clip.frames):
        seen = {actor.name: box for actor in clip.actors if (box := actor.boxes[frame]) is not None}
        frames.append({name: _fractions(box) for name, box in seen.items()})
    return frames


def _fractions(box: Box) -> Box:
    x0, y0, x1, y1 = (side / CANVAS_PIXELS for side in box)
    return (x0, y0, x1, y1)


def sprite_gold(key: str, seed: int, last_tick: int = 7, most_actors: int = 2) -> tuple[Clip, DynamicSceneGraph]:
    """A clip and its exact graph, which derive from the seed of the run and the key alone.

    Args:
        key: of the item.
        seed: of the run.
        last_tick: 2 or more; the clip has a frame for each tick.
        most_actors: 1 to 4; how many sprites there are is drawn from 1 to this.
    """
    clip = _clip(key, seed, last_tick, most_actors)
    return clip, _graph(clip)


def _clip(key: str, seed: int, last_tick: int, most_actors: int) -> Clip:
    return sample_clip(np.random.default_rng(item_seed(seed, f"gold:{key}")), last_tick + 1, most_actors)


def _graph(clip: Clip) -> DynamicSceneGraph:
    events = events_of_sprites(clip)
    ticks = ticks_of(events, boxes_of_sprites(clip))
    return DynamicSceneGraph(prompt=caption_of_clip(clip), events=events, ticks=ticks, source=SOURCE)


def sprite_golds(counts: Mapping[str, int], seed: int, last_tick: int, most_actors: int) -> dict[str, list[SpriteGold]]:
    """Sets of gold graphs in which no caption stands twice, neither in one set nor in two.

    An item whose caption is taken is drawn again, with a key that tells the attempt; so the sets that come first do not
    depend on the ones that follow, nor the first items of a set on how many it has.

    Args:
        counts: how many graphs each set has.
        seed, last_tick, most_actors: as `sprite_gold` takes them.

    Raises:
        UserError: there are not so many captions.
    """
    taken: set[str] = set()
    sets: dict[str, list[SpriteGold]] = {}
    for name, count in counts.items():
        sets[name] = []
        for number in range(count):
            gold = _untaken(f"{name}-{number:05d}", taken, seed, last_tick, most_actors)
            taken.add(gold.graph.prompt)
            sets[name].append(gold)
    return sets


def _untaken(key: str, taken: set[str], seed: int, last_tick: int, most_actors: int) -> SpriteGold:
    for attempt in range(_ATTEMPTS):
        tried = f"{key}-{attempt}" if attempt else key
        clip = _clip(tried, seed, last_tick, most_actors)
        if caption_of_clip(clip) not in taken:
            return SpriteGold(tried, clip, _graph(clip))
    raise UserError(
        f"no further caption for {key} with {most_actors} actors at most, {len(taken)} are taken; "
        "lower gold.candidates, gold.train or gold.heldout, or raise gold.most_actors"
    )
