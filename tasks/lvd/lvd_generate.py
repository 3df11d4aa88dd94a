"""Stage `lvd_generate`: videos of prompts by one method, which the name of the output folder says."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.common import stage
from tasks.common.errors import UserError
from tasks.common.files import complete, link_or_copy
from tasks.common.parameters import Compute
from tasks.common.provenance import checkpoint_identity, digest, made_by, path_sha256
from tasks.common.quarantine import check_bad_share
from tasks.common.shard_engine import Job, run_jobs
from tasks.common.shard_stage import MappedFiles
from tasks.lvd.prompt_sets import SET_NAME
from tasks.lvd.video_requests import VideoRequest, layout_file, video_requests
from tasks.lvd.video_settings import VideoSettings

if TYPE_CHECKING:
    from tasks.lvd.grounding import Method

_WORK = "tasks.lvd.generate_videos"


class Parameters(VideoSettings):
    """Which videos are made, and how."""

    prompts: str = Field(pattern=SET_NAME, description="lvd or a part of it, or the name of a file in data/prompts")
    prompts_per_task: int | None = Field(ge=1, le=10_000, description="different prompts of each task; null for all prompts")
    repeats: int = Field(ge=1, le=1000, description="videos of each prompt")
    seed_offset: int = Field(ge=0, le=2**62, description="added to the seed of each video")
    batch: int = Field(ge=1, le=256, description="videos at once; changes them by rounding only")
    max_bad_fraction: float = Field(ge=0, le=1, description="share of videos that cannot be made, at most")
    preview_videos: int = Field(ge=1, le=100, description="videos on the contact sheet")


@dataclass(frozen=True)
class Paths:
    """Prompts, layouts, adapters in; videos, quarantine list, provenance, contact sheet and metrics out.

    The last part of `out` is the method: baseline, guidance, adapters or adapters+guidance.
    """

    prompts: Path
    layouts: Path
    adapters: Path
    out: Path
    quarantine: Path
    provenance: Path
    figure: Path
    metrics: Path
    parts: Path


def _method_of(out: Path) -> Method:
    from tasks.lvd.grounding import METHODS

    for method in METHODS:
        if out.name == method:
            return method
    raise UserError(f"--out {out}: its last part must be the method, one of {', '.join(METHODS)}")


def _made(project: Any, method: Method, adapters: str | None) -> dict[str, Any]:
    """All that decides a video besides its request."""
    from tasks.lvd.grounding import uses_guidance

    parameters: Parameters = project.lvd_generate
    checkpoints = {"model": checkpoint_identity(parameters.model, parameters.revision)}
    if adapters is not None:
        here = Path(adapters).exists()
        checkpoints["adapters"] = path_sha256(Path(adapters)) if here else checkpoint_identity(adapters, None)
    if parameters.upsampler is not None:
        checkpoints["upsampler"] = checkpoint_identity(parameters.upsampler, parameters.upsampler_revision)
    settings = parameters.deciding(guidance=uses_guidance(method), adapters=adapters is not None)
    made = made_by(_WORK, settings, method=method, checkpoints=checkpoints, device=project.compute.device)
    return {**made, "stage": "tasks.lvd.lvd_generate", "dtype": project.compute.dtype}


def _decided_by(request: VideoRequest) -> dict[str, Any]:
    return {**vars(request), "layout": request.layout and request.layout.model_dump(mode="json")}


def _generate(project: Any, requests: Sequence[VideoRequest], method: Method, paths: Paths) -> MappedFiles:
    from tasks.lvd.generate_videos import VideosJob, generate_videos
    from tasks.lvd.grounding import uses_adapters

    parameters: Parameters = project.lvd_generate
    compute: Compute = project.compute
    adapters = str(paths.adapters) if uses_adapters(method) else None
    made = _made(project, method, adapters)
    settings = VideoSettings.model_construct(**{name: getattr(parameters, name) for name in VideoSettings.model_fields})
    jobs = []
    for start in range(0, len(requests), parameters.batch):
        some = tuple(requests[start : start + parameters.batch])
        if method == "baseline":
            some = tuple(replace(request, layout=None) for request in some)
        key = digest([made, [_decided_by(request) for request in some]])
        kept = paths.parts / method / f"videos-{key}"  # as long as not all batches are finished
        jobs.append(Job(some[0].name, key, VideosJob(some, method, settings, adapters, compute, made, kept)))
    parts = run_jobs(jobs, generate_videos, paths.parts / method, compute, "batches of videos")
    inputs = {"layouts": digest([request.layout and request.layout.model_dump(mode="json") for request in requests])}
    return MappedFiles(parts, {**made, "inputs": inputs})


def _link(mapped: MappedFiles, out: Path) -> None:
    with complete(out, folder=True) as folder:
        lines = []
        for part in mapped.parts:
            for video in part.statistics["videos"]:
                file = Path(video["entry"]["file"])
                for name in (file, file.with_suffix(".provenance.json")):
                    link_or_copy(part.folder / name, folder / name)
                lines.append(json.dumps(video["entry"], ensure_ascii=False) + "\n")
        (folder / "index.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")


def _draw(mapped: MappedFiles, requests: Sequence[VideoRequest], count: int, target: Path) -> None:
    from tasks.lvd.video_sheet import save_video_sheet, video_tiles
    from tasks.video.mp4 import read_mp4

    files = [part.folder / video["entry"]["file"] for part in mapped.parts for video in part.statistics["videos"]]
    few = min(count, len(files))
    by_name = {request.name: request for request in requests}
    rows = []
    for file in (files[number * len(files) // few] for number in range(few)):
        request = by_name[file.stem]
        rows.append(video_tiles(read_mp4(file), request.prompt, request.layout))
    save_video_sheet(rows, target)


def _metrics(mapped: MappedFiles, asked: int) -> stage.Metrics:
    """`energy_before` and `energy_after`: the first and the last energy of a step, mean over guided steps and videos."""
    reports = [video["report"] for part in mapped.parts for video in part.statistics["videos"]]
    energies = [report["energies"] for report in reports if report["energies"] is not None]
    means = dict(zip(("energy_before", "energy_after"), np.mean(energies, axis=0).tolist(), strict=True)) if energies else {}
    return {
        "videos": len(reports),
        "quarantined": asked - len(reports),
        "quarantined_by_reason": dict(sorted(mapped.sum_of("quarantined").items())),
        "guidance_iterations": sum(report["iterations"] for report in reports) / max(1, len(reports)),
        **means,
        "adapter_slots_dropped": sum(report["slots_dropped"] for report in reports),
        "prompts_cut": sum(report["prompt_cut"] for report in reports),
    }


def make_videos(project: Any, paths: Paths) -> stage.Metrics:
    """Makes the videos of one method, links them into the output, and draws some of them with the boxes asked for."""
    parameters: Parameters = project.lvd_generate
    method = _method_of(paths.out)
    layouts = layout_file(paths.layouts, project.layouts.planners[0], parameters.prompts)
    requests = video_requests(
        parameters.prompts, paths.prompts, layouts, parameters.prompts_per_task, parameters.repeats, parameters.seed_offset
    )
    mapped = _generate(project, requests, method, paths)
    mapped.write_records(paths.quarantine, paths.provenance)
    made = mapped.sum_of("counts")["videos"]
    check_bad_share(len(requests) - made, len(requests), parameters.max_bad_fraction, paths.quarantine)
    _link(mapped, paths.out)
    _draw(mapped, requests, parameters.preview_videos, paths.figure)
    return _metrics(mapped, len(requests))


if __name__ == "__main__":
    sys.exit(stage.main("lvd_generate", Paths, make_videos))
