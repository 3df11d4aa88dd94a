"""Guidance of latents by a layout: how often they move, when it ends, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler, UNet3DConditionModel
from pydantic import ValidationError
from torch import Tensor

from tasks.common.errors import UserError
from tasks.lvd.guidance import (
    FIRST_LOSS,
    GuidanceState,
    GuidedPrompt,
    NotFiniteError,
    guide,
    guiding,
    noise_share,
    ready_for_gradients,
)
from tasks.lvd.guidance_energy import guidance_energy
from tasks.lvd.guidance_settings import EnergyWeights, Guidance
from tasks.lvd.video_errors import VideoError
from tasks.spriteworld.text_to_video_model import build_noise_schedule
from tasks.video.attention_maps import AttentionRecorder
from tests.video.tiny_text_to_video import ATTENTION_LAYERS, TEXT_WIDTH, tiny_unet

LAYERS = list(ATTENTION_LAYERS[:3])
FRAMES, SIDES = 2, (8, 16)
STRONG = EnergyWeights.model_validate({"com_loss_scale": 0.03})


@pytest.fixture(scope="module")
def unet() -> UNet3DConditionModel:
    return tiny_unet()


@pytest.fixture(scope="module")
def scheduler() -> DDIMScheduler:
    made = DDIMScheduler.from_config(build_noise_schedule().config)
    made.set_timesteps(6)
    return made


def prompt_of_two() -> GuidedPrompt:
    """Two objects, the second absent from one frame; the first has two tokens."""
    tracks_OF4 = torch.tensor([[[0.0, 0.0, 0.5, 0.5]] * FRAMES, [[0.5, 0.25, 1.0, 1.0]] * FRAMES], dtype=torch.float64)
    tracks_OF4[1, 1] = 0
    states_1TW = torch.randn(1, 9, TEXT_WIDTH, generator=torch.Generator().manual_seed(5)) * 4
    return GuidedPrompt(states_1TW, tracks_OF4, ((2, 3), (6,)))


def latents(seed: int) -> Tensor:
    return torch.randn(1, 4, FRAMES, *SIDES, generator=torch.Generator().manual_seed(seed))


def energy_at(unet: UNet3DConditionModel, latents_1CFhw: Tensor, timestep: Tensor, weights: EnergyWeights) -> Tensor:
    prompt = prompt_of_two()
    with AttentionRecorder(unet, LAYERS) as recorder:
        maps = recorder.record(sample=latents_1CFhw, timestep=timestep, encoder_hidden_states=prompt.states_1TW)
    return guidance_energy(maps, prompt.tracks_OF4, prompt.token_positions, SIDES, weights)


def published(unet: UNet3DConditionModel, scheduler: DDIMScheduler, steps: list[Tensor], settings: Guidance) -> list[Tensor]:
    """The loop as the specification tells it, with the latents of each step given; returns them as guidance leaves them."""
    left, loss = [], 10000.0
    for index, found in enumerate(steps):
        timestep = scheduler.timesteps[index]
        moved = found.clone()
        if index < settings.max_index_step:
            repeats = settings.max_iter[index] if isinstance(settings.max_iter, list) else settings.max_iter
            while repeats > 0 and loss / settings.loss_scale > settings.loss_threshold:
                moved = moved.detach().requires_grad_()
                scaled = energy_at(unet, moved, timestep, settings.energy) * settings.loss_scale
                (gradient,) = torch.autograd.grad(scaled, moved)
                moved = moved.detach() - math.sqrt(1 - scheduler.alphas_cumprod[timestep]) * gradient
                loss = float(scaled)
                repeats -= 1
        left.append(moved)
    return left


def run(
    unet: UNet3DConditionModel, scheduler: DDIMScheduler, steps: list[Tensor], settings: Guidance
) -> tuple[list[Tensor], list[int], GuidanceState]:
    """Latents after each step, iterations in each step, and the state at the end."""
    state, after, counts = GuidanceState(), list[Tensor](), list[int]()
    with torch.no_grad(), guiding(unet, scheduler, settings, [prompt_of_two()], [state]) as before_step:
        for index, found in enumerate(steps):
            before = state.iterations
            after.append(before_step(index, scheduler.timesteps[index], found))
            counts.append(state.iterations - before)
    return after, counts, state


def settings(**changes: object) -> Guidance:
    return Guidance.model_validate({"layers": LAYERS, "loss_threshold": 0.0, "energy": STRONG, **changes})


CASES = {
    "every step": settings(max_iter=2, max_index_step=2),
    "listed": settings(max_iter=[1, 0, 3], max_index_step=3),
    "nothing": settings(max_iter=5, max_index_step=0),
    "satisfied at once": settings(loss_threshold=2000.0),
    "large gradient": settings(loss_scale=300.0, max_iter=1, max_index_step=2),
}


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_latents_move_as_published(unet: UNet3DConditionModel, scheduler: DDIMScheduler, given: Guidance) -> None:
    steps = [latents(seed) for seed in range(4)]
    with ready_for_gradients(unet, checkpointing=False):
        expected = published(unet, scheduler, steps, given)
    after, _, _ = run(unet, scheduler, steps, given)
    torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-6)


def test_iterations_of_each_step(unet: UNet3DConditionModel, scheduler: DDIMScheduler) -> None:
    steps = [latents(seed) for seed in range(4)]
    assert run(unet, scheduler, steps, CASES["every step"])[1] == [2, 2, 0, 0]
    assert run(unet, scheduler, steps, CASES["listed"])[1] == [1, 0, 3, 0]
    _, counts, state = run(unet, scheduler, steps, CASES["satisfied at once"])
    assert counts == [0, 0, 0, 0], "10000 / 5 is not above 2000"
    assert state == GuidanceState(FIRST_LOSS, 0, [])
    assert state.mean_energies() is None


def low_and_high(unet: UNet3DConditionModel, scheduler: DDIMScheduler) -> tuple[Tensor, Tensor, float]:
    """Latents of a low energy at step 0, others of a high energy at steps 1 and 2, and a threshold between the energies."""
    with torch.no_grad():
        by_energy = {float(energy_at(unet, latents(s), scheduler.timesteps[0], STRONG)): latents(s) for s in range(4)}
        low = min(by_energy)
        candidates = [latents(seed) * 3 for seed in range(4)]
        energies = [
            min(float(energy_at(unet, one, scheduler.timesteps[step], STRONG)) for step in (1, 2)) for one in candidates
        ]
    high = max(energies)
    assert high > low + 1e-3
    return by_energy[low], candidates[energies.index(high)], (low + high) / 2


def test_guidance_that_was_enough_has_ended_for_good(unet: UNet3DConditionModel, scheduler: DDIMScheduler) -> None:
    low, high, threshold = low_and_high(unet, scheduler)
    given = settings(loss_threshold=threshold, loss_scale=1e-3, max_iter=4)
    _, counts, state = run(unet, scheduler, [low, high, high], given)
    assert counts == [1, 0, 0], "the loss of the start is above the threshold, the first one measured is below it"
    ((first, last),) = state.energies
    assert first == last < threshold


def test_guidance_that_looks_again_resumes(unet: UNet3DConditionModel, scheduler: DDIMScheduler) -> None:
    low, high, threshold = low_and_high(unet, scheduler)
    given = settings(loss_threshold=threshold, loss_scale=1e-3, max_iter=4, re_evaluate=True)
    after, counts, _ = run(unet, scheduler, [low, high, low], given)
    assert counts[:2] == [0, 4], "the small steps of this scale cannot reach the threshold"
    torch.testing.assert_close(after[0], low, rtol=0, atol=0)
    assert not torch.equal(after[1], high)


def test_energy_falls(unet: UNet3DConditionModel, scheduler: DDIMScheduler) -> None:
    _, counts, state = run(unet, scheduler, [latents(0)], settings(max_iter=8, loss_scale=20.0))
    assert counts == [8]
    ((first, last),) = state.energies
    assert last < first - 1e-3
    assert state.mean_energies() == (first, last)


def test_checkpointing_changes_nothing(unet: UNet3DConditionModel, scheduler: DDIMScheduler) -> None:
    kept, _, _ = run(unet, scheduler, [latents(0)], settings(max_iter=2))
    again, _, _ = run(unet, scheduler, [latents(0)], settings(max_iter=2, checkpointing=True))
    torch.testing.assert_close(again, kept)
    assert all("forward" not in vars(module) for module in unet.modules())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_weights_are_as_before(unet: UNet3DConditionModel, scheduler: DDIMScheduler, checkpointing: bool) -> None:
    needed = {name: weight.requires_grad for name, weight in unet.named_parameters()}
    assert any(needed.values())
    broken = latents(0)
    broken[0, 0, 0, 0, 0] = math.nan
    with pytest.raises(VideoError) as caught:
        run(unet, scheduler, [latents(0), broken], settings(max_iter=1, checkpointing=checkpointing))
    assert (caught.value.index, caught.value.reason) == (0, "not-finite")
    assert {name: weight.requires_grad for name, weight in unet.named_parameters()} == needed
    assert all(weight.grad is None for weight in unet.parameters())
    assert all("forward" not in vars(module) for module in unet.modules())
    assert not any(module._forward_pre_hooks for module in unet.modules())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_refused(unet: UNet3DConditionModel, scheduler: DDIMScheduler, value: float) -> None:
    broken = latents(0)
    broken[0, 0, 1] = value
    with AttentionRecorder(unet, LAYERS) as recorder, pytest.raises(NotFiniteError):
        guide(broken, 0, scheduler.timesteps[0], scheduler, prompt_of_two(), GuidanceState(), recorder, settings())


def test_nothing_to_guide(unet: UNet3DConditionModel, scheduler: DDIMScheduler) -> None:
    empty = GuidedPrompt(prompt_of_two().states_1TW, torch.zeros(0, FRAMES, 4), ())
    state = GuidanceState()
    with AttentionRecorder(unet, LAYERS) as recorder:
        after = guide(latents(0), 0, scheduler.timesteps[0], scheduler, empty, state, recorder, settings())
    assert torch.equal(after, latents(0))
    assert state.iterations == 0


def test_schedulers() -> None:
    config = build_noise_schedule().config
    euler = EulerDiscreteScheduler.from_config(config)
    euler.set_timesteps(7)
    for timestep in euler.timesteps:
        assert 0 <= noise_share(euler, timestep) <= 1
    with pytest.raises(UserError, match="alphas_cumprod"):
        noise_share(FlowMatchEulerDiscreteScheduler(), torch.tensor(3))


def test_settings_are_checked() -> None:
    assert settings(max_iter=[3, 2], max_index_step=2).most_iterations(1) == 2
    assert settings(max_iter=[3, 2], max_index_step=1).most_iterations(1) == 0
    published_code = Guidance(layers=LAYERS)
    assert (published_code.loss_scale, published_code.loss_threshold, published_code.max_iter) == (5.0, 200.0, 5)
    assert (published_code.max_index_step, published_code.re_evaluate, published_code.energy) == (10, False, EnergyWeights())
    for wrong in ({"max_iter": [3]}, {"layers": []}, {"loss_scale": 0.0}, {"max_iter": -1}, {"loss_threshold": math.nan}):
        with pytest.raises(ValidationError):
            settings(**wrong)


def test_a_layer_that_is_not_there(unet: UNet3DConditionModel, scheduler: DDIMScheduler) -> None:
    with pytest.raises(UserError, match=r"up_blocks\.7"):
        run(unet, scheduler, [latents(0)], settings(layers=["up_blocks.7.attentions.0"]))
