"""The energy of attention guidance against loops over objects, frames and tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.result import Result, best_seconds
from tasks.lvd.guidance_energy import guidance_energy
from tasks.lvd.guidance_settings import EnergyWeights

_FRAMES, _OBJECTS, _PROMPT_TOKENS = 16, 4, 77
_LAYERS = {
    "down.1.0": (10, 16),
    "down.2.0": (20, 8),
    "down.2.1": (20, 8),
    "up.1.0": (20, 8),
    "up.1.1": (20, 8),
    "up.2.2": (10, 16),
}
"""Heads and cells per side of the published layers, for videos of 256x256 pixels."""


def energy_by_loops(
    maps: Mapping[str, Tensor],
    tracks_OF4: Tensor,
    token_positions: Sequence[Sequence[int]],
    base_hw: tuple[int, int],
    weights: EnergyWeights,
) -> Tensor:
    """The published energy (specs/lvd.md 4.3) as one writes it down: takes and gives what `guidance_energy` does."""
    total = torch.zeros(())
    for attention_FhNT in maps.values():
        stride = math.isqrt(base_hw[0] * base_hw[1] // attention_FhNT.shape[2])
        grid_hw = (base_hw[0] // stride, base_hw[1] // stride)
        frames = attention_FhNT.unbind(0)
        for boxes, positions in zip(tracks_OF4.tolist(), token_positions, strict=True):
            masks = [_mask(box, grid_hw) for box in boxes]
            wanted = [_centre(mask_N, grid_hw) for mask_N in masks]
            for position in positions:
                tokens = [attention_hNT[:, :, position] for attention_hNT in frames]
                centres = [_centre(token_hN, grid_hw) for token_hN in tokens] if weights.com_loss_scale else []
                for frame, (token_hN, mask_N) in enumerate(zip(tokens, masks, strict=True)):
                    term = _largest_cells(token_hN, mask_N, weights)
                    if weights.com_loss_scale and mask_N.any():
                        term = term + weights.com_loss_scale * _distance(centres[frame], wanted[frame])
                        if frame + 1 < len(frames) and masks[frame + 1].any():
                            velocity, wanted_velocity = (
                                centres[frame + 1] - centres[frame],
                                wanted[frame + 1] - wanted[frame],
                            )
                            term = term + weights.com_loss_scale * _distance(velocity, wanted_velocity)
                    total = total + term / len(positions)
    return total / (len(maps) * len(token_positions))


def _mask(box: list[float], grid_hw: tuple[int, int]) -> Tensor:
    sides = []
    for first, last, cells in ((box[0], box[2], grid_hw[1]), (box[1], box[3], grid_hw[0])):
        start = round(first * cells)
        end = start + round((last - first) * cells)
        sides.append(slice(min(max(start, 0), cells), min(max(end, 0), cells)))
    mask_HW = torch.zeros(grid_hw)
    mask_HW[sides[1], sides[0]] = 1
    return mask_HW.flatten()


def _largest_cells(attention_hN: Tensor, mask_N: Tensor, weights: EnergyWeights) -> Tensor:
    inside, outside = int(mask_N.sum()), int((1 - mask_N).sum())
    k_inside, k_outside = max(1, int(inside * weights.fg_top_p)), max(1, int(outside * weights.bg_top_p))
    foreground = (1 - (attention_hN * mask_N).topk(k_inside).values.mean(-1)).sum()
    background = (attention_hN * (1 - mask_N)).topk(k_outside).values.mean(-1).sum()
    return weights.fg_weight * foreground + weights.bg_weight * background


def _centre(cells: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    cells_HW, mass = cells.unflatten(-1, grid_hw), cells.sum(-1)
    row = (cells_HW.sum(-1) * torch.arange(grid_hw[0])).sum(-1) / mass
    column = (cells_HW.sum(-2) * torch.arange(grid_hw[1])).sum(-1) / mass
    return torch.stack([row, column], dim=-1)


def _distance(centre: Tensor, wanted: Tensor) -> Tensor:
    return (centre - wanted).square().sum(-1).mean()


def measure_guidance_energy(_folder: Path) -> Result:
    """Energy and gradient of one video of the published benchmark: 16 frames, 6 layers, 4 objects of 2 tokens each."""
    random = torch.Generator().manual_seed(0)
    maps = {
        name: torch.randn(_FRAMES, heads, side**2, _PROMPT_TOKENS, generator=random).mul(2).softmax(-1).requires_grad_()
        for name, (heads, side) in _LAYERS.items()
    }
    start_OF2 = torch.rand(_OBJECTS, 1, 2, generator=random) * 0.5 + torch.linspace(0, 0.2, _FRAMES)[None, :, None]
    tracks_OF4 = torch.cat([start_OF2, start_OF2 + 0.3], dim=-1).double()
    tracks_OF4[0, :3] = 0
    token_positions = [(2 * number + 1, 2 * number + 2) for number in range(_OBJECTS)]
    weights = EnergyWeights(com_loss_scale=0.03)

    def gradient(energy: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        total = energy(maps, tracks_OF4, token_positions, (32, 32), weights)
        return (total, *torch.autograd.grad(total, list(maps.values())))

    for found, expected in zip(gradient(guidance_energy), gradient(energy_by_loops), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    fast, slow = best_seconds(lambda: gradient(guidance_energy), 5), best_seconds(lambda: gradient(energy_by_loops), 2)
    detail = f"{slow * 1e3:.0f} ms to {fast * 1e3:.0f} ms"
    return Result("energy of attention guidance, speed of loops", slow / fast, 5, True, "x", detail)
