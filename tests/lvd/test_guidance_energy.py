"""The energy of attention guidance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from benchmarks.guidance_energy import energy_by_loops
from tasks.common.errors import UserError
from tasks.lvd.guidance_energy import guidance_energy
from tasks.lvd.guidance_settings import EnergyWeights

GOLDEN = json.loads((Path(__file__).parent / "golden" / "guidance_energy.json").read_text())
TRACKS = torch.tensor(GOLDEN["boxes_xyxy"], dtype=torch.float64)
POSITIONS = GOLDEN["token_positions"]
BASE = (8, 8)
BENCHMARK = EnergyWeights(com_loss_scale=0.03)
ALL = EnergyWeights(com_loss_scale=0.5, boxdiff_loss_scale=0.3, boxdiff_normed=False)
ALL_NORMALISED = ALL.model_copy(update={"normalised": True})


def golden_maps() -> dict[str, Tensor]:
    found = {}
    for name, key in GOLDEN["keys"].items():
        sizes = (GOLDEN["frames"], key["heads"], key["H"] * key["W"], GOLDEN["tokens"])
        f, h, i, p = torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in sizes), indexing="ij")
        waves = 3 * torch.sin(0.7 * f + 1.3 * h + 0.11 * i * (1 + 0.5 * p) + 2.1 * p + key["salt"])
        found[name] = waves.softmax(-1).float().requires_grad_()
    return found


def random_maps(seed: int, frames: int, heads: int = 2, tokens: int = 6) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {
        f"layer of {side}": torch.randn(frames, heads, side**2, tokens, generator=random).mul(2).softmax(-1).requires_grad_()
        for side in (8, 4)
    }


def random_tracks(seed: int, objects: int, frames: int) -> Tensor:
    """Some boxes reach beyond the video, some objects are absent at times."""
    random = torch.Generator().manual_seed(seed)
    start = torch.rand(objects, frames, 2, generator=random, dtype=torch.float64) * 1.2 - 0.2
    size = torch.rand(objects, frames, 2, generator=random, dtype=torch.float64) * 0.8
    present = torch.rand(objects, frames, 1, generator=random) > 0.3
    return torch.cat([start, start + size], dim=-1) * present


def gradients(energy: Tensor, maps: dict[str, Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(energy, list(maps.values())))


def lists_of_positions(objects: int) -> st.SearchStrategy[list[list[int]]]:
    return st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3), min_size=objects, max_size=objects)


@pytest.mark.parametrize("name", GOLDEN["cases"])
def test_energies_and_gradients_are_those_of_the_original(name: str) -> None:
    case, maps = GOLDEN["cases"][name], golden_maps()
    given_weights = dict(case["kwargs"])
    if given_weights.pop("use_ratio_based_loss", False):
        given_weights["form"] = "ratio"
    if "_only_down" in name or "_only_up" in name:
        maps = {key: found for key, found in maps.items() if name.endswith(key.replace(",", "_"))}
        assert len(maps) == 1
    energy = guidance_energy(maps, TRACKS, POSITIONS, BASE, EnergyWeights(**given_weights))
    assert energy.item() == pytest.approx(case["loss"], rel=1e-4)
    sums = [gradient.abs().sum().item() for gradient in gradients(energy, maps)]
    if "grad_abs_sum" in case:
        assert sums == pytest.approx(case["grad_abs_sum"], rel=1e-4)


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 5), st.sampled_from([0.1, 0.3, 0.75, 1.0]), st.data())
@settings(max_examples=20)
def test_it_equals_loops_over_everything(seed: int, objects: int, frames: int, part: float, data: st.DataObject) -> None:
    maps, tracks = random_maps(seed, frames), random_tracks(seed, objects, frames)
    positions = data.draw(lists_of_positions(objects))
    weights = EnergyWeights(fg_top_p=part, bg_top_p=1.1 - part, com_loss_scale=0.1)
    found = guidance_energy(maps, tracks, positions, BASE, weights)
    expected = energy_by_loops(maps, tracks, positions, BASE, weights)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(gradients(found, maps), gradients(expected, maps), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@given(st.integers(0, 2**31), st.permutations(range(3)), lists_of_positions(3))
@settings(max_examples=20)
def test_the_order_of_objects_does_not_matter(seed: int, order: list[int], positions: list[list[int]]) -> None:
    maps, tracks = random_maps(seed, 3), random_tracks(seed, 3, 3)
    energy = guidance_energy(maps, tracks, positions, BASE, ALL)
    permuted = guidance_energy(maps, tracks[order], [positions[number] for number in order], BASE, ALL)
    torch.testing.assert_close(permuted, energy)


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
def test_a_box_where_the_attention_is_has_the_least_energy(x: int, y: int, other_x: int, other_y: int) -> None:
    attention = torch.full((1, 1, 8, 8, 2), 0.01)
    attention[0, 0, y : y + 4, x : x + 4, 1] = 0.9
    here, there = (
        guidance_energy(
            {"layer": attention.flatten(2, 3)}, torch.tensor([[[c, r, c + 4, r + 4]]]) / 8, [[1]], BASE, BENCHMARK
        )
        for c, r in ((x, y), (other_x, other_y))
    )
    assert (here < there) == ((x, y) != (other_x, other_y))


@given(st.integers(0, 2**31), st.integers(1, 3))
@settings(max_examples=20)
def test_the_normalised_form_does_not_depend_on_frames_and_heads(seed: int, times: int) -> None:
    maps, tracks = random_maps(seed, 2), random_tracks(seed, 2, 2)
    positions = [[1], [2, 3]]
    once = guidance_energy(maps, tracks, positions, BASE, ALL_NORMALISED)
    more_heads = {name: found.repeat(1, times, 1, 1) for name, found in maps.items()}
    torch.testing.assert_close(guidance_energy(more_heads, tracks, positions, BASE, ALL_NORMALISED), once)
    still = ALL_NORMALISED.model_copy(update={"com_loss_scale": 0.0})  # repeated frames have another velocity
    more_frames = {name: found.repeat(times, 1, 1, 1) for name, found in maps.items()}
    repeated = guidance_energy(more_frames, tracks.repeat(1, times, 1), positions, BASE, still)
    torch.testing.assert_close(repeated, guidance_energy(maps, tracks, positions, BASE, still))


def test_the_normalised_form_is_the_published_one_divided() -> None:
    maps = {"layer": torch.rand(5, 3, 16, 4).softmax(-1)}
    tracks = random_tracks(1, 2, 5)
    published, normalised = (
        guidance_energy(maps, tracks, [[1], [2]], BASE, EnergyWeights(normalised=normalised)) for normalised in (False, True)
    )
    torch.testing.assert_close(published / (5 * 3), normalised)


def test_published_and_ratio_forms_have_the_weight_of_centres_in_common() -> None:
    maps = golden_maps()
    without, with_centres = (
        guidance_energy(maps, TRACKS, POSITIONS, BASE, EnergyWeights(form="ratio", com_loss_scale=scale)) for scale in (0, 1)
    )
    assert (with_centres - without).item() == pytest.approx(GOLDEN["cases"]["com_only"]["loss"], rel=1e-4)


def test_without_objects_there_is_nothing_to_guide() -> None:
    maps = random_maps(0, 3)
    energy = guidance_energy(maps, torch.zeros(0, 3, 4), [], BASE, ALL)
    assert energy.item() == 0
    assert all((gradient == 0).all() for gradient in gradients(energy, maps))


def test_an_object_that_is_never_there_is_suppressed_where_it_is_most() -> None:
    maps = random_maps(0, 1)
    energy = guidance_energy(maps, torch.zeros(1, 1, 4), [[2]], BASE, EnergyWeights(bg_top_p=0.1, com_loss_scale=1))
    for name, gradient in zip(maps, gradients(energy, maps), strict=True):
        chosen, attention = gradient[0, 0, :, 2], maps[name][0, 0, :, 2]
        assert (chosen >= 0).all()
        assert attention[chosen > 0].min() > attention[chosen == 0].max()


def test_attention_of_exactly_zero_is_finite_and_stays_on_its_side() -> None:
    maps = {"layer": torch.zeros(2, 1, 64, 3, requires_grad=True)}
    tracks = torch.tensor([[[0.0, 0.0, 0.5, 0.5]] * 2])
    energy = guidance_energy(maps, tracks, [[1]], BASE, EnergyWeights())
    (gradient,) = gradients(energy, maps)
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[:4, :4] = True
    assert (gradient[0, 0, :, 1][inside.flatten()] <= 0).all()
    assert (gradient[0, 0, :, 1][~inside.flatten()] >= 0).all()
    (gradient,) = gradients(guidance_energy(maps, tracks, [[1]], BASE, ALL), maps)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_full(dtype: torch.dtype) -> None:
    maps = {name: found.detach().to(dtype).requires_grad_() for name, found in random_maps(0, 3).items()}
    full = {name: found.detach().float() for name, found in maps.items()}
    tracks = random_tracks(0, 2, 3)
    energy = guidance_energy(maps, tracks, [[1], [2, 3]], BASE, ALL)
    assert energy.dtype == torch.float32
    assert energy.item() == guidance_energy(full, tracks, [[1], [2, 3]], BASE, ALL).item()
    assert all(gradient.dtype == dtype for gradient in gradients(energy, maps))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"maps": {}}, "no attention maps"),
        ({"maps": {"it": torch.zeros(4, 8, 64)}}, r"it: maps of shape \[4, 8, 64\]"),
        ({"maps": {"it": torch.zeros(3, 1, 64, 10)}}, "it: 3 frames, but tracks of 4"),
        ({"maps": {"it": torch.zeros(4, 1, 60, 10)}}, "60 cells"),
        ({"token_positions": [[2], [10]]}, r"object 1 has tokens \[10\]; .* from 0 to 9"),
        ({"token_positions": [[2], [-1]]}, "object 1"),
        ({"token_positions": [[], [1]]}, r"object 0 has tokens \[\]"),
        ({"token_positions": [[2]]}, "1 token lists"),
        ({"tracks_OF4": torch.zeros(2, 4)}, r"shape \[2, 4\]"),
        ({"tracks_OF4": torch.full((2, 4, 4), torch.nan)}, "not finite"),
    ],
)
def test_what_does_not_fit_together_is_refused(changed: dict[str, Any], message: str) -> None:
    arguments = {"maps": golden_maps(), "tracks_OF4": TRACKS, "token_positions": POSITIONS, "base_hw": BASE, "weights": ALL}
    with pytest.raises(UserError, match=message):
        guidance_energy(**{**arguments, **changed})


@pytest.mark.parametrize("wrong", [{"fg_top_p": 0}, {"bg_top_p": 1.5}, {"fg_weight": -1}, {"form": "new"}, {"weight": 1}])
def test_weights_have_ranges(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EnergyWeights(**wrong)


@pytest.mark.parametrize("form", ["original", "ratio"])
def test_everything_happens_on_the_device_of_the_maps(form: str) -> None:
    """The device "meta" computes nothing and refuses tensors of other devices, as an accelerator does."""
    maps = {name: found.detach().to("meta").requires_grad_() for name, found in golden_maps().items()}
    energy = guidance_energy(maps, TRACKS, POSITIONS, BASE, ALL.model_copy(update={"form": form}))
    assert energy.device.type == "meta"
    assert all(gradient.device.type == "meta" for gradient in gradients(energy, maps))
