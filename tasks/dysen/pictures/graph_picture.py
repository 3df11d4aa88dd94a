"""A picture of a graph sequence: ticks from left to right, entities as lanes, relations as bars with links.

A relation that lasts is one bar, from its first tick to its last, in the lane of its subject; a link leads from there to
the lane of its object. What enrichment added has a colour of its own. The picture is an SVG without scripts and without
anything from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from tasks.common.files import complete, write_text
from tasks.common.names import safe_name
from tasks.common.quarantine import printable
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.dysen.pictures.graph_timeline import KINDS, Kind, Timeline, timeline_of
from tasks.dysen.pictures.picture_places import (
    LABEL_SIZE,
    MARGIN,
    NAME_SIZE,
    NAMES,
    TAG_SIZE,
    WIDTH,
    Columns,
    Lane,
    Link,
    PlacedBar,
    PlacedTag,
    Rectangle,
    lanes_of,
    links_of,
)
from tasks.dysen.pictures.svg_elements import INKS, Element, Frames, add, address_of, inked, line, rectangle, words
from tasks.dysen.pictures.text_width import text_width, wrapped

_MEANINGS: dict[Kind, str] = {
    "event": "event",
    "relation": "relation",
    "added": "added by enrichment",
    "removed": "removed by enrichment",
}
_TITLE_SIZE, _TITLE_LINE, _MOST_TITLE_LINES = 17.0, 23.0, 3
_READ = 600
"""Characters of a prompt that are looked at."""
_PAPER, _INK, _FAINT, _GRID, _QUIET = "#ffffff", "#1c2430", "#667085", "#e6eaf0", "#c3cad6"
_PRESENT, _PRESENT_TINT, _ADDED_TINT = "#43536b", "#f3f6fa", "#fff7ea"
_PRESENCE: dict[str, float | str] = {"stroke_width": 4, "stroke_linecap": "round"}
_MOST_FRAME, _LEAST_FRAME = 112.0, 44.0
"""Largest and smallest width of a frame of the film strip."""


class GraphPicture(NamedTuple):
    """What one picture shows; see `draw_graphs`."""

    planned: DynamicSceneGraph
    enriched: DynamicSceneGraph | None = None
    frames: Frames | None = None


def save_pictures(folder: Path, pictures: Iterable[GraphPicture]) -> None:
    """Writes a folder of SVGs, whole or not at all; their names keep the order and tell the prompts."""
    with complete(folder, folder=True) as unfinished:
        for number, picture in enumerate(pictures, start=1):
            write_text(unfinished / f"{number:03}-{safe_name(picture.planned.prompt)}.svg", draw_graphs(*picture))


def draw_graphs(planned: DynamicSceneGraph, enriched: DynamicSceneGraph | None = None, frames: Frames | None = None) -> str:
    """The text of an SVG, `WIDTH` pixels wide and as high as it needs; the same graphs give the same text.

    Args:
        planned: the graph sequence; its prompt is the title.
        enriched: the same after its enrichment; what only one of both has is drawn as added or removed.
        frames: of its video, spread over the ticks if there are more or fewer.
    """
    timeline = timeline_of(planned, enriched)
    prompt = printable(" ".join(planned.prompt[:_READ].split()), _READ)
    picture = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img"})
    add(picture, "title", prompt or "a graph sequence")
    body = add(picture, "g", font_family="sans-serif", font_size=LABEL_SIZE, fill=_INK)
    height = _draw(body, timeline, prompt, frames)
    paper = rectangle(Rectangle(0.5, 0.5, WIDTH - 0.5, height - 0.5), fill=_PAPER, stroke=_QUIET, rx=8)
    body.insert(0, paper)
    for name, value in (("viewBox", f"0 0 {WIDTH} {height:g}"), ("width", f"{WIDTH}"), ("height", f"{height:g}")):
        picture.set(name, value)
    return ElementTree.tostring(picture, encoding="unicode") + "\n"


def _draw(body: Element, timeline: Timeline, prompt: str, frames: Frames | None) -> float:
    """Draws everything, and returns how high it is."""
    y = MARGIN
    for text in wrapped(prompt, _TITLE_SIZE, WIDTH - 2 * MARGIN, _MOST_TITLE_LINES, bold=True):
        y += _TITLE_LINE
        words(body, MARGIN, y - 5, text, font_size=_TITLE_SIZE, font_weight="bold")
    columns = Columns(timeline.ticks)
    if not timeline.entities:
        words(body, MARGIN, y + 24, "nothing is in this graph", fill=_FAINT)
        return y + 44
    top = _header(body, columns, y + 22, frames)
    lanes = lanes_of(timeline, top + 8)
    end = lanes[-1].end
    _background(body, lanes, columns, top, end)
    for lane in lanes:
        _lane(body, lane)
    _links(body, links_of(lanes), [bar for lane in lanes for bar in lane.bars])
    return _legend(body, timeline, end + 26) + 16


def _header(body: Element, columns: Columns, y: float, frames: Frames | None) -> float:
    """Numbers of the ticks and the film strip; returns where they end."""
    words(body, MARGIN, y, "tick", fill=_FAINT)
    for tick in range(0, columns.ticks, columns.step(26)):
        words(body, columns.middle(tick), y, str(tick), fill=_FAINT, text_anchor="middle")
    if frames is None or not len(frames):
        return y + 6
    step = columns.step(_LEAST_FRAME + 4)
    width = min(step * columns.width - 4, _MOST_FRAME)
    height: float = width * frames.shape[1] / frames.shape[2]
    for tick in range(0, columns.ticks, step):
        frame = round(tick * (len(frames) - 1) / max(columns.ticks - 1, 1))
        x = max(columns.middle(tick) - width / 2, NAMES)
        add(body, "image", x=x, y=y + 10, width=width, height=height, href=address_of(frames[frame]))
        add(body, "rect", x=x, y=y + 10, width=width, height=height, fill="none", stroke=_QUIET)
    return y + 10 + height + 4


def _background(body: Element, lanes: Sequence[Lane], columns: Columns, top: float, end: float) -> None:
    """Tints where an entity is present, lines between ticks and lanes, and lines that show presence."""
    for lane in lanes:
        for kind, x0, x1 in _stretches(lane, columns):
            if kind is not None:
                tint = _ADDED_TINT if kind == "added" else _PRESENT_TINT
                body.append(rectangle(Rectangle(x0, lane.top, x1, lane.end), fill=tint))
    for tick in range(columns.ticks + 1):
        line(body, (columns.left(tick), top), (columns.left(tick), end), _GRID)
    for y in [lanes[0].top, *(lane.end for lane in lanes)]:
        line(body, (MARGIN, y), (WIDTH - MARGIN, y), _GRID)
    for lane in lanes:
        for kind, x0, x1 in _stretches(lane, columns):
            if kind is None:
                line(body, (x0, lane.line), (x1, lane.line), _QUIET, stroke_dasharray="1 4")
            else:
                colour = INKS["added"].edge if kind == "added" else _PRESENT
                line(body, (x0 + 2, lane.line), (x1 - 2, lane.line), colour, **_PRESENCE)


def _stretches(lane: Lane, columns: Columns) -> Iterator[tuple[Kind | None, float, float]]:
    first = 0
    present = lane.entity.present
    for tick in range(1, len(present) + 1):
        if tick == len(present) or present[tick] != present[first]:
            yield present[first], columns.left(first), columns.left(tick)
            first = tick


def _lane(body: Element, lane: Lane) -> None:
    """A lane's name and its tags."""
    new = all(kind != "relation" for kind in lane.entity.present)
    colour = INKS["added"].words if new else _INK
    for number, text in enumerate(lane.name):
        words(body, MARGIN, lane.top + 21 + 18 * number, text, font_size=NAME_SIZE, font_weight="bold", fill=colour)
    for tag in lane.tags:
        _tag(body, tag)


def _tag(body: Element, tag: PlacedTag) -> None:
    if tag.kind is not None:
        body.append(inked(tag.box, tag.kind, rx=8.5))
    colour = _FAINT if tag.kind is None else INKS[tag.kind].words
    middle = (tag.box.x0 + tag.box.x1) / 2
    words(body, middle, tag.box.y1 - 5, tag.text, font_size=TAG_SIZE, fill=colour, text_anchor="middle")


def _links(body: Element, links: Sequence[Link], bars: Sequence[PlacedBar]) -> None:
    """Links run behind the bars, their ends are in front."""
    for link in links:
        line(body, (link.x, link.start), (link.x, link.end), INKS[link.kind].edge, stroke_width=1.6)
    for bar in bars:
        body.append(inked(bar.box, bar.bar.kind, rx=4))
        _label(body, bar)
    for link in links:
        colour = INKS[link.kind].edge
        add(body, "circle", cx=link.x, cy=link.start, r=2.5, fill=colour)
        add(body, "circle", cx=link.x, cy=link.end, r=5, fill=colour, stroke=_PAPER, stroke_width=1.5)


def _label(body: Element, bar: PlacedBar) -> None:
    """A bar's label; one beside the bar has paper around it, so that links do not run through its letters."""
    kind, y = bar.bar.kind, bar.label.y1 - 5
    if bar.inside:
        words(body, bar.label.x0, y, bar.text, fill=INKS[kind].words)
        return
    before = bar.label.x0 < bar.box.x0
    x, anchor = (bar.label.x1, "end") if before else (bar.label.x0, "start")
    colour = INKS[kind].words if kind == "removed" else _INK
    words(body, x, y, bar.text, fill=colour, text_anchor=anchor, stroke=_PAPER, stroke_width=3, paint_order="stroke")


def _legend(body: Element, timeline: Timeline, y: float) -> float:
    """What the colours mean, as far as they occur, and what is left out; returns its baseline."""
    tags = {tag.kind for entity in timeline.entities for tag in entity.tags}
    present = {kind for entity in timeline.entities for kind in entity.present}
    used = {bar.kind for bar in timeline.bars} | ((tags | present) & {"added", "removed"})
    x = MARGIN
    for kind in (kind for kind in KINDS if kind in used):
        body.append(inked(Rectangle(x, y - 11, x + 22, y + 1), kind, rx=3))
        words(body, x + 28, y, _MEANINGS[kind], fill=_FAINT)
        x += 28 + text_width(_MEANINGS[kind], LABEL_SIZE) + 18
    line(body, (x, y - 5), (x + 22, y - 5), _PRESENT, **_PRESENCE)
    words(body, x + 30, y, "entity is present", fill=_FAINT)
    counts = ((timeline.more_entities, "entities"), (timeline.more_relations, "relations"))
    more = " and ".join(f"{count} more {what}" for count, what in counts if count)
    if more:
        words(body, WIDTH - MARGIN, y, f"and {more}", text_anchor="end", font_weight="bold")
    return y
