"""Curves of a training as SVG: one chart per tab-separated file with a column `step`."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from markupsafe import Markup, escape

from tasks.common.errors import UserError

_WIDTH, _HEIGHT, _LEFT, _TOP, _BELOW = 420, 240, 56, 30, 44
_COLOURS = ("#2563eb", "#d97706", "#059669", "#b91c1c", "#7c3aed", "#475569")
_MOST_BYTES = 20_000_000
Points = list[tuple[float, float]]


def read_curves(path: Path) -> dict[str, Points]:
    """Of each column its (step, value) pairs; cells that are empty or no finite number are left out.

    Raises:
        UserError: the file is not there, too large, or has no column `step`.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path}: over {_MOST_BYTES} bytes; log fewer points")
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}; `dvc repro` makes it") from None
    if rows and "step" not in rows[0]:
        raise UserError(f"{path}: no column `step`; `dvc repro` makes it again")
    names = [name for name in (rows[0] if rows else {}) if name and name != "step"]
    return {name: [point for row in rows if (point := _point(row["step"], row[name]))] for name in names}


def _point(step: str, value: str | None) -> tuple[float, float] | None:
    try:
        point = float(step), float(value or "nan")
    except ValueError:
        return None
    return point if all(math.isfinite(number) for number in point) else None


def _line(points: Points, lowest: Points, highest: Points, colour: str) -> Markup:
    (x0, y0), (x1, y1) = lowest[0], highest[0]
    across, up = (_WIDTH - _LEFT - 12) / ((x1 - x0) or 1), (_HEIGHT - _TOP - _BELOW) / ((y1 - y0) or 1)
    places = " ".join(f"{_LEFT + (x - x0) * across:.1f},{_HEIGHT - _BELOW - (y - y0) * up:.1f}" for x, y in points)
    return Markup('<polyline points="{}" fill="none" stroke="{}" stroke-width="1.6"/>').format(places, colour)


def _words(x: float, y: float, text: str, anchor: str, colour: str = "#5a6577") -> Markup:
    return Markup('<text x="{}" y="{}" style="text-anchor:{};font-size:11px;fill:{}">{}</text>').format(
        round(x, 1), round(y, 1), anchor, colour, text
    )


def draw_chart(title: str, curves: dict[str, Points]) -> Markup:
    """An `<svg>` with one line per curve and a legend below; a chart without points says so."""
    every = [point for points in curves.values() for point in points]
    head = Markup('<svg viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-label="{2}">').format(
        _WIDTH, _HEIGHT, escape(title)
    )
    parts = [_words(_LEFT, 16, title, "start", "#1c2430")]
    if not every:
        return head + Markup("").join([*parts, _words(_LEFT, 40, "no points", "start")]) + Markup("</svg>")
    steps, values = [x for x, _ in every], [y for _, y in every]
    low, high = [(min(steps), min(values))], [(max(steps), max(values))]
    floor = _HEIGHT - _BELOW
    parts.append(
        Markup('<path d="M{0} {1} V{2} H{3}" fill="none" stroke="#8a94a6"/>').format(_LEFT, _TOP, floor, _WIDTH - 12)
    )
    parts += [
        _words(_LEFT - 6, _TOP + 4, f"{high[0][1]:.3g}", "end"), _words(_LEFT - 6, floor, f"{low[0][1]:.3g}", "end"),
        _words(_LEFT, floor + 14, f"{low[0][0]:.0f}", "middle"), _words(_WIDTH - 12, floor + 14, f"{high[0][0]:.0f}", "end"),
    ]  # fmt: skip
    beside = (_WIDTH - _LEFT) / max(1, len(curves))
    for index, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        parts += [_line(points, low, high, colour), _words(_LEFT + index * beside, _HEIGHT - 8, name, "start", colour)]
    return head + Markup("").join(parts) + Markup("</svg>")


def draw_folder(folder: Path) -> Markup:
    """All charts of a folder, by name."""
    charts = [draw_chart(path.stem.replace("_", " "), read_curves(path)) for path in sorted(folder.glob("*.tsv"))]
    return Markup("").join(charts)
