"""The DAG of a run as an SVG picture: layers from top to bottom, pools and states in the boxes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from flows.graph import Graph
from flows.stage_run import Outcome

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 170, 46, 30, 44, 16
_COLOURS = {"Ran": "#2e7d32", "Cached": "#00838f", "Unchanged": "#607d8b", "Failed": "#c62828", "Skipped": "#9e9e9e"}


def _layers(graph: Graph) -> list[list[str]]:
    depth: dict[str, int] = {}
    for stage in graph:
        depth[stage.name] = max((depth[name] + 1 for name in stage.upstream), default=0)
    return [[name for name in depth if depth[name] == layer] for layer in range(max(depth.values(), default=-1) + 1)]


def draw_dag(graph: Graph, outcomes: Sequence[Outcome]) -> str:
    """SVG text; a stage without an outcome is drawn like a skipped one."""
    states = {outcome.stage: outcome.state for outcome in outcomes}
    layers = _layers(graph)
    width = 2 * _MARGIN + max((len(layer) * (_WIDTH + _GAP_X) - _GAP_X for layer in layers), default=0)
    height = 2 * _MARGIN + len(layers) * (_HEIGHT + _GAP_Y) - _GAP_Y
    place: dict[str, tuple[float, float]] = {}
    for row, layer in enumerate(layers):
        start = (width - len(layer) * (_WIDTH + _GAP_X) + _GAP_X) / 2
        for column, name in enumerate(layer):
            place[name] = (start + column * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y))
    lines = [_edge(place[before], place[stage.name]) for stage in graph for before in stage.upstream]
    boxes = [_box(place[stage.name], stage.name, stage.meta.pool, states.get(stage.name, "Skipped")) for stage in graph]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13" text-anchor="middle" fill="#ffffff">'
    )
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="#ffffff"/>', *lines, *boxes, "</svg>"])


def _edge(before: tuple[float, float], after: tuple[float, float]) -> str:
    x0, y0, x1, y1 = before[0] + _WIDTH / 2, before[1] + _HEIGHT, after[0] + _WIDTH / 2, after[1]
    bend = (y0 + y1) / 2
    curve = f"M{x0:g} {y0:g} C{x0:g} {bend:g} {x1:g} {bend:g} {x1:g} {y1:g}"
    return f'<path d="{curve}" fill="none" stroke="#90a4ae" stroke-width="1.5"/>'


def _box(corner: tuple[float, float], name: str, pool: str, state: str) -> str:
    x, y = corner
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="7" fill="{_COLOURS[state]}"/>'
        f'<text x="{x + _WIDTH / 2:g}" y="{y + 19:g}" font-weight="bold">{escape(name)}</text>'
        f'<text x="{x + _WIDTH / 2:g}" y="{y + 36:g}">{escape(pool)} · {escape(state)}</text>'
    )
