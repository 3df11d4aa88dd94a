"""From boxes to cells of attention grids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.lvd.guidance_masks import box_cells, box_masks, edge_bands, grid_size

GOLDEN = json.loads((Path(__file__).parent / "golden" / "guidance_energy.json").read_text())
SIDES = st.integers(1, 24)
CORNERS = st.floats(-0.5, 1.5, allow_nan=False)


def track(*box: float) -> torch.Tensor:
    return torch.tensor([[box]], dtype=torch.float64)


@pytest.mark.parametrize("sample", GOLDEN["scale_proportion"], ids=lambda sample: f"{sample['box']}-{sample['H']}")
def test_boxes_are_rounded_as_in_the_original(sample: dict[str, Any]) -> None:
    cells = box_cells(track(*sample["box"]), (sample["H"], sample["W"]))
    assert cells.flatten().tolist() == sample["out"]


@pytest.mark.parametrize("sample", GOLDEN["hw_from_attn_dim"], ids=lambda sample: str(sample["attn_dim"]))
def test_grids_are_those_of_the_original(sample: dict[str, Any]) -> None:
    assert grid_size(sample["attn_dim"], tuple(sample["base"])) == tuple(sample["out"])


@pytest.mark.parametrize(
    ("cells", "base"), [(7, (8, 8)), (0, (8, 8)), (-4, (8, 8)), (65, (8, 8)), (4, (0, 8)), (4, (-8, -8))]
)
def test_what_is_no_grid_is_refused(cells: int, base: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="no grid of latents of"):
        grid_size(cells, base)


@given(st.lists(st.tuples(CORNERS, CORNERS, CORNERS, CORNERS), min_size=1, max_size=5), SIDES, SIDES)
def test_cells_are_those_of_whole_number_rounding(boxes: list[tuple[float, ...]], height: int, width: int) -> None:
    masks_FHW = box_masks(torch.tensor([boxes], dtype=torch.float64), (height, width))[0]
    for (bx0, by0, bx1, by1), mask_HW in zip(boxes, masks_FHW, strict=True):
        x0, y0 = round(bx0 * width), round(by0 * height)
        x1, y1 = x0 + round((bx1 - bx0) * width), y0 + round((by1 - by0) * height)
        expected = [[float(x0 <= x < x1 and y0 <= y < y1) for x in range(width)] for y in range(height)]
        assert mask_HW.tolist() == expected


@given(st.integers(0, 64), st.integers(1, 20), st.integers(0, 12))
def test_a_box_keeps_its_size_wherever_it_is(place: int, size: int, shift: int) -> None:
    first, then = (box_cells(track(x / 64, 0, (x + size) / 64, 1), (8, 1024)) for x in (place, place + shift))
    x0, x1 = first[0, 0, 0].item(), first[0, 0, 2].item()
    assert then[0, 0, 2].item() - then[0, 0, 0].item() == x1 - x0 or then[0, 0, 2] == 1024 or x1 == 1024


def test_an_absent_object_is_nowhere() -> None:
    assert not box_masks(torch.zeros(2, 3, 4), (8, 8)).any()


def test_a_box_outside_the_video_is_nowhere() -> None:
    for box in ((1.1, 0.2, 1.4, 0.6), (-1e300, -1e300, -1.0, -1.0), (0.6, 0.6, 0.2, 0.2)):
        assert not box_masks(track(*box), (8, 8)).any()


def test_a_huge_box_is_everywhere() -> None:
    assert box_masks(track(-1e200, -1e200, 1e200, 1e200), (4, 6)).all()


def test_edges_are_one_cell_to_either_side() -> None:
    columns, rows = edge_bands(track(0.25, 0, 0.75, 1), (8, 16))
    assert columns.flatten().nonzero().flatten().tolist() == [3, 4, 5, 11, 12, 13]
    assert rows.flatten().nonzero().flatten().tolist() == [0, 1, 7]
