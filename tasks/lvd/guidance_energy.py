"""How far cross-attention is from where a layout wants it: the energy that guidance lowers (specs/lvd.md 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.common.errors import UserError
from tasks.lvd.guidance_masks import box_masks, edge_bands, grid_size
from tasks.lvd.guidance_settings import EnergyWeights

_LEAST_MASS = 1e-12
_RATIO_OFFSET = 0.01


@dataclass(frozen=True)
class _Tokens:
    """The tokens of all objects in one row of E: whose it is, where in the prompt, and 1 / tokens of that object."""

    object_E: Tensor
    position_E: Tensor
    share_E: Tensor

    def spread(self, of_objects: Tensor) -> Tensor:
        """From [objects, ...] to [E, ...], on the tokens' device."""
        return of_objects.to(self.object_E.device)[self.object_E]


def guidance_energy(
    maps: Mapping[str, Tensor],
    tracks_OF4: Tensor,
    token_positions: Sequence[Sequence[int]],
    base_hw: tuple[int, int],
    weights: EnergyWeights,
) -> Tensor:
    """The energy of one video, differentiable with respect to the maps.

    Args:
        maps: of each layer, attention probabilities [frames, heads, cells, tokens of the prompt]; computed in float32.
        tracks_OF4: [objects, frames, 4], x0, y0, x1, y1 as fractions of the video, all 0 where the object is absent.
        token_positions: of each object, the positions of its tokens in the prompt; at least one.
        base_hw: height and width of the latents, of which the layers' grids are parts.
        weights: what the energy is made of.

    Returns:
        A float32 number without dimensions; 0 if there are no objects.

    Raises:
        UserError: no layers, shapes that do not fit together, or positions beyond the prompt.
    """
    _check(maps, tracks_OF4, token_positions)
    if not len(tracks_OF4):
        return torch.stack([attention_FhNT[:0].float().sum() for attention_FhNT in maps.values()]).sum()
    layers = []
    for attention_FhNT in maps.values():
        tokens = _tokens(token_positions, attention_FhNT.device)
        terms_E = _layer_terms(attention_FhNT, tracks_OF4, tokens, base_hw, weights)
        layers.append((terms_E * tokens.share_E).sum() / len(tracks_OF4))
    return torch.stack(layers).mean()


def _check(maps: Mapping[str, Tensor], tracks_OF4: Tensor, token_positions: Sequence[Sequence[int]]) -> None:
    if not maps:
        raise UserError("no attention maps; name at least one layer to record")
    if tracks_OF4.ndim != 3 or tracks_OF4.shape[-1] != 4 or len(tracks_OF4) != len(token_positions):
        shape = list(tracks_OF4.shape)
        raise UserError(
            f"tracks of shape {shape} with {len(token_positions)} token lists; give [objects, frames, 4], one each"
        )
    if not tracks_OF4.isfinite().all():
        raise UserError("tracks hold numbers that are not finite; give fractions of the video, 0 where an object is absent")
    for name, attention_FhNT in maps.items():
        if attention_FhNT.ndim != 4:
            raise UserError(f"{name}: maps of shape {list(attention_FhNT.shape)}; give [frames, heads, cells, tokens]")
        frames, length = attention_FhNT.shape[0], attention_FhNT.shape[-1]
        if frames != tracks_OF4.shape[1]:
            raise UserError(
                f"{name}: {frames} frames, but tracks of {tracks_OF4.shape[1]}; interpolate the layout to {frames}"
            )
        for number, positions in enumerate(token_positions):
            if not positions or not all(0 <= position < length for position in positions):
                shown = list(positions)[:8]
                raise UserError(
                    f"{name}: object {number} has tokens {shown}; give at least one, each from 0 to {length - 1}"
                )


def _tokens(token_positions: Sequence[Sequence[int]], device: torch.device) -> _Tokens:
    entries = [(number, position, 1 / len(of)) for number, of in enumerate(token_positions) for position in of]
    objects, positions, shares = zip(*entries, strict=True)
    return _Tokens(
        torch.tensor(objects, device=device), torch.tensor(positions, device=device), torch.tensor(shares, device=device)
    )


def _layer_terms(
    attention_FhNT: Tensor, tracks_OF4: Tensor, tokens: _Tokens, base_hw: tuple[int, int], weights: EnergyWeights
) -> Tensor:
    """The energy of each token in one layer: [E]."""
    attention_EFhN = attention_FhNT.index_select(-1, tokens.position_E).movedim(-1, 0).float().contiguous()
    grid_hw = grid_size(attention_FhNT.shape[2], base_hw)
    inside_OFN = box_masks(tracks_OF4, grid_hw).flatten(2)
    inside_EFN = tokens.spread(inside_OFN)
    if weights.form == "ratio":
        terms_EF = _inside_ratio(attention_EFhN, inside_EFN).mean(-1)
    else:
        terms_EFh = _largest(attention_EFhN, inside_EFN, tokens.spread(_weights_by_rank(inside_OFN, weights)))
        terms_EFh = weights.fg_weight + terms_EFh
        terms_EF = terms_EFh.mean(-1) if weights.normalised else terms_EFh.sum(-1)
    if weights.com_loss_scale:
        centres_EF = _centres_of_mass(attention_EFhN, inside_EFN, grid_hw).mean(-1)
        terms_EF = terms_EF + weights.com_loss_scale * centres_EF
    if weights.boxdiff_loss_scale:
        bands = (tokens.spread(band_OFn) for band_OFn in edge_bands(tracks_OF4, grid_hw))
        edges_EFh = _edges(attention_EFhN, inside_EFN, *bands, normed=weights.boxdiff_normed)
        means = weights.normalised or weights.boxdiff_normed
        terms_EF = terms_EF + weights.boxdiff_loss_scale * (edges_EFh.mean(-1) if means else edges_EFh.sum(-1))
    return terms_EF.mean(-1) if weights.normalised else terms_EF.sum(-1)


def _weights_by_rank(inside_OFN: Tensor, weights: EnergyWeights) -> Tensor:
    """What each cell counts, if cells are ranked as in `_largest`: [objects, frames, ranks].

    -fg_weight / k_fg at the first k_fg ranks, which are inside; bg_weight / k_bg at the first k_bg ranks that are outside.
    """
    inside_OF1 = inside_OFN.double().sum(-1, keepdim=True)
    outside_OF1 = inside_OFN.shape[-1] - inside_OF1
    few_OF1 = (inside_OF1 * weights.fg_top_p).floor().clamp(min=1)
    many_OF1 = (outside_OF1 * weights.bg_top_p).floor().clamp(min=1)
    rank_N = torch.arange(inside_OFN.shape[-1])
    within_OFN = torch.where(rank_N < few_OF1, -weights.fg_weight / few_OF1, 0.0)
    beyond_OFN = torch.where(rank_N < inside_OF1 + many_OF1, weights.bg_weight / many_OF1, 0.0)
    return torch.where(rank_N < inside_OF1, within_OFN, beyond_OFN).float()


def _largest(attention_EFhN: Tensor, inside_EFN: Tensor, by_rank_EFN: Tensor) -> Tensor:
    """The sum of the largest inside and of the largest outside, each times the weight of its rank: [E, F, heads].

    One sort serves both: with the sign turned outside, the bits of the numbers, read as integers, descend through the cells
    inside and then through those outside, the largest attention first in each.
    """
    signed_EFhN = attention_EFhN.detach() * (2 * inside_EFN - 1)[:, :, None]
    order_EFhN = signed_EFhN.view(torch.int32).argsort(dim=-1, descending=True)
    by_rank_EFhN = by_rank_EFN[:, :, None].expand_as(order_EFhN)
    by_cell_EFhN = torch.empty_like(signed_EFhN).scatter_(-1, order_EFhN, by_rank_EFhN)
    return (attention_EFhN * by_cell_EFhN).sum(-1)


def _inside_ratio(attention_EFhN: Tensor, inside_EFN: Tensor) -> Tensor:
    inside_EFh = (attention_EFhN * inside_EFN[:, :, None]).sum(-1)
    return (1 - inside_EFh / (attention_EFhN.sum(-1) + _RATIO_OFFSET)) ** 2


def _centres_of_mass(attention_EFhN: Tensor, inside_EFN: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    """Squared distances in cells of position, and of velocity to the next frame, from those of the box: [E, F, heads].

    Frames without the object count 0, and so do velocities to them and that of the last frame.
    """
    rows_HW, columns_HW = torch.meshgrid(*(torch.arange(float(size)) for size in grid_hw), indexing="ij")
    axes_N3 = torch.stack([torch.ones_like(rows_HW), rows_HW, columns_HW], dim=-1).flatten(0, 1).to(attention_EFhN.device)
    present_EF1 = inside_EFN.sum(-1, keepdim=True) > 0
    apart_EFh2 = _centre(attention_EFhN @ axes_N3) - _centre(inside_EFN @ axes_N3)[:, :, None]
    position_EFh = apart_EFh2.square().sum(-1) * present_EF1
    velocity_EFh = apart_EFh2.diff(dim=1).square().sum(-1) * (present_EF1[:, 1:] & present_EF1[:, :-1])
    return position_EFh + torch.nn.functional.pad(velocity_EFh, (0, 0, 0, 1))


def _centre(moments: Tensor) -> Tensor:
    return moments[..., 1:] / moments[..., :1].clamp(min=_LEAST_MASS)


def _edges(attention_EFhN: Tensor, inside_EFN: Tensor, columns_EFW: Tensor, rows_EFH: Tensor, *, normed: bool) -> Tensor:
    """How the largest attention of each column and row near the box's edges differs from the mask's: [E, F, heads]."""
    grid_hw = (rows_EFH.shape[-1], columns_EFW.shape[-1])
    attention_EFhHW = attention_EFhN.reshape(*attention_EFhN.shape[:-1], *grid_hw)
    inside_EF1HW = inside_EFN.reshape(*inside_EFN.shape[:-1], 1, *grid_hw)
    parts: list[Tensor] = []
    for axis, band in ((-2, columns_EFW), (-1, rows_EFH)):
        apart = (attention_EFhHW.amax(axis) - inside_EF1HW.amax(axis)).abs() * band[:, :, None]
        parts.append(apart.mean(-1) if normed else apart.sum(-1))
    return parts[0] + parts[1]
