"""Which device and precision a model runs with."""

from __future__ import annotations

import torch

from tasks.common.errors import UserError
from tasks.common.parameters import Compute


def select_device(compute: Compute) -> tuple[str, torch.dtype]:
    """(device, dtype) for the parameters, and one torch thread for this worker.

    One thread per worker keeps results equal whatever the number of workers.

    Raises:
        UserError: the device is not there, or cannot do the precision.
    """
    torch.set_num_threads(1)
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    device = compute.device
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[device]:
        raise UserError(
            f"compute.device = {device}: torch {torch.__version__} finds no such device here; "
            "set it to cpu (as profiles/toy.yaml does) or install torch for your accelerator"
        )
    if device == "cuda" and compute.dtype == "bfloat16" and not torch.cuda.is_bf16_supported():
        raise UserError("compute.dtype = bfloat16: this GPU has no bfloat16; set it to float16 or float32")
    return device, getattr(torch, compute.dtype)
