"""One batch of video requests to MP4 files, each with its provenance.

The last bits of a video depend on how many are denoised at once. So a batch is what a part in the store is made of, and its
key is that of all its requests. Videos of a batch that are finished, enlarged if they are to be, are kept one by one in a
folder of that key: after a kill the batch is denoised again as a whole, but what was enlarged and written stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils import logging as transformers_logging

from tasks.common.device_memory import within_memory
from tasks.common.devices import select_device
from tasks.common.files import link_or_copy, write_json
from tasks.common.parameters import Compute
from tasks.common.prefetch import batches
from tasks.common.provenance import digest
from tasks.common.quarantine import Quarantine
from tasks.common.shard_stage import QUARANTINE_FILE
from tasks.igligen.adapter_files import load_adapters
from tasks.lvd.grounded_pipeline import GroundedTextToVideoPipeline, VideoReport
from tasks.lvd.grounding import Method, grounding_of
from tasks.lvd.pipeline_loading import load_pipeline
from tasks.lvd.upsampling import Upsampling, upsample
from tasks.lvd.video_errors import VideoError
from tasks.lvd.video_requests import VideoRequest
from tasks.lvd.video_settings import VideoSettings
from tasks.video.mp4 import write_mp4


class VideosJob(NamedTuple):
    """What a worker needs for one batch.

    Attributes:
        requests: the videos.
        method: how they are made.
        settings: everything else that decides them.
        adapters: file, folder or hub id of adapters, None if the method has none.
        compute: where models run.
        made: what the provenance of each video begins with.
        kept: folder of this batch's finished videos, where a run before this one may have left some.
    """

    requests: tuple[VideoRequest, ...]
    method: Method
    settings: VideoSettings
    adapters: str | None
    compute: Compute
    made: dict[str, Any]
    kept: Path


@dataclass
class Batch:
    """What came of a batch: frames [F, H, W, 3] and a report of each video, and why others could not be made."""

    made: list[tuple[VideoRequest, NDArray[np.uint8], VideoReport]]
    bad: list[tuple[VideoRequest, VideoError]]


@lru_cache(maxsize=2)
def load_video_model(
    checkpoint: str, revision: str | None, scheduler: str, adapters: str | None, compute: Compute
) -> GroundedTextToVideoPipeline:
    """The model with its adapters, once per worker."""
    device, dtype = select_device(compute)
    transformers_logging.disable_progress_bar()
    pipeline = load_pipeline(checkpoint, revision, device, dtype, scheduler)
    if adapters is not None:
        load_adapters(pipeline.unet, adapters)
    return pipeline


def generate_videos(job: VideosJob, folder: Path) -> dict[str, Any]:
    """Writes NAME.mp4 and NAME.provenance.json of each video and `quarantine.jsonl`; returns the videos and counts.

    Raises:
        StageError: the memory of the device does not suffice for half of the batch.
        UserError: a checkpoint, the device or a setting is not usable.
    """
    settings = job.settings
    pipeline = load_video_model(settings.model, settings.revision, settings.scheduler, job.adapters, job.compute)
    batch = make_within_memory(pipeline, job.requests, job.method, settings)
    quarantine = Quarantine()
    for request, error in batch.bad:
        quarantine.add(f"{request.name} {request.prompt}", error.reason, error.detail)
    videos = []
    for request, small_FHWC, report in batch.made:
        entry = _index_entry(request, job)
        finished = job.kept / entry["file"]
        if not finished.is_file():
            frames_FHWC = _enlarged(small_FHWC, report.prompt, request.seed, job)
            write_mp4(frames_FHWC, finished, settings.frames_per_second)
        link_or_copy(finished, folder / entry["file"])
        layout = request.layout and digest(request.layout.model_dump(mode="json"))
        provenance = {**job.made, **entry, "text": report.prompt, "inputs": {"layout": layout}}
        write_json(folder / f"{request.name}.provenance.json", provenance)
        videos.append({"entry": entry, "report": _counts(report)})
    quarantine.write(folder / QUARANTINE_FILE)
    return {"videos": videos, "counts": {"videos": len(videos)}, "quarantined": dict(quarantine.reasons)}


def make_within_memory(
    pipeline: GroundedTextToVideoPipeline, requests: Sequence[VideoRequest], method: Method, settings: VideoSettings
) -> Batch:
    """Makes a batch; if the device's memory does not suffice, makes it once more in two halves.

    Raises:
        StageError: a half does not fit either; says how much was needed.
    """

    def work(size: int) -> Batch:
        parts = [make_batch(pipeline, some, method, settings) for some in batches(requests, size)]
        return Batch([made for part in parts for made in part.made], [bad for part in parts for bad in part.bad])

    what = f"x {settings.frames} frames of {settings.width}x{settings.height}"
    advice = "lower lvd_generate.batch, frames or sides, set guidance.checkpointing, or compute.dtype to float16"
    return within_memory(work, len(requests), what, advice)


def make_batch(
    pipeline: GroundedTextToVideoPipeline, requests: Sequence[VideoRequest], method: Method, settings: VideoSettings
) -> Batch:
    """The videos of a batch; those that cannot be made are taken out, and the others made without them."""
    waiting, bad = list(requests), []
    while waiting:
        try:
            videos = pipeline(
                [request.prompt for request in waiting],
                [grounding_of(request.layout, settings.frames) if request.layout else None for request in waiting],
                method, negative_prompt=settings.negative_prompt, num_frames=settings.frames, height=settings.height,
                width=settings.width, num_inference_steps=settings.steps, guidance_scale=settings.guidance_scale,
                beta=settings.beta, guidance=settings.guidance,
                generator=[torch.Generator().manual_seed(request.seed) for request in waiting],
            )  # fmt: skip
        except VideoError as error:
            bad.append((waiting.pop(error.index), error))
        else:
            return Batch(list(zip(waiting, _to_bytes(videos.frames), videos.reports, strict=True)), bad)
    return Batch([], bad)


def _to_bytes(frames: Any) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = (frames * 255).round().astype(np.uint8)
    return levels


def _enlarged(frames_FHWC: NDArray[np.uint8], prompt: str, seed: int, job: VideosJob) -> NDArray[np.uint8]:
    settings = job.settings
    if settings.upsampler is None:
        return frames_FHWC
    upsampler = load_video_model(settings.upsampler, settings.upsampler_revision, settings.scheduler, None, job.compute)
    given = Upsampling(
        settings.upsample_width, settings.upsample_height, settings.upsample_strength, settings.upsample_steps,
        settings.upsample_guidance_scale, settings.upsample_negative_prompt,
    )  # fmt: skip
    what = f"x {len(frames_FHWC)} frames of {given.width}x{given.height}"
    advice = "lower lvd_generate.frames, upsample_width and upsample_height, or set compute.dtype to float16"

    def work(_size: int) -> NDArray[np.float32]:
        return upsample(frames_FHWC, prompt, upsampler, given, torch.Generator().manual_seed(seed))

    return _to_bytes(within_memory(work, 1, what, advice))


def _index_entry(request: VideoRequest, job: VideosJob) -> dict[str, Any]:
    settings = job.settings
    is_enlarged = settings.upsampler is not None
    return {
        "file": f"{request.name}.mp4",
        "prompt_index": request.prompt_index,
        "prompt": request.prompt,
        "prompt_set": request.prompt_set,
        "task": request.task,
        "repeat": request.repeat,
        "seed": request.seed,
        "method": job.method,
        "frames": settings.frames,
        "width": settings.upsample_width if is_enlarged else settings.width,
        "height": settings.upsample_height if is_enlarged else settings.height,
    }


def _counts(report: VideoReport) -> dict[str, Any]:
    return {
        "iterations": report.guidance.iterations,
        "energies": report.guidance.mean_energies(),
        "slots_dropped": report.slots_dropped,
        "prompt_cut": report.prompt_cut,
    }
