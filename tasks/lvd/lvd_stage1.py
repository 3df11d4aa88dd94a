"""Stage `lvd_stage1`: scores layouts by the LVD benchmark's published rules and by strict ones, beside published scores."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.common import stage
from tasks.common.errors import StageError, UserError
from tasks.common.quarantine import printable
from tasks.common.report_table import Cell, ReportTable, RowGroup, write_table
from tasks.lvd.benchmark_prompts import BenchmarkPrompt, cache_key
from tasks.lvd.expectations import TASKS
from tasks.lvd.layout import read_layouts
from tasks.lvd.prompt_sets import known_prompts
from tasks.lvd.published_scores import DISTINCT_PROMPTS, PROMPTS, PUBLISHED_SCORES, PublishedScore
from tasks.lvd.scoring import MISSING, MODES, Attempt, Mode, Scores, score

PARSER_FOLDER = "slots-parser"
_COLUMNS = (
    "planner",
    "set",
    "prompts",
    "numeracy",
    "attribution",
    "visibility",
    "dynamic",
    "sequential",
    "total",
    "total %",
    "strict",
    "strict %",
    "distinct",
    "distinct passed",
    "distinct strict",
    "source",
)
_NOTE = (
    "Prompts of which the layout shows what they want: by the rules as published for each task and in total, and by strict "
    "rules, which count only what can be seen in the video. Distinct: different prompts, passed if every occurrence is. "
    "lvd is the whole benchmark, 100 prompts per task; paraphrases are 20 per task in other words and of other things. "
    "Published rows were not made by this run: they stand in READMEs. Recounted means that the published rules gave the "
    "same counts on the replies that those projects ship, from which strict and distinct counts were measured as well."
)


@dataclass(frozen=True)
class Paths:
    """Prompts, and layouts as PLANNER/SET.jsonl in; a table for the report and metrics out."""

    prompts: Path
    layouts: Path
    table: Path
    metrics: Path


@dataclass(frozen=True)
class Scored:
    """How the layouts of a planner did on a set of prompts."""

    planner: str
    set: str
    scores: Scores


def score_file(file: Path, prompts: Sequence[BenchmarkPrompt]) -> Scores:
    """Scores the layouts of a file; the k-th of a prompt stands for its k-th occurrence, and what is absent fails."""
    attempts: dict[str, list[Attempt]] = {}
    for layout in read_layouts(file):
        attempts.setdefault(cache_key(layout.prompt), []).append(layout)
    return score(prompts, attempts)


def make_scores(project: Any, paths: Paths) -> stage.Metrics:
    """Scores all layouts whose expectations are known, and writes the table; returns metrics by planner and set."""
    scored, not_scored = [], []
    for file in _layout_files(paths.layouts):
        prompts = known_prompts(file.stem, paths.prompts)
        if prompts is None:
            not_scored.append(f"{file.parent.name}/{printable(file.stem)}")
        else:
            scored.append(Scored(file.parent.name, file.stem, score_file(file, prompts)))
    if not scored and not not_scored:
        raise StageError(f"{paths.layouts}: no layouts in it; run the stage `layouts`")
    write_table(paths.table, _table(scored, project.llm.model))
    metrics: stage.Metrics = {}
    for item in scored:
        metrics.setdefault(item.planner, {})[item.set] = _metrics(item.scores)
    return {**metrics, "not_scored": not_scored}


def _layout_files(folder: Path) -> Iterator[Path]:
    """PLANNER/SET.jsonl in the order of names; raises UserError at a planner whose name cannot be shown as it is."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; the stage `layouts` makes it")
    for file in sorted(folder.glob("*/*.jsonl")):
        planner = file.parent.name
        if planner == "not_scored" or printable(planner) != planner:
            shown = printable(str(file.parent))
            raise UserError(f"{shown}: cannot be a planner's name; rename the folder, such as to slots-parser")
        yield file


def _metrics(scores: Scores) -> dict[str, Any]:
    prompts, distinct = scores.prompts(), scores.distinct_prompts()
    problems = [verdict.problem for verdict in scores.verdicts if verdict.problem]
    return {
        "prompts": prompts["total"],
        **{mode: _counts(scores, mode) for mode in MODES},
        "distinct_prompts": distinct["total"],
        **{f"distinct_{mode}": scores.distinct_counts(mode)["total"] for mode in MODES},
        "failed_plans": problems.count(MISSING),
        "too_short": len(problems) - problems.count(MISSING),
        "not_asked_for": sum(scores.unused.values()),
        "out_of_frame": scores.hygiene.out_of_frame,
        "overlapping": scores.hygiene.overlapping,
    }


def _counts(scores: Scores, mode: Mode) -> dict[str, Any]:
    """Passes for each task that is asked for, in total, and as a share."""
    prompts, passed = scores.prompts(), scores.counts(mode)
    return {**{task: passed[task] for task in passed if prompts[task]}, "share": passed["total"] / prompts["total"]}


def _table(scored: Sequence[Scored], model: str) -> ReportTable:
    measured, published = [_measured_row(item, model) for item in scored], [_published_row(row) for row in PUBLISHED_SCORES]
    return ReportTable(
        title="LVD benchmark, stage 1: layouts",
        note=_NOTE,
        columns=_COLUMNS,
        rows=(*measured, *published),
        groups=tuple(
            RowGroup(title=title, rows=len(rows))
            for title, rows in (("measured in this run", measured), ("published", published))
            if rows
        ),
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1)


def _measured_row(item: Scored, model: str) -> tuple[Cell, ...]:
    prompts, distinct = item.scores.prompts(), item.scores.distinct_prompts()
    passed, strict = (item.scores.counts(mode) for mode in MODES)
    return (
        item.planner,
        item.set,
        prompts["total"],
        *(passed[task] if prompts[task] else None for task in TASKS),
        passed["total"],
        _percent(passed["total"], prompts["total"]),
        strict["total"],
        _percent(strict["total"], prompts["total"]),
        distinct["total"],
        *(item.scores.distinct_counts(mode)["total"] for mode in MODES),
        "this run" if item.planner == PARSER_FOLDER else f"this run, {model}",
    )


def _published_row(row: PublishedScore) -> tuple[Cell, ...]:
    return (
        row.planner,
        "lvd",
        PROMPTS,
        *row.passed,
        row.total,
        _percent(row.total, PROMPTS),
        row.strict_total,
        None if row.strict_total is None else _percent(row.strict_total, PROMPTS),
        DISTINCT_PROMPTS,
        *row.distinct,
        f"published: {row.source}{', recounted' if row.recounted else ''}",
    )


if __name__ == "__main__":
    sys.exit(stage.main("lvd_stage1", Paths, make_scores))
