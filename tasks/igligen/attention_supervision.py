"""Help for new adapters: cells inside a box are told to look at the grounding token of that box, all others at none.

The loss of the picture alone teaches a fuser's attention where its boxes are late and suddenly; told directly, it learns so
from the first steps. FastComposer (arXiv 2305.10431) trains attention maps on known regions in this spirit. The published
training of GLIGEN does not, which is a weight of 0.

Legend: B images; S grounding slots; D width; n cells of one fuser's grid, h high and w wide; T = n + S tokens.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from tasks.igligen.adapters import Unet, fusers

_LEAST = 1e-6


def covered_cells(boxes_BS4: Tensor, mask_BS: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    """[B, n, S]: the share of each cell's area that lies in each box; 0 for slots that hold none."""

    def overlap(low_BS: Tensor, high_BS: Tensor, side: int) -> Tensor:
        edges = torch.arange(side + 1, device=low_BS.device) / side
        return (torch.minimum(high_BS[..., None], edges[1:]) - torch.maximum(low_BS[..., None], edges[:-1])).clamp(
            min=0
        ) * side

    x0_BS, y0_BS, x1_BS, y1_BS = boxes_BS4.unbind(-1)
    rows_BSh, columns_BSw = overlap(y0_BS, y1_BS, grid_hw[0]), overlap(x0_BS, x1_BS, grid_hw[1])
    shares_BSn = (rows_BSh[..., :, None] * columns_BSw[..., None, :]).flatten(-2) * mask_BS[..., None]
    return shares_BSn.transpose(1, 2)


def grid_of(cells: int, latents_hw: tuple[int, int]) -> tuple[int, int]:
    """The grid of `cells` cells that latents are halved to, odd sides rounded up as UNets do.

    Raises:
        ValueError: there is none.
    """
    height, width = latents_hw
    while height * width > cells:
        height, width = -(-height // 2), -(-width // 2)
    if height * width != cells:
        raise ValueError(f"no grid of {cells} cells comes of halving {latents_hw[0]}x{latents_hw[1]}")
    return height, width


def attention_loss(weights_BnS: Tensor, shares_BnS: Tensor, mask_BS: Tensor) -> Tensor:
    """[B]: how far attention is from its boxes, as two mean negative logarithms; 0 is perfect.

    Args:
        weights_BnS: what share of each cell's attention goes to each grounding token, from 0 to 1.
        shares_BnS: share of each cell in each box (`covered_cells`).
        mask_BS: 1 where a slot holds a box.
    """
    inside_B = -(shares_BnS * (weights_BnS + _LEAST).log()).sum((1, 2)) / shares_BnS.sum((1, 2)).clamp(min=_LEAST)
    free_Bn = 1 - shares_BnS.sum(2).clamp(max=1)
    spent_Bn = (weights_BnS * mask_BS[:, None]).sum(2)
    outside_B = -(free_Bn * (1 - spent_Bn).clamp(min=_LEAST).log()).sum(1) / free_Bn.sum(1).clamp(min=_LEAST)
    return inside_B + outside_B


class AttentionSupervision:
    """Watches the fusers of a UNet, and says how far the attention of its latest forward pass is from its boxes."""

    def __init__(self, unet: Unet) -> None:
        """Takes a UNet with adapters; its outputs stay what they are."""
        self._seen: dict[str, tuple[Any, Tensor]] = {}
        for name, fuser in fusers(unet).items():
            fuser.attn.register_forward_pre_hook(partial(self._look, name))

    def _look(self, name: str, attention: Any, inputs: tuple[Tensor]) -> None:
        self._seen[name] = attention, inputs[0]

    def loss(self, boxes_BS4: Tensor, mask_BS: Tensor, latents_hw: tuple[int, int]) -> Tensor:
        """[B]: mean `attention_loss` of all fusers, each by the mean of its heads; forgets the pass."""
        slots = mask_BS.shape[1]
        losses = []
        for attention, tokens_BTD in self._seen.values():
            tokens_BTD = tokens_BTD.float()
            cells = tokens_BTD.shape[1] - slots
            query = attention.head_to_batch_dim(attention.to_q(tokens_BTD[:, :cells]))
            key = attention.head_to_batch_dim(attention.to_k(tokens_BTD))
            heads = attention.get_attention_scores(query, key).unflatten(0, (-1, attention.heads))
            shares_BnS = covered_cells(boxes_BS4, mask_BS, grid_of(cells, latents_hw))
            losses.append(attention_loss(heads.mean(1)[..., cells:], shares_BnS, mask_BS))
        self._seen.clear()
        return torch.stack(losses).mean(0)
