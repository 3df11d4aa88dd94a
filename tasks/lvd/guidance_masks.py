"""From boxes to cells of the grids on which a UNet attends (specs/lvd.md 4.3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tasks.common.errors import UserError


def grid_size(cells: int, base_hw: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the grid with `cells` cells, the latents' grid `base_hw` made smaller by a whole number.

    Raises:
        UserError: there is no such grid.
    """
    height, width = base_hw
    stride = math.isqrt(height * width // cells) if cells > 0 and height > 0 and width > 0 else 0
    grid = (height // stride, width // stride) if stride else (0, 0)
    if cells <= 0 or grid[0] * grid[1] != cells:
        raise UserError(f"attention over {cells} cells: no grid of latents of {height}x{width}; give their height and width")
    return grid


def box_cells(tracks_OF4: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    """The cells that boxes cover: first column, first row, and the column and row after the last.

    A box keeps its size in cells wherever it is, because its corner and its size are rounded, halves to even, and the other
    corner follows; only then is it clipped to the grid.

    Args:
        tracks_OF4: [objects, frames, 4], x0, y0, x1, y1 as fractions of the video, all 0 where the object is absent.
        grid_hw: height and width of the grid in cells.

    Returns:
        [objects, frames, 4] whole numbers, on the CPU.
    """
    # In float64 and on the CPU, so that 0.35 of 10 cells rounds alike on every device.
    boxes_OF4 = tracks_OF4.detach().to("cpu", torch.float64)
    size_2 = torch.tensor([grid_hw[1], grid_hw[0]], dtype=torch.float64)
    first_OF2 = (boxes_OF4[..., :2] * size_2).round()
    after_OF2 = first_OF2 + ((boxes_OF4[..., 2:] - boxes_OF4[..., :2]) * size_2).round()
    limits_4 = size_2.repeat(2)
    return torch.cat([first_OF2, after_OF2], dim=-1).clamp(torch.zeros_like(limits_4), limits_4).to(torch.int64)


def box_masks(tracks_OF4: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    """Which cells lie in the boxes, as 1.0 and 0.0: [objects, frames, height, width], on the CPU; nowhere if absent.

    Args:
        tracks_OF4: as for `box_cells`.
        grid_hw: height and width of the grid in cells.
    """
    x0_OF, y0_OF, x1_OF, y1_OF = box_cells(tracks_OF4, grid_hw).unbind(-1)
    columns_OFW = _between(x0_OF, x1_OF, grid_hw[1])
    rows_OFH = _between(y0_OF, y1_OF, grid_hw[0])
    return (rows_OFH[..., :, None] & columns_OFW[..., None, :]).to(torch.float32)


def edge_bands(tracks_OF4: Tensor, grid_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Columns [objects, frames, width] and rows [objects, frames, height] within one cell of a box's edges, as 1.0 and 0.0.

    Args:
        tracks_OF4: as for `box_cells`.
        grid_hw: height and width of the grid in cells.
    """
    x0_OF, y0_OF, x1_OF, y1_OF = box_cells(tracks_OF4, grid_hw).unbind(-1)
    columns_OFW = _between(x0_OF - 1, x0_OF + 2, grid_hw[1]) | _between(x1_OF - 1, x1_OF + 2, grid_hw[1])
    rows_OFH = _between(y0_OF - 1, y0_OF + 2, grid_hw[0]) | _between(y1_OF - 1, y1_OF + 2, grid_hw[0])
    return columns_OFW.to(torch.float32), rows_OFH.to(torch.float32)


def _between(first_OF: Tensor, after_OF: Tensor, count: int) -> Tensor:
    places_N = torch.arange(count)
    return (places_N >= first_OF[..., None]) & (places_N < after_OF[..., None])
