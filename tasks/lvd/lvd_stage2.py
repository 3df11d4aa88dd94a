"""Stage `lvd_stage2`: generated videos, scored by the LVD benchmark's rules through a detector (specs/lvd.md 5)."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.parquet as parquet
from pydantic import Field

from tasks.common import stage
from tasks.common.files import complete, write_json
from tasks.common.parameters import Compute, Section
from tasks.common.provenance import checkpoint_identity, made_by
from tasks.common.quarantine import Quarantine, check_bad_share, write_quarantine
from tasks.common.report_table import write_table
from tasks.lvd.method_scores import MethodScores, gap_to, metrics_of, stage2_table
from tasks.lvd.prompt_sets import known_prompts
from tasks.lvd.scoring import SetAside
from tasks.lvd.video_index import METHODS, method_folders, read_index
from tasks.lvd.video_requests import layout_file

if TYPE_CHECKING:
    from tasks.lvd.video_detector import VideoDetector
    from tasks.lvd.video_judging import Judged, Video

_OF_THE_INDEX = ("method", "prompt_set", "prompt_index", "prompt", "repeat", "seed")
_SCHEMA = pyarrow.schema(
    [
        ("method", pyarrow.string()),
        ("prompt_set", pyarrow.string()),
        ("prompt_index", pyarrow.int64()),
        ("task", pyarrow.string()),
        ("prompt", pyarrow.string()),
        ("repeat", pyarrow.int64()),
        ("seed", pyarrow.uint64()),
        ("compatible", pyarrow.bool_()),
        ("strict", pyarrow.bool_()),
        ("problem", pyarrow.string()),
        ("detections", pyarrow.int64()),
        ("layout_iou", pyarrow.float64()),
    ]
)


class Parameters(Section):
    """Which detector judges videos, and which of its boxes count."""

    detector: str = Field(min_length=1, description="OWL-ViT or GroundingDINO checkpoint: a folder or a hub id")
    revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    resolution: int = Field(ge=32, le=2048, description="frames are stretched to this many pixels a side; 768 for OWL-ViT")
    threshold: float = Field(gt=0, lt=1, description="least score of a box; 0.1 as published")
    nms_threshold: float = Field(gt=0, le=1, description="IoU with a better box at which a box goes; 0.1 as published")
    class_aware: bool = Field(description="whether only boxes of the same query suppress each other; true as published")
    batch: int = Field(ge=1, le=1024, description="frames per model call")
    max_bad_fraction: float = Field(ge=0, le=1, description="share of unusable videos at which the stage fails")
    preview_prompts: int = Field(ge=0, le=20, description="prompts drawn, in turn from each task")


@dataclass(frozen=True)
class Paths:
    """Videos as METHOD/index.jsonl with their files, layouts and prompts in; verdicts, a table, figures and metrics out."""

    videos: Path
    layouts: Path
    prompts: Path
    verdicts: Path
    quarantine: Path
    provenance: Path
    table: Path
    figure: Path
    animation: Path
    metrics: Path


def _videos(paths: Paths, planner: str, not_scored: Counter[str]) -> list[Video]:
    """All videos of all methods of which is known what they should show; the others are counted by set."""
    from tasks.lvd.video_judging import Video, layouts_by_index

    sets: dict[str, Any] = {}
    videos = []
    for folder in method_folders(paths.videos):
        for record in read_index(folder):
            name = record.prompt_set
            if name not in sets:
                known = known_prompts(name, paths.prompts)
                layouts = layouts_by_index(layout_file(paths.layouts, planner, name), known or ())
                sets[name] = None if known is None else ({prompt.index: prompt for prompt in known}, layouts)
            if sets[name] is None or record.prompt_index not in sets[name][0]:
                not_scored[name] += 1
                continue
            prompts, layouts = sets[name]
            index = record.prompt_index
            videos.append(Video(record, folder / record.file, prompts[index], layouts.get(index)))
    return videos


def _not_listed(videos: Path) -> int:
    """How many files lie beside an index that does not name them; they are not judged."""
    listed = {folder: {record.file for record in read_index(folder)} for folder in method_folders(videos)}
    return sum(len({file.name for file in folder.glob("*.mp4")} - names) for folder, names in listed.items())


def _open_detector(parameters: Parameters, compute: Compute) -> VideoDetector:
    from tasks.common.devices import select_device
    from tasks.lvd.video_detector import open_video_detector

    device, dtype = select_device(compute)
    place = (parameters.detector, parameters.revision)
    return open_video_detector(*place, device, dtype, parameters.resolution, parameters.batch)


def _set_aside(judged: Sequence[Judged], most: float, target: Path) -> None:
    quarantine = Quarantine()
    for video, seen in judged:
        if isinstance(seen, SetAside):
            quarantine.add(f"{video.record.method}/{video.record.file}", seen.reason, seen.detail)
    write_quarantine(quarantine.lines, target)
    check_bad_share(len(quarantine.lines), len(judged), most, target)


def _write_verdicts(scores: Sequence[MethodScores], target: Path) -> None:
    rows = []
    for method in scores:
        for (video, seen), verdict in zip(method.judged, method.scores.verdicts, strict=True):
            rows.append(
                {
                    **{name: getattr(video.record, name) for name in _OF_THE_INDEX},
                    "task": video.prompt.task,
                    "compatible": verdict.compatible,
                    "strict": verdict.strict,
                    "problem": verdict.problem,
                    "detections": 0 if isinstance(seen, SetAside) else seen.detections,
                    "layout_iou": None if isinstance(seen, SetAside) else seen.layout_iou,
                }
            )
    with complete(target) as path:
        parquet.write_table(pyarrow.Table.from_pylist(rows, _SCHEMA), path)


def make_scores(project: Any, paths: Paths) -> stage.Metrics:
    """Judges all videos, and writes verdicts, the table and the figures; returns metrics by method."""
    from tasks.lvd.method_figure import save_method_figures
    from tasks.lvd.video_judging import Judging, judge_videos, score_videos

    parameters: Parameters = project.lvd_stage2
    not_scored: Counter[str] = Counter()
    videos = _videos(paths, project.layouts.planners[0], not_scored)
    detector = _open_detector(parameters, project.compute)
    judging = Judging(parameters.threshold, parameters.nms_threshold, parameters.class_aware)
    judged = judge_videos(videos, detector, judging)
    _set_aside(judged, parameters.max_bad_fraction, paths.quarantine)
    groups = itertools.groupby(judged, key=lambda item: item[0].record.method)
    parts = {method: list(items) for method, items in groups}
    scores = [MethodScores(method, items, score_videos(items)) for method, items in parts.items()]
    _write_verdicts(scores, paths.verdicts)
    baseline = next((item for item in scores if item.method == METHODS[0]), None)
    gaps = {item.method: gap_to(item, baseline) for item in scores}
    write_table(paths.table, stage2_table(scores, gaps))
    save_method_figures(scores, parameters.preview_prompts, paths.figure, paths.animation)
    checkpoint = checkpoint_identity(parameters.detector, parameters.revision)
    compute = {"device": project.compute.device, "dtype": project.compute.dtype}
    made = made_by("tasks.lvd.lvd_stage2", parameters.model_dump(), checkpoint=checkpoint, **compute)
    write_json(paths.provenance, made)
    measured = {item.method: metrics_of(item, gaps[item.method]) for item in scores}
    return {"methods": measured, "not_scored": dict(sorted(not_scored.items())), "not_listed": _not_listed(paths.videos)}


if __name__ == "__main__":
    sys.exit(stage.main("lvd_stage2", Paths, make_scores))
