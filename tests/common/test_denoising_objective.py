"""Errors count more inside boxes, and only where a box is there."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.denoising_objective import cell_weights, squared_errors


def test_cells_whose_centre_lies_in_a_box_weigh_more() -> None:
    boxes_BS4 = torch.tensor([[[0.0, 0.0, 0.5, 0.25], [0.5, 0.5, 1.0, 1.0]]])
    weights = cell_weights(boxes_BS4, torch.tensor([[1.0, 0.0]]), (4, 4), 5.0)
    expected = torch.ones(4, 4)
    expected[0, :2] = 5
    assert torch.equal(weights[0, 0], expected)


def test_with_weight_one_the_error_is_the_plain_mean() -> None:
    predicted, wanted = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    weights = cell_weights(torch.rand(2, 5, 4), torch.ones(2, 5), (4, 4), 1.0)
    plain = (predicted - wanted).square().flatten(1).mean(1)
    assert squared_errors(predicted, wanted, weights) == pytest.approx(plain)


@given(st.floats(1, 100), st.integers(1, 9), st.integers(1, 9))
def test_a_box_over_everything_changes_nothing(weight: float, height: int, width: int) -> None:
    errors = torch.rand(1, 2, height, width)
    everywhere = cell_weights(torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]), torch.ones(1, 1), (height, width), weight)
    nowhere = cell_weights(torch.zeros(1, 1, 4), torch.zeros(1, 1), (height, width), weight)
    first, second = (squared_errors(errors, torch.zeros_like(errors), weights) for weights in (everywhere, nowhere))
    assert first.item() == pytest.approx(second.item(), rel=1e-4)
