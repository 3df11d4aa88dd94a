"""The DAG as an SVG: stages in columns from left to right, inputs that nobody makes in a lighter colour."""

from __future__ import annotations

from markupsafe import Markup, escape

from tasks.report.pipeline import PipelineStage, source_inputs, stage_edges

_WIDTH, _HEIGHT, _ACROSS, _DOWN, _MARGIN = 172, 46, 232, 70, 12
_FILL = {"cpu": "#e3edf9", "gpu": "#fde7cf", "input": "#f4f4f4"}


def _columns(edges: set[tuple[str, str]], nodes: list[str]) -> dict[str, int]:
    """Longest path from a node without predecessors."""
    depth: dict[str, int] = {}

    def visit(node: str) -> int:
        if node not in depth:
            depth[node] = 0
            depth[node] = max((visit(first) + 1 for first, second in sorted(edges) if second == node), default=0)
        return depth[node]

    for node in nodes:
        visit(node)
    return depth


def _positions(columns: dict[str, int], nodes: list[str]) -> dict[str, tuple[int, int]]:
    filled: dict[int, int] = {}
    places = {}
    for node in nodes:
        row = filled.get(columns[node], 0)
        filled[columns[node]] = row + 1
        places[node] = (_MARGIN + columns[node] * _ACROSS, _MARGIN + row * _DOWN)
    return places


def _node(x: int, y: int, name: str, note: str, kind: str) -> Markup:
    middle = x + _WIDTH // 2
    return Markup(
        '<rect x="{}" y="{}" width="{}" height="{}" rx="7" fill="{}" stroke="#8a94a6"/>'
        '<text x="{}" y="{}" class="name">{}</text><text x="{}" y="{}" class="note">{}</text>'
    ).format(x, y, _WIDTH, _HEIGHT, _FILL[kind], middle, y + 20, name, middle, y + 36, note)


def _stage(x: int, y: int, stage: PipelineStage) -> Markup:
    """A cell of a matrix shows which one it is below its name."""
    name, _, cell = stage.name.partition("@")
    return _node(x, y, name, f"{cell}, {stage.pool} pool" if cell else f"{stage.pool} pool", stage.pool)


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> Markup:
    x0, y0 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x1, y1 = end[0] - 2, end[1] + _HEIGHT // 2
    bend = (x0 + x1) // 2
    return Markup('<path d="M{} {} C{} {} {} {} {} {}" class="arrow" marker-end="url(#tip)"/>').format(
        x0, y0, bend, y0, bend, y1, x1, y1
    )


def draw_dag(stages: list[PipelineStage]) -> Markup:
    """An `<svg>` element; names are escaped."""
    inputs = source_inputs(stages)
    edges = stage_edges(stages) | {(path, name) for path, names in inputs.items() for name in names}
    nodes = [*inputs, *(stage.name for stage in stages)]
    columns = _columns(edges, nodes)
    columns |= {path: min(columns[name] for name in names) - 1 for path, names in inputs.items()}
    lowest = min(columns.values())
    places = _positions({node: column - lowest for node, column in columns.items()}, nodes)
    parts = [_arrow(places[first], places[second]) for first, second in sorted(edges)]
    parts += [_node(*places[path], path.rsplit("/", 1)[-1], "input", "input") for path in inputs]
    parts += [_stage(*places[stage.name], stage) for stage in stages]
    width = max(x for x, _ in places.values()) + _WIDTH + _MARGIN
    height = max(y for _, y in places.values()) + _HEIGHT + _MARGIN
    head = Markup('<svg viewBox="0 0 {} {}" width="{}" role="img" aria-label="{}">').format(
        width, height, width, escape("The pipeline's stages and what they read")
    )
    tip = Markup(
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#8a94a6"/></marker></defs>'
    )
    return head + tip + Markup("").join(parts) + Markup("</svg>")
