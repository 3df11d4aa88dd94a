"""Telling attention where its boxes are: golden shares and losses, no change of the UNet, and that it learns."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel
from hypothesis import given
from hypothesis import strategies as st

from tasks.igligen.adapters import adapter_parameters, add_adapters, grounding_kwargs
from tasks.igligen.attention_supervision import AttentionSupervision, attention_loss, covered_cells, grid_of
from tasks.video.spatial_unet import spatial_unet
from tests.igligen.adapters_for_tests import grounding, predict, scramble
from tests.video.unets_for_tests import small_unet


def test_shares_of_cells_in_boxes() -> None:
    boxes_BS4 = torch.tensor([[[0.0, 0.0, 0.5, 0.5], [0.25, 0.5, 0.875, 1.0], [0.1, 0.1, 0.9, 0.9]]])
    shares_BnS = covered_cells(boxes_BS4, torch.tensor([[1.0, 1.0, 0.0]]), (2, 4))
    assert shares_BnS.shape == (1, 8, 3)
    assert shares_BnS[0, :, 0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert shares_BnS[0, :, 1].tolist() == [0, 0, 0, 0, 0, 1, 1, 0.5]
    assert not shares_BnS[..., 2].any(), "an empty slot covers nothing"


@given(height=st.integers(1, 90), width=st.integers(1, 90), halvings=st.integers(0, 4))
def test_grids_come_of_halving(height: int, width: int, halvings: int) -> None:
    grid = height, width
    for _ in range(halvings):
        grid = -(-grid[0] // 2), -(-grid[1] // 2)
    assert grid_of(grid[0] * grid[1], (height, width)) == grid


def test_a_grid_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no grid of 7 cells comes of halving 16x16"):
        grid_of(7, (16, 16))


def test_attention_on_the_boxes_costs_nothing_and_elsewhere_much() -> None:
    boxes_BS4, mask_BS = torch.tensor([[[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.0, 0.0]]]), torch.tensor([[1.0, 0.0]])
    shares_BnS = covered_cells(boxes_BS4, mask_BS, (1, 2))
    right, wrong, half = (torch.tensor([[[a, 0.0], [b, 0.0]]]) for a, b in ((1, 0), (0, 1), (0.5, 0.5)))
    assert attention_loss(right, shares_BnS, mask_BS).item() == pytest.approx(0, abs=1e-4)
    assert attention_loss(half, shares_BnS, mask_BS).item() == pytest.approx(2 * 0.6931, abs=1e-3)
    assert attention_loss(wrong, shares_BnS, mask_BS).item() > 20
    empty = attention_loss(half, shares_BnS * 0, mask_BS * 0)
    assert empty.item() == pytest.approx(0, abs=1e-4), "an image without boxes asks for nothing"


@pytest.fixture
def image_unet() -> UNet2DConditionModel:
    """With scrambled adapters."""
    unet = spatial_unet(small_unet("sprite"))
    add_adapters(unet)
    scramble(unet)
    return unet


def test_watching_changes_no_output_and_images_stand_alone(image_unet: UNet2DConditionModel) -> None:
    width, latents = image_unet.config.cross_attention_dim, torch.randn(3, 4, 16, 16)
    states_BTW, grounded = torch.zeros(3, 5, width), grounding(width, 3)
    before = predict(image_unet, latents, states_BTW, grounded)
    supervision = AttentionSupervision(image_unet)
    assert torch.equal(predict(image_unet, latents, states_BTW, grounded), before)
    together_B = supervision.loss(grounded[0], grounded[2], (16, 16))
    assert together_B.shape == (3,)
    for row in range(3):
        boxes_BS4, phrases_BSW, mask_BS = (item[row : row + 1] for item in grounded)
        predict(image_unet, latents[row : row + 1], states_BTW[:1], (boxes_BS4, phrases_BSW, mask_BS))
        alone_B = supervision.loss(boxes_BS4, mask_BS, (16, 16))
        torch.testing.assert_close(alone_B, together_B[row : row + 1], rtol=1e-4, atol=1e-5)


def test_attention_learns_where_boxes_are(image_unet: UNet2DConditionModel) -> None:
    supervision, weights = AttentionSupervision(image_unet), list(adapter_parameters(image_unet).values())
    optimiser = torch.optim.Adam(weights, lr=0.01)
    width, latents = image_unet.config.cross_attention_dim, torch.randn(8, 4, 16, 16)
    boxes_BS4, phrases_BSW, mask_BS = grounding(width, 8)
    losses = []
    for _ in range(25):
        named = grounding_kwargs(image_unet, boxes_BS4, phrases_BSW, mask_BS)
        image_unet(latents, 500, encoder_hidden_states=torch.zeros(8, 5, width), cross_attention_kwargs=named)
        loss = supervision.loss(boxes_BS4, mask_BS, (16, 16)).mean()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.6 * losses[0]
