"""Metrics in the tree, and how they differ from those of a commit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from flows.errors import RunError
from flows.git import git

Value = int | float | str | bool | None


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Value]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}", inner)
    elif isinstance(value, list):
        yield prefix, json.dumps(value)
    else:
        yield prefix, value


def _parse(path: str, text: str) -> dict[str, Value]:
    try:
        return dict(_flat(Path(path).stem, json.loads(text)))
    except ValueError:
        return {Path(path).stem: "not JSON"}


def read_metrics(root: Path, files: Iterable[str]) -> dict[str, Value]:
    """All numbers of the metric files that are there, by dotted name: `boxes.precision`."""
    found: dict[str, Value] = {}
    for path in files:
        if (root / path).is_file():
            found |= _parse(path, (root / path).read_text(encoding="utf-8"))
    return found


def changed_metrics(root: Path, files: Iterable[str], commit: str) -> dict[str, tuple[Value, Value]]:
    """Metrics whose value in the tree differs from the one in `commit`: (before, after); None where there is none."""
    files = list(files)
    before: dict[str, Value] = {}
    for path in files:
        try:
            before |= _parse(path, git(root, "show", f"{commit}:{path}"))
        except RunError:
            continue
    after = read_metrics(root, files)
    names = [*before, *(name for name in after if name not in before)]
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}
