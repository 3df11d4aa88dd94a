"""Several things of one kind that do the same: the rows and columns in which they keep together, without touching."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAST_SIDE = 16
_LOOSE = 1.5
"""Distance of neighbours' middles, in sides of a box, where there is room."""
_PREFERENCE = 1.2
"""A line across the motion is taken unless another formation allows boxes that are larger by this factor."""


class Formation(NamedTuple):
    """`offsets` [n, 2] of the members' middles in whole pixels, half the side of a member, half width and height of all."""

    offsets: NDArray[np.float64]
    half_side: int
    half: tuple[float, float]


def formations(count: int, side: float, room: tuple[float, float], gap: float, upright: bool) -> list[Formation]:
    """Ways to keep `count` square boxes together, the best first.

    Args:
        count: number of boxes.
        side: wanted side in pixels; boxes get smaller where the room asks for it, but not below `LEAST_SIDE`.
        room: width and height in pixels that they share.
        gap: least pixels between two of them.
        upright: whether they had best stand above each other, not beside each other.
    """
    if count == 1:
        return [_formation(1, 1, 1, min(side, *room), side, side)]
    grids = {(-(-count // columns), columns) for columns in range(1, count + 1)}
    grids = {(rows, columns) for rows, columns in grids if (rows - 1) * columns < count}
    line = (count, 1) if upright else (1, count)
    sides = {grid: min(side, *_cells(grid, room, gap)) for grid in grids}
    ranked = sorted(grids, key=lambda grid: (-sides[grid] * (_PREFERENCE if grid == line else 1), sum(grid), grid))
    ways = []
    for grid in ranked[:2]:
        tight = sides[grid] + gap
        loose_x, loose_y = (min(max(tight, cell + gap), _LOOSE * sides[grid]) for cell in _cells(grid, room, gap))
        ways += [_formation(count, grid[1], grid[0], sides[grid], max(loose_x, tight), max(loose_y, tight))]
        ways += [_formation(count, grid[1], grid[0], sides[grid], tight, tight)]
    return ways


def _cells(grid: tuple[int, int], room: tuple[float, float], gap: float) -> tuple[float, float]:
    rows, columns = grid
    return (room[0] - (columns - 1) * gap) / columns, (room[1] - (rows - 1) * gap) / rows


def _formation(count: int, columns: int, rows: int, side: float, pitch_x: float, pitch_y: float) -> Formation:
    half_side = max(LEAST_SIDE // 2, int(side / 2))
    step_x, step_y = (2 * max(half_side, int(pitch / 2)) for pitch in (pitch_x, pitch_y))
    number = np.arange(count)
    row, column = number // columns, number % columns
    in_row = np.minimum(columns, count - row * columns)
    across = (column - (in_row - 1) / 2) * step_x
    down = (row - (rows - 1) / 2) * step_y
    half = (half_side + (columns - 1) * step_x / 2, half_side + (rows - 1) * step_y / 2)
    return Formation(np.stack([across, down], axis=1), half_side, half)
