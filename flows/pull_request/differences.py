"""Metrics and parameters here and at the merge base, as DVC compares them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from flows.errors import RunError
from flows.pull_request.dvc_command import dvc_json


class Difference(BaseModel):
    """A metric or parameter on both sides; `None` where there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    key: str
    old: JsonValue = None
    new: JsonValue = None

    @property
    def changed(self) -> bool:
        """Whether the two sides differ; not a number is the same as not a number."""
        return self.old != self.new and not (self.old != self.old and self.new != self.new)


def differences(root: Path, kind: Literal["metrics", "params"], base: str) -> tuple[list[Difference], str]:
    """What DVC knows of both sides, sorted by file and key, and its warnings on one line.

    Nested keys are joined by dots. DVC leaves out lists, and files that it cannot read are in the warnings only.

    Args:
        root: the project, as it is in the working tree.
        kind: metrics with those that are equal, or parameters without.
        base: the commit to compare with.

    Raises:
        RunError: DVC failed.
    """
    every = ["--all"] if kind == "metrics" else []
    files, warnings = dvc_json(root, kind, "diff", base, *every)
    found = []
    for file, keys in files.items():
        for key, sides in (keys if isinstance(keys, dict) else {}).items():
            if not isinstance(sides, dict):
                raise RunError(f"dvc {kind} diff: {file}: {key}: no old and new value; `pip install` the pinned DVC")
            found.append(Difference(file=file, key=key, old=sides.get("old"), new=sides.get("new")))
    return sorted(found, key=lambda item: (item.file, item.key)), warnings
