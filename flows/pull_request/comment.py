"""The verdict as Markdown for a comment. Names and values come from strangers: they appear as code and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from flows.pull_request import MARKER
from flows.pull_request.differences import Difference
from flows.pull_request.freshness import MEND
from flows.pull_request.gate import number
from flows.pull_request.verdict import Verdict

_MOST_ROWS = 40
_MOST_PICTURES = 20
_LONGEST_COMMENT = 60_000


def printable(value: object, longest: int = 80) -> str:
    """A value as one short line: control and direction characters become U+FFFD."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def code(value: object, longest: int = 80) -> str:
    """A value as a code span that holds in a table, too; backticks and pipes become others that look alike."""
    text = printable(value, longest).replace("`", "'").replace("|", "¦")
    return f"`{text}`" if text.strip() else "` `"


def amount(value: object) -> str:
    """A number with six digits, a dash for nothing, anything else as code."""
    if value is None:
        return "–"
    if number(value) is None:
        return code(value)
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else code(text)


def change(item: Difference) -> str:
    """The signed difference of two numbers, or nothing."""
    old, new = number(item.old), number(item.new)
    return "" if old is None or new is None or old == new else f"{new - old:+.6g}"


def comment(verdict: Verdict, before_url: str = "before", after_url: str = "after") -> str:
    """Markdown that begins with `MARKER`.

    Args:
        verdict: what was found.
        before_url: what to put before a figure's path to get its address at the merge base; `{commit}` becomes the commit.
        after_url: the same for the commit that is judged.
    """
    title = "### Pull request check: passed ✅" if verdict.passed else "### Pull request check: failed ❌"
    against = f"{code(verdict.head[:12])} against the merge base {code(verdict.base[:12])}"
    lines = [MARKER, title, "", against, ""]
    lines += [f"- ❌ {code(line, 400)}" for line in (*verdict.mistakes, *verdict.problems)]
    if verdict.stale:
        lines.append(f"- ❌ `dvc.lock` is stale for {_listed(verdict.stale)}: {MEND}")
    elif verdict.stale is not None:
        lines.append("- ✅ `dvc.lock` is fresh")
    lines += [f"- {code(line, 400)}" for line in verdict.remarks]
    lines += [*_metrics(verdict), *_parameters(verdict), *_pictures(verdict, before_url, after_url)]
    return _fit(lines)


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - _MOST_ROWS} more"] if len(names) > _MOST_ROWS else []
    return ", ".join([*map(code, names[:_MOST_ROWS]), *more])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table with a blank line on both sides; nothing without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return []
    left_out = [f"{len(lines) - _MOST_ROWS} more in `verdict.json`", ""] if len(lines) > _MOST_ROWS else []
    return ["", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *lines[:_MOST_ROWS], "", *left_out]


def _folded(summary: str, lines: Sequence[str]) -> list[str]:
    return ["", f"<details><summary>{summary}</summary>", *lines, "</details>", ""] if lines else []


def _metrics(verdict: Verdict) -> list[str]:
    head = ("", "report", "metric", "merge base", "here", "change", "gate")
    rows = [
        (
            "✅" if item.passed else "❌",
            code(item.file),
            code(item.key),
            amount(item.old),
            amount(item.new),
            change(item),
            item.remark or str(item.rule),
        )
        for item in verdict.findings
    ]
    shown = [not item.passed or item.changed for item in verdict.findings]
    failed_first = sorted((row for row, show in zip(rows, shown, strict=True) if show), key=lambda row: row[0] == "✅")
    same = [row for row, show in zip(rows, shown, strict=True) if not show]
    plain_head = ("report", "metric", "merge base", "here", "change")
    plain = [
        (code(item.file), code(item.key), amount(item.old), amount(item.new), change(item))
        for item in verdict.ungated
        if item.changed
    ]
    quiet = sum(not item.changed for item in verdict.ungated)
    return [
        *_table(head, failed_first),
        *_folded(f"{len(same)} gated metrics are as before", _table(head, same)),
        *_folded(f"{len(plain)} metrics changed that are not gated; {quiet} did not", _table(plain_head, plain)),
    ]


def _parameters(verdict: Verdict) -> list[str]:
    rows = [(code(item.file), code(item.key), amount(item.old), amount(item.new)) for item in verdict.parameters]
    return _table(("file", "parameter", "merge base", "here"), rows)


def _pictures(verdict: Verdict, before_url: str, after_url: str) -> list[str]:
    sides = ((before_url, verdict.base), (after_url, verdict.head))
    lines = []
    for picture in verdict.pictures[:_MOST_PICTURES]:
        cells = [
            f"![{side}]({url.replace('{commit}', commit)}/{quote(picture.path)})" if there else "–"
            for side, there, (url, commit) in zip(("before", "after"), (picture.before, picture.after), sides, strict=True)
        ]
        lines += [f"{code(picture.path, 200)}", *_table(("merge base", "here"), [cells])]
    if len(verdict.pictures) > _MOST_PICTURES:
        lines += [f"{len(verdict.pictures) - _MOST_PICTURES} more pictures in `before` and `after`", ""]
    if verdict.charts:
        lines += [f"Charts of both sides, in the folder `charts` of the results: {_listed(verdict.charts)}"]
    return lines


def _fit(lines: Sequence[str]) -> str:
    """The lines, as many as a comment takes."""
    kept: list[str] = []
    length = 0
    for line in lines:
        length += len(line) + 1
        if length > _LONGEST_COMMENT:
            return "\n".join([*kept, "", "Too long for a comment; the rest is in `verdict.json`.", ""])
        kept.append(line)
    return "\n".join([*kept, ""])
