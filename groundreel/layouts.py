"""What `groundreel lvd score` and `groundreel import layouts` print."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from tasks.common.errors import UserError
from tasks.common.files import remove, write_text
from tasks.common.quarantine import printable
from tasks.lvd.benchmark_prompts import benchmark_prompts, cache_key
from tasks.lvd.layout import read_layouts, write_layouts
from tasks.lvd.original_replies import read_original_replies
from tasks.lvd.scoring import MODES, Attempt, Scores, score


def score_replies(path: Path) -> Scores:
    """Scores the replies in a cache file of the original project."""
    return score(benchmark_prompts(), read_original_replies(path).attempts)


def score_layouts(path: Path) -> Scores:
    """Scores a file of layouts; the only layout of a prompt serves all its occurrences."""
    attempts: dict[str, list[Attempt]] = {}
    for layout in read_layouts(path):
        attempts.setdefault(cache_key(layout.prompt), []).append(layout)
    return score(benchmark_prompts(), attempts, one_serves_all=True)


def print_scores(scores: Scores, path: Path, as_json: bool) -> None:
    """The counts on standard output; what was missing, unreadable or not asked for on standard error."""
    for (problem, prompt), times in scores.problems().items():
        click.echo(f"groundreel: counted as failed, {times}x {printable(problem)}: {prompt}", err=True)
    if scores.unused:
        number = sum(scores.unused.values())
        example = printable(next(iter(scores.unused)), 80)
        click.echo(f"groundreel: {path}: {number} entries that the benchmark does not ask for, such as: {example}", err=True)
    if as_json:
        click.echo(json.dumps({mode: scores.counts(mode) for mode in MODES}))
        return
    totals, distinct = scores.prompts(), scores.distinct_prompts()
    click.echo(f"{'':16}{'prompts':>9}{'compatible':>12}{'strict':>8}{'distinct':>11}{'compatible':>12}{'strict':>8}")
    columns = [totals, *map(scores.counts, MODES), distinct, *map(scores.distinct_counts, MODES)]
    for row in totals:
        cells = [f"{column[row]:>{width}}" for column, width in zip(columns, (9, 12, 8, 11, 12, 8), strict=True)]
        click.echo(f"{row:16}{''.join(cells)}")
    found = scores.hygiene
    click.echo(
        f"\nof {found.layouts} layouts: {found.out_of_frame} leave the canvas, {found.off_canvas} have a box wholly "
        f"outside, {found.overlapping} have overlapping boxes; {found.zero_size_boxes} boxes have no size"
    )


def import_layouts(path: Path, out: Path) -> None:
    """Writes the layouts of an original cache file; what was cut or set aside goes to `OUT.quarantine.jsonl`."""
    if out.resolve() == path.resolve():
        raise UserError(f"{out}: is the file to import; name another one after --out")
    replies = read_original_replies(path)
    layouts, quarantine = replies.layouts(), replies.quarantine()
    aside = out.with_name(f"{out.name}.quarantine.jsonl")
    if not layouts:
        reasons = _described(quarantine.reasons) or "it has no replies"
        raise UserError(f"{path}: nothing to take over ({reasons}); expected a reply cache of the original project")
    write_layouts(out, layouts)
    click.echo(f"{out}: {len(layouts)} layouts")
    if quarantine.lines:
        write_text(aside, "".join(line + "\n" for line in quarantine.lines))
        click.echo(f"{aside}: {_described(quarantine.reasons)}")
    else:
        remove(aside)


def _described(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
