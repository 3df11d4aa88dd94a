"""The training of a style: the vectors of its tokens learn to denoise its images, all else stays frozen.

Legend: B images at once, N images, C latent channels, h and w latent sides, T text tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from tasks.common.denoising_objective import draw_noise, target
from tasks.common.errors import StageError, UserError
from tasks.common.seeds import item_seed
from tasks.common.training_checkpoints import Checkpoint
from tasks.common.training_curves import Curves
from tasks.dreamframe.style_objective import (
    LEARNING_RATES,
    SUFFIXES,
    TEMPLATES,
    TIME_IDS,
    RateTable,
    draw_images,
    draw_prompts,
    learning_rate,
    style_prompts,
)
from tasks.dreamframe.style_tokens import StyleTokens

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class StyleSettings:
    """How a style is trained; the defaults are the original's.

    Attributes:
        steps: updates of the vectors.
        batch: images at once.
        accumulate: batches per update.
        rates: table of learning rates.
        weight_decay: of AdamW.
        clip: highest norm of the gradient of each encoder's vectors; 0 is no limit.
        templates: prompts with {} in the style's place.
        suffixes: words after the style's name.
        time_ids: micro-conditioning, six numbers as `TIME_IDS`.
        gradient_checkpointing: saves memory in the UNet for about a third more time.
        log_every: steps per point of the curves.
        most_nonfinite_steps: so many in a row, in which NaN or infinity came up, end the training.
    """

    steps: int = 400
    batch: int = 1
    accumulate: int = 2
    rates: RateTable = LEARNING_RATES
    weight_decay: float = 1e-2
    clip: float = 1.0
    templates: tuple[str, ...] = TEMPLATES
    suffixes: tuple[str, ...] = SUFFIXES
    time_ids: tuple[int, ...] = TIME_IDS
    gradient_checkpointing: bool = False
    log_every: int = 10
    most_nonfinite_steps: int = 3


class StyleTraining:
    """A style on its way: vectors, optimiser and curves after `step` steps."""

    def __init__(
        self,
        tokens: StyleTokens,
        unet: Any,
        scheduler: DDPMScheduler,
        latents_NChw: Tensor,
        settings: StyleSettings,
        seed: int,
    ) -> None:
        """Takes the style, the UNet2DConditionModel of an SDXL model, and scaled latents on any device.

        Raises:
            UserError: there are no latents, the model predicts neither noise nor velocity, its precision is float16, whose
                small gradients would be lost, or a prompt is too long.
        """
        kind = scheduler.config.prediction_type
        if kind not in ("epsilon", "v_prediction"):
            raise UserError(
                f"scheduler/scheduler_config.json: prediction_type {kind}; epsilon or v_prediction train a style"
            )
        if unet.dtype == torch.float16:
            raise UserError("compute.dtype = float16: gradients of a style are too small for it; set bfloat16 or float32")
        if not len(latents_NChw):
            raise UserError("no style images; give at least one")
        self._tokens, self._scheduler, self._settings, self._seed = tokens, scheduler, settings, seed
        self._unet = unet.requires_grad_(False).eval()
        if settings.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        self._latents_NChw = latents_NChw
        self._ids = tokens.tokenise(style_prompts(tokens.token, settings.templates, settings.suffixes))
        self._time_ids = torch.tensor([settings.time_ids], device=unet.device, dtype=unet.dtype)
        self._optimiser = torch.optim.AdamW(list(tokens.rows.values()), weight_decay=settings.weight_decay, fused=True)
        self.step, self.skipped, self.skipped_in_a_row = 0, 0, 0
        self.curves = Curves()

    def steps(self) -> Iterator[int]:
        """Trains, and yields the number of steps done after each.

        Raises:
            StageError: too many steps in a row had a loss or a gradient that is not finite.
        """
        while self.step < self._settings.steps:
            self._train()
            yield self.step

    def _losses(self, seed: int, positions: Sequence[int]) -> tuple[Tensor, Tensor]:
        """(mean squared errors [B] in float32, timesteps [B]) of the images at these positions."""
        unet, scheduler = self._unet, self._scheduler
        timesteps, shape_Chw = int(scheduler.config.num_train_timesteps), tuple(self._latents_NChw.shape[1:])
        noise_BChw, timesteps_B = draw_noise(seed, positions, shape_Chw, timesteps, 1.0)
        images = draw_images(seed, positions, len(self._latents_NChw))
        prompts = draw_prompts(seed, positions, len(self._ids[0]))
        states_BTW, pooled_BP = self._tokens.encode_ids([ids_BT[prompts] for ids_BT in self._ids])
        latents_BChw = self._latents_NChw[images].to(unet.device, torch.float32)
        noise_BChw, on_device_B = noise_BChw.to(unet.device), timesteps_B.to(unet.device)
        conditions = {"text_embeds": pooled_BP.to(unet.dtype), "time_ids": self._time_ids.repeat(len(positions), 1)}
        predicted_BChw = unet(
            scheduler.add_noise(latents_BChw, noise_BChw, on_device_B).to(unet.dtype),
            on_device_B,
            encoder_hidden_states=states_BTW.to(unet.dtype),
            added_cond_kwargs=conditions,
        ).sample
        wanted_BChw = target(scheduler, latents_BChw, noise_BChw, on_device_B)
        return (predicted_BChw.float() - wanted_BChw).square().flatten(1).mean(1), timesteps_B

    @torch.no_grad()
    def fixed_loss(self, draws: int) -> float:
        """Mean loss over the same `draws` of image, prompt, noise and timestep whenever it is asked for."""
        fixed = item_seed(self._seed, "fixed draws")
        return sum(float(self._losses(fixed, [position])[0]) for position in range(draws)) / draws

    def _add_gradients(self) -> tuple[list[float], list[int]]:
        """Gradients of the mean loss, batch by batch; returns the losses and timesteps of the images."""
        batch, together = self._settings.batch, self._settings.batch * self._settings.accumulate
        first, losses, timesteps = self.step * together, list[Tensor](), list[int]()
        for start in range(first, first + together, batch):
            losses_B, timesteps_B = self._losses(self._seed, range(start, start + batch))
            (losses_B.sum() / together).backward()  # type: ignore[no-untyped-call]
            losses.append(losses_B.detach())
            timesteps += timesteps_B.tolist()
        return torch.cat(losses).tolist(), timesteps

    def _train(self) -> None:
        settings, rows = self._settings, list(self._tokens.rows.values())
        rate = learning_rate(self.step, settings.rates)
        self._optimiser.zero_grad()
        losses, timesteps = self._add_gradients()
        norms = torch.stack([torch.nn.utils.clip_grad_norm_(row_nW, settings.clip or torch.inf).cpu() for row_nW in rows])
        is_finite = bool(torch.isfinite(torch.tensor(losses)).all() and torch.isfinite(norms).all())
        if is_finite:
            self._optimiser.param_groups[0]["lr"] = rate
            self._optimiser.step()
        self.step += 1
        self.skipped += not is_finite
        self.skipped_in_a_row = 0 if is_finite else self.skipped_in_a_row + 1
        most = int(self._scheduler.config.num_train_timesteps)
        if is_finite:
            self.curves.add_losses(losses, timesteps, most)
        if self.step % settings.log_every == 0 or self.step == settings.steps:
            self.curves.close_losses(self.step, most)
            self.curves.add("learning_rate", self.step, learning_rate=rate)
        if self.skipped_in_a_row >= settings.most_nonfinite_steps:
            raise StageError(
                f"the training of the style diverged: NaN or infinity in {self.skipped_in_a_row} steps in a row, the last "
                f"of them step {self.step}; lower its learning rates or set compute.dtype to float32"
            )

    def checkpoint(self) -> Checkpoint:
        """All that the next step depends on, as copies."""
        moments = self._optimiser.state_dict()["state"]
        tensors = {f"rows.{name}": row_nW for name, row_nW in self._tokens.rows.items()}
        for index, name in enumerate(self._tokens.rows):
            if index in moments:
                tensors.update({f"optimiser.{name}.{moment}": moments[index][moment] for moment in _MOMENTS})
        copies = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
        values = {"skipped": self.skipped, "skipped_in_a_row": self.skipped_in_a_row, "curves": self.curves.to_json()}
        return Checkpoint(self.step, copies, copy.deepcopy(values))

    @torch.no_grad()
    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on where `checkpoint` was taken, by a training with the same settings, seed, model and latents."""
        tensors, values = checkpoint.tensors, checkpoint.state
        moments = {}
        for index, (name, row_nW) in enumerate(self._tokens.rows.items()):
            row_nW.copy_(tensors[f"rows.{name}"])
            if f"optimiser.{name}.step" in tensors:
                moments[index] = {moment: tensors[f"optimiser.{name}.{moment}"].clone() for moment in _MOMENTS}
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": moments})
        self.step, self.curves = checkpoint.step, Curves.from_json(copy.deepcopy(values["curves"]))
        self.skipped, self.skipped_in_a_row = values["skipped"], values["skipped_in_a_row"]
