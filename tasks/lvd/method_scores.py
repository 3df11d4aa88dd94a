"""How methods of video generation did: shares, gaps to the baseline, and the table beside published rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.common.report_table import Cell, ReportTable, RowGroup
from tasks.lvd.expectations import TASKS
from tasks.lvd.published_scores import PROMPTS, PUBLISHED_VIDEO_SCORES, PUBLISHED_VIDEOS, PublishedVideoScore
from tasks.lvd.scoring import MODES, Mode, Scores, SetAside

if TYPE_CHECKING:
    from tasks.lvd.video_judging import Judged

_COLUMNS = (
    "method",
    "videos",
    "seeds",
    "numeracy %",
    "attribution %",
    "visibility %",
    "dynamic %",
    "sequential %",
    "total %",
    "points over baseline",
    "±",
    "strict %",
    "points over baseline, strict",
    "±",
    "layout IoU",
    "source",
)
_NOTE = (
    "Videos that show what their prompt wants, as an open-vocabulary detector sees it in six frames: by the rules as "
    "published for each task and in total, and by strict rules. Seeds: how many videos of each prompt, each from other "
    "noise. Points over baseline: percentage points more than the baseline has on the same prompts and seeds, with the "
    "standard error of that difference. Layout IoU: mean overlap of the boxes that the layout asks for with what was "
    "detected; a method that sees no layout shows what chance gives. Videos that cannot be read fail. Published rows were "
    "not made by this run: they are of other models, other videos and another detector, with points over their own base "
    "model, ModelScope."
)


@dataclass(frozen=True)
class MethodScores:
    """A method's videos with what was seen in them, and their verdicts in the same order."""

    method: str
    judged: Sequence[Judged]
    scores: Scores

    def layout_iou(self) -> float | None:
        """Mean over the videos of which it is known; None without any."""
        known = [seen.layout_iou for _, seen in self.judged if not isinstance(seen, SetAside)]
        values = [value for value in known if value is not None]
        return float(np.mean(values)) if values else None

    def seeds_per_prompt(self) -> int | str:
        """How many videos there are of each prompt; the least and the most if prompts differ in that."""
        counts = Counter((video.record.prompt_set, video.record.prompt_index) for video, _ in self.judged).values()
        least, most = min(counts), max(counts)
        return most if least == most else f"{least}-{most}"

    def passes(self, mode: Mode) -> dict[tuple[str, int, int], bool]:
        """Whether the video of (set, index, repeat) passes."""
        keys = [(item.prompt_set, item.prompt_index, item.repeat) for item in (video.record for video, _ in self.judged)]
        return {key: verdict.passed(mode) for key, verdict in zip(keys, self.scores.verdicts, strict=True)}


@dataclass(frozen=True)
class Gap:
    """Percentage points more than the baseline on the same prompts and seeds, and the standard error of that."""

    points: float
    error: float
    videos: int


Gaps = dict[Mode, Gap] | None


def gap_to(item: MethodScores, baseline: MethodScores | None) -> Gaps:
    """How much better a method is than the baseline; None for the baseline, without one, or without videos in common."""
    if baseline is None or baseline.method == item.method:
        return None
    gaps: dict[Mode, Gap] = {}
    for mode in MODES:
        mine, theirs = item.passes(mode), baseline.passes(mode)
        differences = np.array([100.0 * (mine[key] - theirs[key]) for key in mine if key in theirs])
        if not len(differences):
            return None
        error = float(differences.std() / np.sqrt(len(differences)))
        gaps[mode] = Gap(float(differences.mean()), error, len(differences))
    return gaps


def metrics_of(item: MethodScores, gaps: Gaps) -> dict[str, Any]:
    """Counts, the first and the last seed, and shares of a method by both sets of rules."""
    problems = Counter(seen.reason for _, seen in item.judged if isinstance(seen, SetAside))
    seeds = [video.record.seed for video, _ in item.judged]
    return {
        "videos": len(item.judged),
        "seeds": [min(seeds), max(seeds)],
        "videos_by_task": {task: number for task, number in item.scores.prompts().items() if number and task != "total"},
        **{mode: _shares(item, mode) for mode in MODES},
        "gap_to_baseline": {mode: vars(gap) for mode, gap in gaps.items()} if gaps else None,
        "layout_iou": item.layout_iou(),
        "detections": sum(seen.detections for _, seen in item.judged if not isinstance(seen, SetAside)),
        "quarantined": dict(sorted(problems.items())),
    }


def _shares(item: MethodScores, mode: Mode) -> dict[str, Any]:
    """Passes by task and in all, the share of each, and the share of each repeat: as many seeds."""
    asked, passed = item.scores.prompts(), item.scores.counts(mode)
    by_repeat: dict[int, list[bool]] = {}
    for (_, _, repeat), good in item.passes(mode).items():
        by_repeat.setdefault(repeat, []).append(good)
    return {
        "passed": {task: passed[task] for task in passed if asked[task]},
        "share": {task: passed[task] / asked[task] for task in passed if asked[task]},
        "share_by_repeat": {str(repeat): float(np.mean(by_repeat[repeat])) for repeat in sorted(by_repeat)},
    }


def stage2_table(scores: Sequence[MethodScores], gaps: Mapping[str, Gaps]) -> ReportTable:
    """Methods by tasks, with the published rows below."""
    measured = [_measured_row(item, gaps[item.method]) for item in scores]
    published = [_published_row(row) for row in PUBLISHED_VIDEO_SCORES]
    groups = (("measured in this run", measured), ("published", published))
    return ReportTable(
        title="LVD benchmark, stage 2: videos",
        note=_NOTE,
        columns=_COLUMNS,
        rows=(*measured, *published),
        groups=tuple(RowGroup(title=title, rows=len(rows)) for title, rows in groups if rows),
    )


def _percent(passed: int, asked: int) -> float | None:
    return round(100 * passed / asked, 1) if asked else None


def _measured_row(item: MethodScores, gaps: Gaps) -> tuple[Cell, ...]:
    asked, (passed, strict) = item.scores.prompts(), (item.scores.counts(mode) for mode in MODES)
    cells: dict[Mode, tuple[Cell, Cell]] = {
        mode: (round(gaps[mode].points, 1), round(gaps[mode].error, 1)) if gaps else (None, None) for mode in MODES
    }
    iou = item.layout_iou()
    return (
        item.method,
        asked["total"],
        item.seeds_per_prompt(),
        *(_percent(passed[task], asked[task]) for task in (*TASKS, "total")),
        *cells["compatible"],
        _percent(strict["total"], asked["total"]),
        *cells["strict"],
        None if iou is None else round(iou, 3),
        "this run",
    )


def _published_row(row: PublishedVideoScore) -> tuple[Cell, ...]:
    base = PUBLISHED_VIDEO_SCORES[0]
    gap = None if row is base else round(row.overall - base.overall, 1)
    percent = tuple(float(value) for value in row.percent)
    seeds = PUBLISHED_VIDEOS // PROMPTS
    return (row.method, PUBLISHED_VIDEOS, seeds, *percent, row.overall, gap, *[None] * 5, f"published: {row.source}")
