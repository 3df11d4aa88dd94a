"""Backdrops of stories: every place as a few motifs on sky and ground, 64x64, slightly different from picture to picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tasks.spriteworld.render import Pixels
from tasks.spriteworld.scene import CANVAS_PIXELS
from tasks.spriteworld.vocabulary import RGB

_SCALE = 4
_JITTER, _GROWTH, _TINT = 0.04, 0.12, 9.0

_COLOURS: Mapping[str, RGB] = {
    "sky": (186, 222, 242), "dusk": (208, 200, 226), "room": (224, 206, 178), "gloom": (112, 124, 132),
    "grass": (140, 190, 108), "moss": (98, 142, 88), "sand": (236, 214, 160), "earth": (176, 142, 104),
    "stone": (176, 174, 176), "dark stone": (108, 108, 116), "planks": (168, 122, 78), "water": (92, 160, 206),
    "foam": (226, 240, 246), "leaf": (66, 130, 70), "pine": (40, 96, 72), "trunk": (112, 78, 52),
    "wall": (232, 222, 202), "roof": (186, 92, 72), "thatch": (204, 172, 108), "white": (244, 242, 236),
    "red": (200, 66, 60), "blue": (72, 104, 176), "yellow": (240, 206, 92), "black": (46, 42, 52),
    "book": (122, 64, 84), "flower": (226, 120, 160), "berry": (96, 60, 140), "paper": (250, 240, 214),
}  # fmt: skip
"""Colours of places; duller than those of things, so that things stand out."""


class Piece(NamedTuple):
    """One shape of a motif, in fractions of the motif's square."""

    shape: Literal["ellipse", "polygon", "rectangle", "arc"]
    colour: str
    at: tuple[float, ...]


def _pieces(text: str) -> tuple[Piece, ...]:
    """Pieces as `shape colour x y x y ...`, separated by semicolons; an underscore in a colour stands for a space."""
    pieces = []
    for entry in text.split(";"):
        shape, colour, *numbers = entry.split()
        if shape not in ("ellipse", "polygon", "rectangle", "arc"):
            raise ValueError(shape)
        at = tuple(float(number) for number in numbers)
        pieces.append(Piece(shape, colour.replace("_", " "), at))  # type: ignore[arg-type]
    return tuple(pieces)


MOTIFS: Mapping[str, tuple[Piece, ...]] = {
    name: _pieces(text)
    for name, text in {
        "tree": "rectangle trunk .42 .5 .58 1; ellipse leaf .1 .02 .9 .66; ellipse moss .24 .08 .62 .4",
        "apple tree": "rectangle trunk .42 .5 .58 1; ellipse leaf .1 .02 .9 .66; ellipse red .28 .2 .38 .3; "
        "ellipse red .56 .14 .66 .24; ellipse red .6 .4 .7 .5; ellipse red .3 .42 .4 .52",
        "pine": "rectangle trunk .44 .8 .56 1; polygon pine .5 0 .12 .84 .88 .84; polygon moss .5 0 .34 .36 .66 .36",
        "hollow trunk": "polygon trunk .3 0 .7 0 .84 1 .16 1; ellipse black .34 .42 .66 .92; ellipse leaf 0 0 .5 .26; "
        "ellipse leaf .5 0 1 .26",
        "bush": "ellipse leaf 0 .3 .56 1; ellipse leaf .4 .2 1 1; ellipse moss .2 .26 .6 .7",
        "berries": "ellipse leaf 0 .2 .56 1; ellipse leaf .4 .1 1 1; ellipse berry .2 .4 .32 .52; "
        "ellipse berry .5 .3 .62 .42; "
        "ellipse berry .7 .5 .82 .62; ellipse berry .36 .64 .48 .76",
        "rock": "polygon stone .06 1 .2 .3 .52 .1 .86 .36 .98 1; polygon dark_stone .52 .1 .86 .36 .98 1 .6 1",
        "mossy rock": "polygon stone .06 1 .2 .3 .52 .1 .86 .36 .98 1; polygon moss .2 .3 .52 .1 .86 .36 .7 .5 .4 .44",
        "mushroom": "rectangle wall .4 .5 .6 1; ellipse red .1 .1 .9 .7; ellipse white .26 .22 .42 .38; "
        "ellipse white .56 .2 .72 .36",
        "house": "rectangle wall .1 .45 .9 1; polygon roof 0 .48 .5 .04 1 .48; rectangle planks .42 .64 .6 1; "
        "rectangle blue .18 .56 .34 .72",
        "shop": "rectangle wall .06 .3 .94 1; rectangle red 0 .26 1 .42; rectangle white .2 .26 .36 .42; "
        "rectangle white .64 .26 .8 .42; rectangle planks .08 .7 .92 .84; ellipse thatch .2 .58 .4 .72; "
        "ellipse thatch .56 .58 .76 .72",
        "hut": "rectangle planks .14 .4 .86 1; polygon thatch 0 .44 .5 .06 1 .44; rectangle black .4 .6 .62 1",
        "stall": "rectangle planks .06 .62 .94 .8; rectangle trunk .1 .3 .16 1; rectangle trunk .84 .3 .9 1; "
        "polygon yellow 0 .34 .14 .12 .86 .12 1 .34; ellipse red .24 .5 .38 .64; ellipse leaf .44 .5 .58 .64; "
        "ellipse yellow .64 .5 .78 .64",
        "fish stall": "rectangle planks .06 .62 .94 .8; rectangle trunk .1 .3 .16 1; rectangle trunk .84 .3 .9 1; "
        "polygon blue 0 .34 .14 .12 .86 .12 1 .34; ellipse foam .18 .52 .46 .64; ellipse foam .54 .52 .82 .64",
        "ice stand": "rectangle white .1 .4 .9 1; polygon flower 0 .4 .12 .14 .88 .14 1 .4; rectangle white .3 .14 .44 .4; "
        "rectangle white .6 .14 .74 .4; polygon thatch .44 .62 .62 .62 .53 .94; ellipse flower .42 .48 .64 .68",
        "fountain": "ellipse stone 0 .66 1 1; ellipse water .08 .68 .92 .9; rectangle stone .44 .34 .56 .8; "
        "ellipse foam .3 .1 .7 .46",
        "gate": "rectangle trunk .06 .2 .2 1; rectangle trunk .8 .2 .94 1; rectangle planks .2 .4 .8 .52; "
        "rectangle planks .2 .7 .8 .82; rectangle planks .3 .34 .38 1; rectangle planks .6 .34 .68 1",
        "flowers": "rectangle leaf .18 .4 .24 1; rectangle leaf .5 .3 .56 1; rectangle leaf .8 .5 .86 1; "
        "ellipse flower .06 .14 .36 .46; "
        "ellipse yellow .38 .04 .68 .36; ellipse red .68 .24 .98 .56",
        "swing": "rectangle trunk .06 .04 .14 1; rectangle trunk .86 .04 .94 1; rectangle trunk .06 .04 .94 .12; "
        "rectangle black .36 .12 .4 .72; rectangle black .6 .12 .64 .72; rectangle red .3 .7 .7 .78",
        "shelf": "rectangle planks 0 0 1 1; rectangle book .08 .06 .3 .3; rectangle blue .34 .1 .52 .3; "
        "rectangle leaf .56 .06 .72 .3; "
        "rectangle red .1 .4 .26 .64; rectangle yellow .3 .4 .5 .64; rectangle book .6 .42 .9 .64; "
        "rectangle blue .12 .74 .44 .96; "
        "rectangle red .52 .74 .8 .96",
        "bridge": "arc stone 0 .3 1 1.5; rectangle stone 0 .26 1 .42; rectangle dark_stone .1 .14 .16 .3; "
        "rectangle dark_stone .47 .14 .53 .3; "
        "rectangle dark_stone .84 .14 .9 .3",
        "reeds": "rectangle leaf .1 .1 .18 1; rectangle leaf .4 0 .48 1; rectangle leaf .74 .16 .82 1; "
        "ellipse trunk .34 0 .54 .3; "
        "ellipse trunk .04 .06 .24 .36",
        "mill": "polygon wall .3 1 .38 .3 .62 .3 .7 1; polygon roof .34 .34 .5 .16 .66 .34; "
        "polygon planks .5 .38 .04 .06 .14 0; "
        "polygon planks .5 .38 .96 .06 .86 0; polygon planks .5 .38 .04 .74 .14 .82; polygon planks .5 .38 .96 .74 .86 .82",
        "hill": "ellipse grass 0 0 1 2",
        "bench": "rectangle planks 0 .2 1 .36; rectangle planks 0 .5 1 .64; rectangle trunk .1 .2 .18 1; "
        "rectangle trunk .82 .2 .9 1",
        "sign": "rectangle trunk .44 .2 .56 1; polygon planks 0 .14 .8 .14 1 .28 .8 .42 0 .42",
        "brook": "polygon water .3 0 .6 0 .44 .4 .9 1 .2 1 .3 .5",
        "path": "polygon earth .44 0 .56 0 .5 .4 .96 1 .16 1 .4 .4",
        "pond": "ellipse water 0 0 1 1; ellipse foam .2 .3 .44 .42; ellipse leaf .6 .5 .8 .66",
        "dam": "polygon trunk 0 .5 1 .2 1 .4 0 .7; polygon planks 0 .3 1 .6 1 .8 0 .5; polygon trunk .2 0 .4 0 .8 1 .6 1",
        "waterfall": "polygon dark_stone 0 1 .1 0 .9 0 1 1; rectangle foam .36 0 .64 1; rectangle water .42 0 .5 1; "
        "ellipse foam .2 .8 .8 1.1",
        "cave": "polygon dark_stone 0 1 .1 .3 .5 0 .9 .3 1 1; ellipse black .26 .34 .76 1.3",
        "boat": "polygon red .04 .6 .96 .6 .78 1 .2 1; rectangle trunk .48 .04 .53 .6; polygon white .54 .06 .54 .52 .9 .52",
        "upturned boat": "ellipse red .0 .3 1 1.5; rectangle white .1 .62 .9 .7",
        "pier": "rectangle planks 0 .1 1 .4; rectangle trunk .1 .4 .18 1; rectangle trunk .46 .4 .54 1; "
        "rectangle trunk .82 .4 .9 1",
        "lighthouse": "polygon white .32 1 .4 .24 .6 .24 .68 1; polygon red .36 .62 .38 .44 .62 .44 .64 .62; "
        "polygon red .33 .96 .35 .8 .65 .8 .67 .96; rectangle yellow .4 .1 .6 .24; polygon black .36 .12 .5 0 .64 .12",
        "dune": "ellipse sand 0 0 1 2; rectangle leaf .4 0 .44 .3; rectangle leaf .5 .02 .54 .3; "
        "rectangle leaf .6 .06 .64 .3",
        "steps": "rectangle stone 0 .6 1 1; rectangle dark_stone 0 .56 1 .62; rectangle stone .2 .2 1 .56; "
        "rectangle dark_stone .2 .16 1 .22",
        "shell": "polygon paper .5 .1 .04 .7 .3 1 .7 1 .96 .7; polygon flower .5 .3 .34 .9 .66 .9",
        "driftwood": "polygon trunk 0 .6 .9 .2 1 .4 .1 .9; polygon trunk .5 .4 .6 0 .7 .06 .64 .42",
        "cliff": "polygon dark_stone 0 0 .7 0 .86 .3 .74 .6 1 1 0 1; polygon grass 0 0 .7 0 .74 .1 0 .12",
        "barrel": "rectangle planks .14 .1 .86 .94; rectangle black .14 .24 .86 .32; rectangle black .14 .7 .86 .78",
        "well cloud": "ellipse white 0 .3 .5 1; ellipse white .3 0 .8 1; ellipse white .6 .36 1 1",
    }.items()
}


class Backdrop(NamedTuple):
    """Sky, ground, where they meet (0 is the top), and motifs with left, top and side, all in fractions of the picture."""

    sky: str
    ground: str
    horizon: float
    motifs: tuple[tuple[str, float, float, float], ...]


def _backdrop(text: str) -> Backdrop:
    head, *motifs = text.split(";")
    sky, ground, horizon = (part.strip() for part in head.split(","))
    placed = [motif.rsplit(maxsplit=3) for motif in motifs]
    return Backdrop(
        sky, ground, float(horizon), tuple((name.strip(), float(x), float(y), float(side)) for name, x, y, side in placed)
    )


BACKDROPS: Mapping[str, Backdrop] = {
    name: _backdrop(text)
    for name, text in {
        "garden": "sky, grass, .5; flowers .04 .36 .3; flowers .66 .36 .3; bush .34 .3 .3",
        "front gate": "sky, grass, .5; house .2 .0 .5; gate .26 .3 .44",
        "bakery": "sky, stone, .6; shop .14 .02 .66",
        "market square": "sky, stone, .52; stall .0 .18 .44; stall .54 .18 .44",
        "fountain": "sky, stone, .5; fountain .22 .1 .56",
        "school yard": "sky, earth, .5; swing .1 .1 .48; tree .62 .02 .5",
        "library": "room, planks, .62; shelf .04 .04 .44; shelf .54 .04 .42",
        "old bridge": "sky, water, .5; bridge .0 .2 1.0",
        "duck pond": "sky, grass, .42; pond .1 .44 .8; reeds .02 .2 .26; reeds .72 .2 .26",
        "orchard": "sky, grass, .52; apple tree .0 .04 .46; apple tree .52 .02 .48",
        "windmill": "sky, grass, .58; hill -.1 .44 1.2; mill .22 -.02 .6",
        "hilltop": "sky, grass, .7; hill -.2 .4 1.4; bench .56 .3 .24; well cloud .1 .06 .3",
        "clearing": "sky, grass, .46; tree -.14 .0 .44; tree .7 .0 .44; pine .3 .12 .24; pine .5 .14 .2",
        "hollow oak": "gloom, moss, .6; hollow trunk .18 .0 .64",
        "brook": "sky, grass, .4; brook .1 .36 .8; pine .04 .06 .36; pine .7 .04 .38",
        "mossy rock": "gloom, moss, .54; mossy rock .14 .1 .62; pine .72 .0 .4",
        "berry bushes": "sky, moss, .52; berries -.06 .16 .48; berries .5 .18 .48",
        "beaver dam": "sky, water, .44; dam .04 .2 .86",
        "pine grove": "dusk, moss, .6; pine -.06 .02 .46; pine .28 .0 .42; pine .6 .02 .46",
        "mushroom ring": "gloom, grass, .5; mushroom .02 .24 .32; mushroom .36 .14 .3; mushroom .68 .24 .3",
        "fox path": "dusk, moss, .44; path .0 .4 1.0; bush .0 .22 .3; bush .72 .22 .28",
        "waterfall": "gloom, water, .62; waterfall .12 .0 .74",
        "cave mouth": "gloom, earth, .6; cave .06 .0 .86",
        "lookout": "sky, stone, .66; hill -.3 .5 .8; hill .5 .46 .8; sign .56 .14 .4; well cloud .04 .08 .34",
        "beach hut": "sky, sand, .54; hut .16 .02 .58",
        "harbour": "sky, water, .46; boat .02 .12 .44; boat .54 .16 .4",
        "pier": "sky, water, .42; pier .0 .36 1.0",
        "fish market": "sky, stone, .56; fish stall .02 .12 .58; barrel .66 .3 .26",
        "lighthouse": "sky, grass, .6; lighthouse .2 -.02 .66",
        "sand dunes": "sky, sand, .6; dune -.2 .36 .9; dune .4 .42 .8",
        "rock pool": "sky, sand, .44; pond .14 .46 .72; rock -.06 .28 .34; rock .72 .28 .34",
        "ice stand": "sky, sand, .58; ice stand .2 .02 .6",
        "sea wall": "sky, stone, .58; steps .0 .22 .9",
        "boat shed": "sky, planks, .58; upturned boat .06 .1 .86",
        "shell beach": "sky, sand, .42; shell .06 .3 .22; driftwood .5 .26 .42; shell .36 .38 .14",
        "cliff path": "sky, water, .5; cliff -.1 .2 .9; sign .02 -.02 .3",
    }.items()
}
"""What the places of stories look like."""


def _tinted(random: np.random.Generator, colour: str) -> RGB:
    red, green, blue = (
        int(np.clip(value + random.normal(0, _TINT / 2) + shift, 0, 255))
        for value, shift in zip(_COLOURS[colour], random.normal(0, _TINT / 2, 3), strict=True)
    )
    return red, green, blue


def _draw(draw: ImageDraw.ImageDraw, piece: Piece, corner: tuple[float, float], side: float, fill: RGB) -> None:
    at = [(corner[index % 2] + value * side) * CANVAS_PIXELS * _SCALE for index, value in enumerate(piece.at)]
    if piece.shape == "polygon":
        draw.polygon(at, fill=fill)
    elif piece.shape == "rectangle":
        draw.rectangle(at, fill=fill)
    elif piece.shape == "ellipse":
        draw.ellipse(at, fill=fill)
    else:
        draw.arc(at, 180, 360, fill=fill, width=round(0.1 * side * CANVAS_PIXELS * _SCALE))


def render_backdrop(place: str, seed: int) -> Pixels:
    """[64, 64, 3] uint8: the place, its colours, sizes and positions a little varied by `seed`."""
    random = np.random.default_rng(seed)
    backdrop = BACKDROPS[place]
    side = CANVAS_PIXELS * _SCALE
    canvas = Image.new("RGB", (side, side), _tinted(random, backdrop.sky))
    draw = ImageDraw.Draw(canvas)
    horizon = round(side * (backdrop.horizon + random.uniform(-_JITTER, _JITTER)))
    draw.rectangle((0, horizon, side, side), fill=_tinted(random, backdrop.ground))
    for name, left, top, size in backdrop.motifs:
        grown = size * (1 + random.uniform(-_GROWTH, _GROWTH))
        corner = (left + random.uniform(-_JITTER, _JITTER), top + random.uniform(-_JITTER, _JITTER) + size - grown)
        for piece in MOTIFS[name]:
            _draw(draw, piece, corner, grown, _tinted(random, piece.colour))
    return np.asarray(canvas.resize((CANVAS_PIXELS, CANVAS_PIXELS), Image.Resampling.BOX))
