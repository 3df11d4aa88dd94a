"""Whether a layout shows what its caption says: things and their looks, places, sides, motions, and when things are seen.

What the caption says is what the clause parser reads in it. Each claim of it is held, violated or not checkable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from tasks.captions.clause_parser import ClauseParser
from tasks.captions.scene import WHOLE, Motion, Place, Region, SceneDescription, Side
from tasks.dysen.explaining.claimed_things import Path, Thing, things_of
from tasks.dysen.explaining.layout_graphs import tracks_of
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.lvd.layout import DynamicSceneLayout
from tasks.lvd.places import REGIONS, SIDES
from tasks.lvd.trajectories import progress, visible_frames

Verdict = Literal["held", "violated", "not checkable"]
ClaimKind = Literal["object", "attribute", "size", "place", "side", "motion", "visibility", "background"]

_SLACK = 0.02
_LEAST_WAY, _LEAST_FALL, _LEAST_JUMP = 0.05, 0.1, 0.04
"""In fractions of the canvas: beyond a place, to move at all, to fall, to jump or rebound."""
_GROWN = 1.1
_FEWEST_TO_BOUNCE = 6
_MOTIONS: dict[Motion, str] = {
    "still": "stays where it is",
    "travel": "moves",
    "fall": "falls",
    "bounce": "bounces",
    "jump": "jumps up and comes down",
    "approach": "comes nearer",
    "recede": "moves away from the camera",
}
_UNMOVED: tuple[Motion, ...] = ("still", "approach", "recede")


class Claim(NamedTuple):
    """Something that a caption says.

    Attributes:
        kind: what it is about.
        text: in words.
        verdict: whether the layout shows it.
        where: the ticks, entities or relations that show or violate it, or why it cannot be checked.
    """

    kind: ClaimKind
    text: str
    verdict: Verdict
    where: str


def check_caption(layout: DynamicSceneLayout, graph: DynamicSceneGraph) -> list[Claim]:
    """The claims of the caption of a layout; none if it names nothing that can be seen.

    Args:
        layout: its prompt is the caption.
        graph: the graph sequence of the layout, as `graph_of_layout` makes it.

    Raises:
        UserError: spaCy's English pipeline is not installed.
    """
    return check_scene(ClauseParser().describe(layout.prompt), layout, graph)


def check_scene(scene: SceneDescription, layout: DynamicSceneLayout, graph: DynamicSceneGraph) -> list[Claim]:
    """The claims of a caption that has been read already; see `check_caption`."""
    things = things_of(scene.objects, tracks_of(layout), len(graph.ticks))
    claims = []
    for thing in things:
        claims += [*_object(thing), *_places(thing, things, graph), _motion(thing, graph), *_visibility(thing)]
    return [*claims, *_background(scene, layout)]


def _object(thing: Thing) -> Iterator[Claim]:
    item, there = thing.item, (*thing.names, *thing.surplus)
    names = ", ".join(there) or "none is there"
    yield Claim("object", f"{item.count} × {item.label}", "held" if len(there) == item.count else "violated", names)
    if item.attribute:
        verdict: Verdict = "violated" if thing.unlike else "held" if thing.names else "not checkable"
        yield Claim("attribute", f"{item.name} is {item.attribute}", verdict, ", ".join(thing.unlike) or names)
    if item.size != "medium":
        yield Claim("size", f"{item.label} is {item.size}", "not checkable", "what is near has a large box, too")


def _places(thing: Thing, things: Sequence[Thing], graph: DynamicSceneGraph) -> Iterator[Claim]:
    for place, when, ticks in _moments(thing):
        if place.of is not None and place.side is not None:
            yield _side(place.side, when, ticks, (thing, things[place.of]), graph)
        elif place.region is not None:
            wrong = [tick for tick in ticks if not _is_in(thing.path_T2[tick], place.region)]
            where = "in the center" if place.region == "center" else f"at the {place.region}"
            yield _by_ticks("place", f"{thing.item.label} {where}{when}", ticks, wrong)


def _moments(thing: Thing) -> Iterator[tuple[Place, str, list[int]]]:
    """Each place with the ticks that have to show it; of a thing that does not move, all in which it is seen."""
    item, seen = thing.item, thing.seen
    if item.motion in _UNMOVED:
        for place in item.places[:1]:
            yield place, "", seen
        return
    done = progress(item, len(thing.area_T))
    last = len(item.places) - 1
    for number, place in enumerate(item.places):
        share = number / last if last else float(item.motion == "travel")
        when = {0.0: " at first", 1.0: " in the end"}.get(share, " in between")
        yield place, when, [min(seen, key=lambda tick: abs(done[tick] - share))] if seen else []


def _is_in(middle_2: Path, region: Region) -> bool:
    axes = zip(middle_2.tolist(), REGIONS[region], strict=True)
    return all(axis.start - _SLACK <= value <= axis.end + _SLACK for value, axis in axes)


def _side(side: Side, when: str, ticks: Sequence[int], pair: tuple[Thing, Thing], graph: DynamicSceneGraph) -> Claim:
    thing, other = pair
    axis, direction = SIDES[side]
    words = f"{side} of" if axis == 0 else side
    both = [tick for tick in ticks if tick in other.seen]
    apart_T2 = (thing.path_T2 - other.path_T2) * direction
    wrong = [tick for tick in both if apart_T2[tick, axis] <= 0]
    claim = _by_ticks("side", f"{thing.item.label} {words} {other.item.label}{when}", both, wrong)
    said = _relation(graph, (wrong or both)[0], thing.names, other.names) if both else ""
    return claim._replace(where=f"{claim.where}: {said}") if said else claim


def _relation(graph: DynamicSceneGraph, tick: int, ones: Sequence[str], others: Sequence[str]) -> str:
    """What the graph says there of one of the one and one of the other; "" if nothing."""
    pairs = {frozenset((one, other)) for one in ones for other in others}
    said = [item for item in graph.ticks[tick].triplets if frozenset((item.subject, item.object)) in pairs]
    return f"{said[0].subject} {said[0].predicate} {said[0].object}" if said else ""


def _by_ticks(kind: ClaimKind, text: str, ticks: Sequence[int], wrong: Sequence[int]) -> Claim:
    if not ticks:
        return Claim(kind, text, "not checkable", "it is not seen then")
    return Claim(kind, text, "violated" if wrong else "held", in_words(wrong or ticks))


def in_words(ticks: Sequence[int]) -> str:
    """Ticks in rising order: "tick 0, 3–5"."""
    runs: list[list[int]] = []
    for tick in ticks:
        if runs and tick == runs[-1][-1] + 1:
            runs[-1].append(tick)
        else:
            runs.append([tick])
    return "tick " + ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def _motion(thing: Thing, graph: DynamicSceneGraph) -> Claim:
    item, seen = thing.item, thing.seen
    text = f"{item.label} {_MOTIONS[item.motion]}"
    if len(seen) < (_FEWEST_TO_BOUNCE if item.motion == "bounce" else 2):
        return Claim("motion", text, "not checkable", f"it is seen in {len(seen)} frames")
    moves = [event for event in graph.events if event.agent in thing.names and event.predicate == "move to"]
    shown = _shows(item.motion, thing.path_T2[seen], thing.area_T[seen], bool(moves))
    told = "; ".join(f"{event.agent} moves to {event.target}, tick {event.start}–{event.end}" for event in moves[:3])
    little = "a little" if shown and item.motion == "travel" else "no move across the canvas"
    return Claim("motion", text, "held" if shown else "violated", told or little)


def _shows(motion: Motion, path_S2: Path, area_S: Path, moves: bool) -> bool:
    height_S = path_S2[:, 1]
    match motion:
        case "still":
            return not moves
        case "travel":
            return moves or bool(np.ptp(path_S2, axis=0).max() > _LEAST_WAY)
        case "fall":
            return bool(height_S[-1] - height_S[0] > _LEAST_FALL)
        case "jump":
            return bool(min(height_S[0], height_S[-1]) - height_S.min() > _LEAST_JUMP)
        case "bounce":
            lowest_so_far_S = np.maximum.accumulate(height_S)
            return bool((lowest_so_far_S - height_S).max() > _LEAST_JUMP)
        case "approach":
            return bool(area_S[-1] > _GROWN * area_S[0])
        case "recede":
            return bool(area_S[0] > _GROWN * area_S[-1])


def _visibility(thing: Thing) -> Iterator[Claim]:
    item = thing.item
    if item.visible == WHOLE:
        return
    text = f"{item.label} is seen only from {item.visible.start:.0%} to {item.visible.end:.0%} of the video"
    if not thing.names:
        yield Claim("visibility", text, "not checkable", "it is not there")
        return
    expected_T = visible_frames(item, len(thing.area_T))
    turns = np.flatnonzero(np.diff(expected_T))
    near = {*turns.tolist(), *(turns + 1).tolist()}  # a frame earlier or later counts as right
    differing = np.flatnonzero(expected_T != ~np.isnan(thing.area_T)).tolist()
    yield _by_ticks("visibility", text, thing.seen, [tick for tick in differing if tick not in near])


def _background(scene: SceneDescription, layout: DynamicSceneLayout) -> Iterator[Claim]:
    if not scene.background:
        return
    text = f"the background is {scene.background}"
    if not layout.background:
        yield Claim("background", text, "not checkable", "the layout names none")
    else:
        held = set(scene.background.lower().split()) <= set(layout.background.lower().split())
        yield Claim("background", text, "held" if held else "violated", layout.background)
