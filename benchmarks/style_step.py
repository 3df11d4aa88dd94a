"""A training step of a style against the bare forward and backward pass, and its memory against training whole tables."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from benchmarks.corpora import ROOT
from benchmarks.peak_memory import peak_bytes
from benchmarks.result import Result, seconds
from tasks.dreamframe.style_objective import style_prompts
from tasks.dreamframe.style_tokens import StyleTokens, TextPart, random_start
from tasks.dreamframe.style_training import StyleSettings, StyleTraining
from tests.dreamframe.sdxl_for_tests import tiny_tokenizer

_TOKEN = "<dramatic>"  # noqa: S105 - a word of the vocabulary
_NARROW, _SDXL, _ROWS, _POOLED = (96, 160), (768, 1280), 49_408, 64
_BATCH, _PAIRS, _WARM_UP, _MEMORY_STEPS = 4, 15, 3, 2
_SIDE, _TIME_IDS = 16, (128, 128, 0, 0, 128, 128)


class _Model(NamedTuple):
    parts: list[TextPart]
    unet: Any
    scheduler: DDPMScheduler


def _model(widths: tuple[int, int]) -> _Model:
    """A small model built as Stable Diffusion XL, with as many rows in its embedding tables; random weights."""
    torch.manual_seed(0)
    parts = []
    for width, factory in zip(widths, (CLIPTextModel, CLIPTextModelWithProjection), strict=True):
        tokenizer = tiny_tokenizer()
        config = CLIPTextConfig(
            vocab_size=_ROWS, hidden_size=width, intermediate_size=2 * width, projection_dim=_POOLED, num_hidden_layers=4,
            num_attention_heads=4, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        )  # fmt: skip
        parts.append(TextPart(tokenizer, factory(config).eval().requires_grad_(False)))
    unet = UNet2DConditionModel(
        sample_size=_SIDE, block_out_channels=(64, 128), layers_per_block=2, attention_head_dim=(4, 8),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True, cross_attention_dim=sum(widths), addition_embed_type="text_time",
        addition_time_embed_dim=32, projection_class_embeddings_input_dim=6 * 32 + _POOLED,
    )  # fmt: skip
    return _Model(parts, unet.eval().requires_grad_(False), DDPMScheduler(beta_schedule="scaled_linear"))


def _latents() -> Tensor:
    return torch.randn(8, 4, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0))


def _training(model: _Model, batch: int) -> StyleTraining:
    tokens = StyleTokens(_TOKEN, model.parts, random_start(model.parts, 1, 0))
    settings = StyleSettings(batch=batch, accumulate=1, time_ids=_TIME_IDS)
    return StyleTraining(tokens, model.unet, model.scheduler, _latents(), settings, 0)


def _bare_step(model: _Model, batch: int) -> Callable[[], None]:
    """Forward and backward pass through frozen networks, the style a word like any other, with all inputs at hand."""
    StyleTokens(_TOKEN, model.parts, random_start(model.parts, 1, 0)).merge()
    prompts = style_prompts(_TOKEN)[:batch]
    ids = [part.tokenizer(prompts, padding="max_length", return_tensors="pt").input_ids for part in model.parts]
    latents_BChw, timesteps_B = _latents()[:batch], torch.arange(0, 1000, 1000 // batch)[:batch]
    noise_BChw = torch.randn_like(latents_BChw)
    noisy_BChw = model.scheduler.add_noise(latents_BChw, noise_BChw, timesteps_B)
    time_ids_B6 = torch.tensor([_TIME_IDS] * batch, dtype=torch.float32)

    def step() -> None:
        outputs = [part.encoder(some, output_hidden_states=True) for part, some in zip(model.parts, ids, strict=True)]
        states_BTW = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        conditions = {"text_embeds": outputs[1].text_embeds, "time_ids": time_ids_B6}
        predicted_BChw = model.unet(noisy_BChw, timesteps_B, states_BTW, added_cond_kwargs=conditions).sample
        torch.nn.functional.mse_loss(predicted_BChw, noise_BChw).backward()  # type: ignore[no-untyped-call]

    return step


def _whole_tables_steps() -> None:
    """As the original trains: gradients and AdamW over all rows of both tables (its copies to restore them left out)."""
    model = _model(_SDXL)
    step = _bare_step(model, 1)
    tables = [part.encoder.get_input_embeddings().weight.requires_grad_(True) for part in model.parts]
    optimiser = torch.optim.AdamW(tables, fused=True)
    for _ in range(_MEMORY_STEPS):
        optimiser.zero_grad()
        step()
        optimiser.step()


def _style_steps() -> None:
    steps = _training(_model(_SDXL), 1).steps()
    for _ in range(_MEMORY_STEPS):
        next(steps)


def _peak_bytes(kind: str) -> int:
    """Most memory that a fresh process held with `kind` of training."""
    command = [sys.executable, "-m", "benchmarks.style_step", kind]
    return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def measure_style_step(_folder: Path) -> list[Result]:
    """Medians of interleaved pairs of steps on four latents, and peaks of resident memory with tables of the real size."""
    model = _model(_NARROW)
    bare, steps = _bare_step(model, _BATCH), _training(_model(_NARROW), _BATCH).steps()
    for part in model.parts:
        part.encoder.enable_input_require_grads()
    for _ in range(_WARM_UP):
        bare()
        next(steps)
    pairs = [(seconds(bare), seconds(lambda: next(steps))) for _ in range(_PAIRS)]
    ratio = statistics.median(step / alone for alone, step in pairs)
    alone, step = (statistics.median(column) for column in zip(*pairs, strict=True))
    detail = f"{step * 1e3:.0f} ms against {alone * 1e3:.0f} ms"
    rows, tables = (_peak_bytes(kind) for kind in _KINDS)
    memory = f"peaks of {rows / 1e6:.0f} MB and {tables / 1e6:.0f} MB in processes of their own"
    return [
        Result("style step, time over bare forward and backward", ratio, 1.10, False, "x", detail),
        Result("style step, memory over training whole tables", rows / tables, 0.8, False, "x", memory),
    ]


_KINDS: dict[str, Callable[[], None]] = {"rows": _style_steps, "tables": _whole_tables_steps}


def main(arguments: Sequence[str]) -> None:
    """Trains a moment in this process and writes the most memory that it held, in bytes."""
    torch.set_num_threads(1)
    _KINDS[arguments[0]]()
    sys.stdout.write(f"{peak_bytes()}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
