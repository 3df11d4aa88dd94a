"""What guidance by a layout costs: its iterations against plain denoising steps, in time and in memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet3DConditionModel

from benchmarks.peak_memory import peak_bytes
from benchmarks.result import Result
from tasks.lvd.denoising import Conditions, denoise
from tasks.lvd.guidance import GuidanceState, GuidedPrompt, guide, ready_for_gradients
from tasks.lvd.guidance_energy import guidance_energy
from tasks.lvd.guidance_settings import Guidance
from tasks.spriteworld.text_to_video_model import build_noise_schedule, build_unet
from tasks.video.attention_maps import AttentionRecorder

_FRAMES, _WIDTH, _TOKENS = 16, 96, 64
_SIDE, _LARGE_SIDE = 32, 64
"""Of latents: for times, and for memory, where a step must need more than starting up."""
_LAYERS = [
    *("down_blocks.1.attentions.0", "down_blocks.2.attentions.0", "mid_block.attentions.0"),
    *(f"up_blocks.{block}.attentions.{number}" for block in (0, 1) for number in (0, 1)),
]
_MEBIBYTE = 2**20


class _Step:
    """One denoising step of a video, plain or guided."""

    def __init__(self, side: int) -> None:
        torch.manual_seed(0)
        self.unet: UNet3DConditionModel = build_unet(_WIDTH).eval()
        self.scheduler = DDIMScheduler.from_config(build_noise_schedule().config)
        self.scheduler.set_timesteps(10)
        self.latents = torch.randn(1, 4, _FRAMES, side, side)
        self.states = torch.randn(1, _TOKENS, _WIDTH)
        boxes = torch.tensor([[0.1, 0.1, 0.5, 0.6], [0.5, 0.3, 0.9, 0.9]], dtype=torch.float64)
        self.prompt = GuidedPrompt(self.states, boxes[:, None].repeat(1, _FRAMES, 1), ((2, 3), (6,)))

    @torch.no_grad()
    def plain(self) -> None:
        """With classifier-free guidance, as all methods have it."""
        conditions = Conditions(self.states, self.states, 9.0)
        denoise(self.unet, self.scheduler, self.scheduler.timesteps[:1], self.latents, conditions)

    def guided(self, *, checkpointing: bool = False) -> None:
        """One iteration before the step."""
        settings = Guidance(layers=_LAYERS, max_iter=1, loss_threshold=0.0, checkpointing=checkpointing)
        with ready_for_gradients(self.unet, checkpointing=checkpointing), AttentionRecorder(self.unet, _LAYERS) as recorder:
            timestep = self.scheduler.timesteps[0]
            guide(self.latents, 0, timestep, self.scheduler, self.prompt, GuidanceState(), recorder, settings)

    def guided_through_the_whole_model(self) -> None:
        """The same iteration, but the forward pass goes on behind the last layer that is looked at."""
        with ready_for_gradients(self.unet, checkpointing=False), AttentionRecorder(self.unet, _LAYERS) as recorder:
            latents = self.latents.detach().requires_grad_()
            timestep = self.scheduler.timesteps[0]
            _, maps = recorder.run(sample=latents, timestep=timestep, encoder_hidden_states=self.states)
            prompt, settings = self.prompt, Guidance(layers=_LAYERS)
            sides = (latents.shape[-2], latents.shape[-1])
            energy = guidance_energy(maps, prompt.tracks_OF4, prompt.token_positions, sides, settings.energy)
            torch.autograd.grad(energy, latents)


_KINDS: dict[str, Callable[[_Step], None]] = {
    "plain": _Step.plain,
    "guided": _Step.guided,
    "checkpointed": lambda step: step.guided(checkpointing=True),
}


def _cpu_seconds(work: Callable[[], object]) -> float:
    """The least of five calls, in seconds of this process: the differences are small, and other processes come and go."""
    times = []
    for _ in range(5):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def _peak_mebibytes(kind: str) -> float:
    """How much a step adds to the memory of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.guidance_steps", kind]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_guidance_steps(_folder: Path) -> list[Result]:
    """One video of 16 frames on the sprite world's UNet: 32x32 latents for times, 64x64 for memory."""
    step = _Step(_SIDE)
    step.plain()
    step.guided()
    plain, guided, whole = map(_cpu_seconds, (step.plain, step.guided, step.guided_through_the_whole_model))
    spare = _cpu_seconds(lambda: step.guided(checkpointing=True))
    peak = {kind: _peak_mebibytes(kind) for kind in _KINDS}
    memory = "MiB: " + ", ".join(f"{kind} {mebibytes:.0f}" for kind, mebibytes in peak.items())
    more, less = peak["guided"] / peak["plain"], peak["checkpointed"] / peak["guided"]
    times = f"{guided:.2f} s against {plain:.2f} s; checkpointed {spare:.2f} s"
    return [
        Result("guidance iteration, time over a plain step", guided / plain, 1.5, False, "x", times),
        Result("guidance that stops early, speed", whole / guided, 1.0, True, "x", f"{whole:.2f} s through the whole model"),
        Result("guidance iteration, memory over a plain step", more, 4, False, "x", memory),
        Result("guidance with checkpointing, memory of guidance", less, 0.75, False, "x", memory),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    one = _Step(_LARGE_SIDE)
    before = peak_bytes()
    _KINDS[sys.argv[1]](one)
    sys.stdout.write(f"{(peak_bytes() - before) / _MEBIBYTE}\n")
