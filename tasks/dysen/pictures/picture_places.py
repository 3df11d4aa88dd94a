"""Where everything goes in a picture of a graph sequence, in pixels, so that no label hides another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tasks.dysen.pictures.graph_timeline import KINDS, Bar, Entity, Kind, Tag, Timeline
from tasks.dysen.pictures.text_width import shortened, text_width, wrapped

WIDTH = 1000
MARGIN = 18.0
NAMES = 168.0
"""Where the ticks begin, right of the names."""
NAME_SIZE, TAG_SIZE, LABEL_SIZE = 14.0, 11.0, 12.0
BAR_HEIGHT, TAG_HEIGHT = 19.0, 17.0
_ROW, _TAG_ROW, _NAME_LINE = 24.0, 20.0, 18.0
_LANE_TOP, _LANE_END, _LEAST_LANE = 16.0, 7.0, 44.0
"""From a lane's top to its line, from its last row to its end, and its least height."""
_MOST_TAG_ROWS = 4
_GAP, _PAD, _INSET = 5.0, 6.0, 3.0
_CLEAR = 12.0
"""Pixels between two links."""


class Rectangle(NamedTuple):
    """Upper left and lower right corner."""

    x0: float
    y0: float
    x1: float
    y1: float

    def touches(self, other: Rectangle) -> bool:
        """Whether they share any area."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1


class PlacedBar(NamedTuple):
    """A bar; its label is in it, right or left of it, at `label`."""

    bar: Bar
    box: Rectangle
    text: str
    label: Rectangle
    inside: bool

    @property
    def all(self) -> Rectangle:
        """Bar and label."""
        return Rectangle(min(self.box.x0, self.label.x0), self.box.y0, max(self.box.x1, self.label.x1), self.box.y1)


class PlacedTag(NamedTuple):
    """A tag below a name; without a kind it tells that there are more."""

    text: str
    kind: Kind | None
    box: Rectangle


class Lane(NamedTuple):
    """An entity's lane; `line` is the height of the line that shows when it is present."""

    entity: Entity
    top: float
    end: float
    name: tuple[str, ...]
    tags: tuple[PlacedTag, ...]
    bars: tuple[PlacedBar, ...]

    @property
    def line(self) -> float:
        """Where the line is that shows when the entity is present."""
        return self.top + _LANE_TOP


class Link(NamedTuple):
    """From a bar at `start` to the line of another lane at `end`, straight up or down at `x`."""

    kind: Kind
    x: float
    start: float
    end: float


class Columns(NamedTuple):
    """The columns of ticks."""

    ticks: int

    @property
    def width(self) -> float:
        """Of a column."""
        return (WIDTH - MARGIN - NAMES) / max(self.ticks, 1)

    def left(self, tick: int) -> float:
        """Where the column of a tick begins, and that of the tick before ends."""
        return NAMES + tick * self.width

    def middle(self, tick: int) -> float:
        """The middle of a column."""
        return self.left(tick) + self.width / 2

    def step(self, least: float) -> int:
        """Of how many columns one has to be chosen to have `least` pixels for each."""
        return max(1, -int(-least // self.width))


def lanes_of(timeline: Timeline, top: float) -> tuple[Lane, ...]:
    """The lanes, from `top` down, as high as their bars and tags need."""
    columns = Columns(timeline.ticks)
    lanes = []
    for entity in timeline.entities:
        lane = _lane(entity, [bar for bar in timeline.bars if bar.triplet.subject == entity.name], columns, top)
        lanes.append(lane)
        top = lane.end
    return tuple(lanes)


def _lane(entity: Entity, bars: Sequence[Bar], columns: Columns, top: float) -> Lane:
    name = tuple(wrapped(entity.name, NAME_SIZE, NAMES - MARGIN - 8, 2, bold=True))
    below_name = top + 9 + len(name) * _NAME_LINE
    tags = tuple(_placed_tags(entity.tags, below_name))
    placed = tuple(_packed([_with_label(bar, columns) for bar in bars], top + _LANE_TOP + 9))
    lowest = [below_name, *(tag.box.y1 for tag in tags), *(bar.box.y1 for bar in placed)]
    return Lane(entity, top, max(max(lowest) + _LANE_END, top + _LEAST_LANE), name, tags, placed)


def _placed_tags(tags: Sequence[Tag], top: float) -> Iterator[PlacedTag]:
    room = NAMES - MARGIN - 8
    x, y = MARGIN, top
    for number, tag in enumerate(tags):
        text = shortened(tag.text, TAG_SIZE, room - 2 * _PAD)
        width = text_width(text, TAG_SIZE) + 2 * _PAD
        if x > MARGIN and x + width > MARGIN + room:
            x, y = MARGIN, y + _TAG_ROW
        if y >= top + _MOST_TAG_ROWS * _TAG_ROW:
            yield PlacedTag(f"and {len(tags) - number} more", None, Rectangle(x, y, MARGIN + room, y + TAG_HEIGHT))
            return
        yield PlacedTag(text, tag.kind, Rectangle(x, y, x + width, y + TAG_HEIGHT))
        x += width + 4


def _with_label(bar: Bar, columns: Columns) -> PlacedBar:
    """A bar at height 0 with its label in it if there is room, else beside it."""
    x0, x1 = columns.left(bar.first) + _INSET, columns.left(bar.last + 1) - _INSET
    end = WIDTH - MARGIN
    width = text_width(bar.text, LABEL_SIZE)
    text = bar.text
    if width + 2 * _PAD <= x1 - x0:
        label = Rectangle(x0 + _PAD, 0, x0 + _PAD + width, BAR_HEIGHT)
        return PlacedBar(bar, Rectangle(x0, 0, x1, BAR_HEIGHT), text, label, inside=True)
    right, left = end - x1 - _GAP, x0 - NAMES - _GAP
    text = shortened(text, LABEL_SIZE, max(right, left))
    width = text_width(text, LABEL_SIZE)
    begin = x1 + _GAP if width <= right else x0 - _GAP - width
    return PlacedBar(
        bar, Rectangle(x0, 0, x1, BAR_HEIGHT), text, Rectangle(begin, 0, begin + width, BAR_HEIGHT), inside=False
    )


def _packed(bars: Sequence[PlacedBar], top: float) -> Iterator[PlacedBar]:
    """Each bar in the first row in which it and its label have room; events come first, then what begins first."""
    rows: list[list[Rectangle]] = []
    for item in sorted(bars, key=lambda item: (KINDS.index(item.bar.kind), item.bar.first, -item.bar.last, item.bar.text)):
        needed = item.all
        wanted = needed._replace(x0=needed.x0 - _GAP, x1=needed.x1 + _GAP)
        row = next((row for row, taken in enumerate(rows) if not any(map(wanted.touches, taken))), len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(needed)
        y = top + row * _ROW
        yield item._replace(box=_lowered(item.box, y), label=_lowered(item.label, y))


def _lowered(box: Rectangle, y: float) -> Rectangle:
    return box._replace(y0=box.y0 + y, y1=box.y1 + y)


def links_of(lanes: Sequence[Lane]) -> tuple[Link, ...]:
    """The links, each where it crosses fewest bars and labels and keeps clear of the others; short ones choose first."""
    lines = {lane.entity.name: lane.line for lane in lanes}
    bars = [bar for lane in lanes for bar in lane.bars]
    wanted = [(bar, lines[bar.bar.triplet.object]) for bar in bars if bar.bar.linked]
    links: list[Link] = []
    for bar, line in sorted(wanted, key=lambda pair: (abs(pair[1] - pair[0].box.y0), pair[0].box)):
        start = bar.box.y1 if line > bar.box.y1 else bar.box.y0
        low, high = min(start, line), max(start, line)
        crossable = [other.all for other in bars if other is not bar and other.all.y0 < high and low < other.all.y1]
        near = [
            link.x
            for link in links
            if min(link.start, link.end) < high + _CLEAR and low - _CLEAR < max(link.start, link.end)
        ]
        steps = int((bar.box.x1 - bar.box.x0 - 2 * _PAD) // 4) + 1
        places = [bar.box.x0 + _PAD + 4 * step for step in range(max(steps, 1))]
        x = min(places, key=lambda x: (_crossed(x, crossable) + 3 * sum(abs(x - other) < _CLEAR for other in near), x))
        links.append(Link(bar.bar.kind, x, start, line))
    return tuple(links)


def _crossed(x: float, boxes: Sequence[Rectangle]) -> int:
    return sum(box.x0 - 2 < x < box.x1 + 2 for box in boxes)
