"""What is minimised: the error of the predicted noise or velocity at random timesteps (specs/lvd.md 6.3).

Legend: B images, C latent channels, h and w latent sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from tasks.common.errors import UserError
from tasks.common.seeds import item_seed


def draw_noise(
    seed: int, positions: Sequence[int], shape_Chw: tuple[int, ...], timesteps: int, bias: float
) -> tuple[Tensor, Tensor]:
    """(noise [B, C, h, w], timesteps [B]) on the CPU; each image's draws depend on the seed and its position alone.

    Args:
        seed: seed of the run.
        positions: of the images in the training order.
        shape_Chw: of one latent.
        timesteps: T, how many the model knows.
        bias: b in t = T (1 - u^b) with uniform u; above 1, large t, which is mostly noise, come more often.
    """
    noise, levels = [], []
    for position in positions:
        generator = torch.Generator().manual_seed(item_seed(seed, f"noise:{position}"))
        level = 1 - float(torch.rand((), generator=generator, dtype=torch.float64)) ** bias
        levels.append(min(int(timesteps * level), timesteps - 1))
        noise.append(torch.randn(shape_Chw, generator=generator))
    return torch.stack(noise), torch.tensor(levels)


def loss_weights(scheduler: DDPMScheduler, timesteps_B: Tensor, gamma: float) -> Tensor:
    """Min-SNR weights [B] of the squared errors (arXiv 2303.09556); all 1 with gamma 0."""
    if not gamma:
        return torch.ones_like(timesteps_B, dtype=torch.float32)
    signal_B = scheduler.alphas_cumprod.to(timesteps_B.device)[timesteps_B]
    ratio_B = (signal_B / (1 - signal_B)).clamp(min=1e-8)  # 0 at the last step of rescaled schedules
    capped_B = ratio_B.clamp(max=gamma)
    weights_B: Tensor = capped_B / {"epsilon": ratio_B, "v_prediction": ratio_B + 1}[scheduler.config.prediction_type]
    return weights_B


def target(scheduler: DDPMScheduler, latents_BChw: Tensor, noise_BChw: Tensor, timesteps_B: Tensor) -> Tensor:
    """What the model should predict [B, C, h, w]: the noise or the velocity, as its scheduler says.

    Raises:
        UserError: the model predicts something else.
    """
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return noise_BChw
    if kind == "v_prediction":
        velocity_BChw: Tensor = scheduler.get_velocity(latents_BChw, noise_BChw, timesteps_B)
        return velocity_BChw
    raise UserError(f"scheduler/scheduler_config.json: prediction_type {kind}; adapters train with epsilon or v_prediction")


def cell_weights(boxes_BS4: Tensor, mask_BS: Tensor, side_hw: tuple[int, int], weight: float) -> Tensor:
    """[B, 1, h, w]: `weight` in every latent cell whose centre lies in a box that is there, 1 elsewhere."""
    height, width = side_hw
    y_h, x_w = (torch.arange(side, device=boxes_BS4.device) + 0.5 for side in side_hw)
    x0_BS, y0_BS, x1_BS, y1_BS = boxes_BS4.unbind(-1)
    rows_BSh = (y_h >= y0_BS[..., None] * height) & (y_h < y1_BS[..., None] * height)
    columns_BSw = (x_w >= x0_BS[..., None] * width) & (x_w < x1_BS[..., None] * width)
    inside_BShw = rows_BSh[..., None] & columns_BSw[..., None, :] & (mask_BS > 0)[..., None, None]
    return 1 + (weight - 1) * inside_BShw.any(1, keepdim=True).float()


def squared_errors(predicted_BChw: Tensor, wanted_BChw: Tensor, weights_B1hw: Tensor) -> Tensor:
    """Weighted mean squared error of each image [B], in float32."""
    errors_BChw = (predicted_BChw.float() - wanted_BChw.float()).square()
    return (errors_BChw.mean(1, keepdim=True) * weights_B1hw).flatten(1).sum(1) / weights_B1hw.flatten(1).sum(1)


def learning_rate(step: int, highest: float, warmup_steps: int, schedule: str, steps: int) -> float:
    """The rate of step 0, 1, ...: rises over the warm-up, then stays ("constant") or falls to 0 at `steps` ("linear")."""
    if step < warmup_steps:
        return highest * (step + 1) / warmup_steps
    if schedule == "constant":
        return highest
    return highest * (steps - step) / (steps - warmup_steps)
