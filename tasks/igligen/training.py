"""The training loop of grounding adapters: accelerate's plumbing, the order and noise of our own, resumed to the bit.

Legend: B images of one process and step, C latent channels, h and w latent sides.
"""

from __future__ import annotations

import contextlib
import math
import signal
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader

from tasks.common.denoising_objective import cell_weights, draw_noise, learning_rate, loss_weights, squared_errors, target
from tasks.common.errors import StageError, UserError
from tasks.common.training_checkpoints import Checkpoint
from tasks.common.training_curves import Curves
from tasks.igligen.adapter_optimiser import AdapterOptimiser
from tasks.igligen.adapters import adapter_parameters, gates
from tasks.igligen.attention_supervision import AttentionSupervision
from tasks.igligen.base_model import BaseModel, Denoiser
from tasks.igligen.grounded_images import Batch, GroundedImages
from tasks.igligen.parameters import Parameters


class DivergedError(StageError):
    """NaN or infinity came too many times in a row."""


def make_accelerator(device: str, mixed_precision: str) -> Accelerator:
    """Accelerate's view of this process and its siblings.

    Raises:
        UserError: the device cannot do the precision.
    """
    if device == "cpu" and mixed_precision == "fp16":
        raise UserError("igligen.mixed_precision = fp16: this needs a GPU; set it to no (as profiles/toy.yaml does) or bf16")
    try:
        return Accelerator(cpu=device == "cpu", mixed_precision=mixed_precision)
    except ValueError as error:
        raise UserError(
            f"igligen.mixed_precision = {mixed_precision}: {error}; set it to no (as profiles/toy.yaml does)"
        ) from None


def _ignore_interrupts(_worker: int) -> None:
    """A loading process ends with its parent, which answers Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _as_it_is(batch: Any) -> Any:
    return batch


class Training:
    """Adapters on their way: weights, optimiser, moving average and curves after `step` steps."""

    def __init__(
        self, accelerator: Accelerator, base: BaseModel, images: GroundedImages, parameters: Parameters, seed: int
    ) -> None:
        """Takes a base model that has adapters; all else of it stays frozen."""
        self._accelerator, self._base, self._images = accelerator, base, images
        self._parameters, self._seed = parameters, seed
        self.step, self.skipped, self.skipped_in_a_row = 0, 0, 0
        self.curves = Curves()
        self._at_once, self._halved = parameters.batch, False
        weights = adapter_parameters(base.unet)
        for weight in weights.values():
            weight.requires_grad_(True)
        self.optimiser = AdapterOptimiser(accelerator, weights, parameters.weight_decay, parameters.ema_decay)
        self._model = accelerator.prepare(Denoiser(base.unet))
        self._supervision = AttentionSupervision(base.unet) if parameters.attention_loss_weight else None

    def _loader(self) -> Iterable[Batch]:
        share = self._parameters.batch * self._parameters.accumulate
        together = share * self._accelerator.num_processes
        first = self._accelerator.process_index * share
        starts = range(self.step * together + first, self._parameters.steps * together, together)
        return DataLoader(
            self._images,
            sampler=[range(start, start + share) for start in starts],
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=self._parameters.workers,
            worker_init_fn=_ignore_interrupts,
        )

    def steps(self) -> Iterator[int]:
        """Trains, and yields the number of steps done after each.

        Raises:
            DivergedError: too many steps in a row had a loss or a gradient that is not finite.
            StageError: the GPU has not enough memory, even for half of the batch.
        """
        for batch in self._loader():
            self._train_on(batch)
            yield self.step

    def _losses(self, batch: Batch, noise_BChw: Tensor, timesteps_B: Tensor) -> Tensor:
        """Of each image [B, 2]: the weighted squared error, and how far attention is from the boxes."""
        base, device = self._base, self._accelerator.device
        given = (batch.latents_BChw, noise_BChw, timesteps_B, batch.boxes_BS4, batch.mask_BS)
        latents_BChw, noise_BChw, timesteps_B, boxes_BS4, mask_BS = (value.to(device, non_blocking=True) for value in given)
        predicted_BChw = self._model(
            base.scheduler.add_noise(latents_BChw, noise_BChw, timesteps_B),
            timesteps_B,
            base.captions(batch.captions),
            boxes_BS4,
            base.phrase_slots(batch.phrases, batch.mask_BS.shape[1]),
            mask_BS,
        )
        wanted_BChw = target(base.scheduler, latents_BChw, noise_BChw, timesteps_B)
        sides = (wanted_BChw.shape[-2], wanted_BChw.shape[-1])
        weights_B1hw = cell_weights(boxes_BS4, mask_BS, sides, self._parameters.box_loss_weight)
        errors_B = squared_errors(predicted_BChw, wanted_BChw, weights_B1hw)
        errors_B = errors_B * loss_weights(base.scheduler, timesteps_B, self._parameters.min_snr_gamma)
        if self._supervision is None:
            return torch.stack([errors_B, torch.zeros_like(errors_B)], 1)
        return torch.stack([errors_B, self._supervision.loss(boxes_BS4, mask_BS, sides)], 1)

    def _add_gradients(self, batch: Batch, noise_BChw: Tensor, timesteps_B: Tensor) -> Tensor:
        """Gradients of the mean loss, part by part; returns the losses [B, 2]."""
        self.optimiser.forget_gradients()
        weight, found = self._parameters.attention_loss_weight, []
        for start in range(0, len(batch), self._at_once):
            of = slice(start, start + self._at_once)
            is_last = of.stop >= len(batch)
            with contextlib.nullcontext() if is_last else self._accelerator.no_sync(self._model):
                losses_B2 = self._losses(batch.part(start, self._at_once), noise_BChw[of], timesteps_B[of])
                errors_B, distances_B = losses_B2.unbind(1)
                self._accelerator.backward((errors_B + weight * distances_B).sum() / len(batch))
            found.append(losses_B2.detach())
        return torch.cat(found)

    def _add_gradients_in_memory(self, batch: Batch, noise_BChw: Tensor, timesteps_B: Tensor) -> Tensor:
        """`_add_gradients`, with half as many images at once if the GPU's memory does not hold them all."""
        try:
            return self._add_gradients(batch, noise_BChw, timesteps_B)
        except torch.OutOfMemoryError as error:
            reason = " ".join(str(error).split())[:200]
        peak = f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB in use at most. " if torch.cuda.is_available() else ""
        if self._halved or self._at_once == 1 or self._accelerator.num_processes > 1:
            raise StageError(
                f"out of GPU memory with {self._at_once} images at once: {peak}{reason}; "
                "lower igligen.batch and raise igligen.accumulate by the same factor"
            ) from None
        self._halved, self._at_once = True, -(-self._at_once // 2)
        sys.stderr.write(f"out of GPU memory, going on with {self._at_once} images at once: {peak}{reason}\n")
        self.optimiser.forget_gradients()
        torch.cuda.empty_cache()
        return self._add_gradients_in_memory(batch, noise_BChw, timesteps_B)

    def _train_on(self, batch: Batch) -> None:
        parameters, scheduler = self._parameters, self._base.scheduler
        rate = learning_rate(
            self.step, parameters.learning_rate, parameters.warmup_steps, parameters.schedule, parameters.steps
        )
        timesteps = int(scheduler.config.num_train_timesteps)
        shape = tuple(batch.latents_BChw.shape[1:])
        noise_BChw, timesteps_B = draw_noise(self._seed, batch.positions, shape, timesteps, parameters.timestep_bias)
        losses_B2 = self._add_gradients_in_memory(batch, noise_BChw, timesteps_B)
        norm = self.optimiser.clip_gradients(parameters.clip)
        gathered = self._accelerator.gather(torch.cat([losses_B2, timesteps_B.to(losses_B2)[:, None]], 1)).cpu()
        is_finite = bool(torch.isfinite(gathered).all() and torch.isfinite(norm))
        self.optimiser.update(rate, is_finite)
        self.step += 1
        self.skipped += not is_finite
        self.skipped_in_a_row = 0 if is_finite else self.skipped_in_a_row + 1
        if is_finite:
            self.curves.add_losses(gathered[:, 0].tolist(), gathered[:, 2].int().tolist(), timesteps)
        if self.step % parameters.log_every == 0 or self.step == parameters.steps:
            self._log(rate, timesteps, float(gathered[:, 1].mean()))
        if self.skipped_in_a_row >= parameters.most_nonfinite_steps:
            raise DivergedError(
                f"the training diverged: NaN or infinity in {self.skipped_in_a_row} steps in a row, the last of them step "
                f"{self.step}; the last good checkpoint is kept. Lower igligen.learning_rate, or set "
                "igligen.mixed_precision to no"
            )

    def _log(self, rate: float, timesteps: int, distance: float) -> None:
        self.curves.close_losses(self.step, timesteps)
        self.curves.add("learning_rate", self.step, learning_rate=rate)
        attention, dense = zip(*gates(self._base.unet).values(), strict=True)
        means = [sum(map(abs, values)) / len(values) for values in (attention, dense)]
        if self._supervision and math.isfinite(distance):
            self.curves.add("attention", self.step, loss=distance)
        self.curves.add("gates", self.step, attention=means[0], dense=means[1])

    def checkpoint(self) -> Checkpoint:
        """All that the next step depends on."""
        tensors, values = self.optimiser.state()
        values |= {"skipped": self.skipped, "skipped_in_a_row": self.skipped_in_a_row, "curves": self.curves.to_json()}
        return Checkpoint(self.step, tensors, values)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on where `checkpoint` was taken."""
        self.optimiser.restore(checkpoint.tensors, checkpoint.state)
        self.step, self.curves = checkpoint.step, Curves.from_json(checkpoint.state["curves"])
        self.skipped, self.skipped_in_a_row = checkpoint.state["skipped"], checkpoint.state["skipped_in_a_row"]
