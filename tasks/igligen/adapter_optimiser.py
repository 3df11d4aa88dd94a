"""AdamW over the adapters, their moving average, and the state of both as plain tensors and JSON values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class AdapterOptimiser:
    """Updates the adapters' weights, and with `ema_decay` above 0 also keeps their moving average."""

    def __init__(
        self, accelerator: Accelerator, weights: dict[str, nn.Parameter], weight_decay: float, ema_decay: float
    ) -> None:
        """Takes the weights by name."""
        optimiser = torch.optim.AdamW(list(weights.values()), weight_decay=weight_decay, fused=True)
        self._accelerator, self._weights = accelerator, weights
        self._optimiser = accelerator.prepare(optimiser)
        self._average = EMAModel(weights.values(), decay=ema_decay, foreach=True) if ema_decay else None

    @property
    def count(self) -> int:
        """Numbers that are trained."""
        return sum(weight.numel() for weight in self._weights.values())

    def forget_gradients(self) -> None:
        """Drops all gradients."""
        self._optimiser.zero_grad()

    def clip_gradients(self, most: float) -> Tensor:
        """Scales the gradients to a norm of at most `most` (0: no limit); returns the norm before."""
        norm: Tensor = self._accelerator.clip_grad_norm_(list(self._weights.values()), most or torch.inf)
        return norm

    def update(self, rate: float, is_finite: bool) -> None:
        """One step. What is not finite changes no weight; the loss scaler of float16 hears of it and scales less."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        if is_finite or self._accelerator.scaler is not None:
            self._optimiser.step()
        if is_finite and self._average is not None:
            self._average.step(self._weights.values())

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the adapters have their averaged weights, if an average is kept."""
        if self._average is None:
            yield
            return
        self._average.store(self._weights.values())
        self._average.copy_to(self._weights.values())
        try:
            yield
        finally:
            self._average.restore(self._weights.values())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors by name and JSON values that the next update depends on, the weights included."""
        tensors: dict[str, Tensor] = {f"adapters.{name}": weight for name, weight in self._weights.items()}
        moments = self._optimiser.state_dict()["state"]
        for index, name in enumerate(self._weights):
            if index in moments:
                tensors.update({f"optimiser.{name}.{moment}": moments[index][moment] for moment in _MOMENTS})
        values: dict[str, Any] = {}
        if self._average is not None:
            tensors.update({f"average.{n}": t for n, t in zip(self._weights, self._average.shadow_params, strict=True)})
            values["average_steps"] = self._average.optimization_step
        if self._accelerator.scaler is not None:
            values["scaler"] = self._accelerator.scaler.state_dict()
        return tensors, values

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Goes on from what `state` gave."""
        for name, weight in self._weights.items():
            weight.copy_(tensors[f"adapters.{name}"])
        moments = {
            index: {moment: tensors[f"optimiser.{name}.{moment}"] for moment in _MOMENTS}
            for index, name in enumerate(self._weights)
            if f"optimiser.{name}.step" in tensors
        }
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": moments})
        if self._average is not None:
            for name, shadow in zip(self._weights, self._average.shadow_params, strict=True):
                shadow.copy_(tensors[f"average.{name}"])
            self._average.optimization_step = values["average_steps"]
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(values["scaler"])
