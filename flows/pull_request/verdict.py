"""What is found about a pull request, and what that means for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, computed_field

from flows.errors import RunError, UsageError
from flows.git import git
from flows.pull_request.charts import draw_charts
from flows.pull_request.differences import Difference, differences
from flows.pull_request.freshness import push_warnings, stale_stages
from flows.pull_request.gate import GATE, Finding, Gate, gate_changes, judge, parse_gate, read_gate
from flows.pull_request.pictures import Picture, changed_pictures

T = TypeVar("T")


class Verdict(BaseModel):
    """Everything that was found.

    Attributes:
        base: the merge base, a commit.
        head: the commit that is judged.
        mistakes: lines about files that a user has to mend, such as the gate.
        problems: lines about what could not be judged.
        stale: stages for which the lock file is stale; `None` if that could not be told.
        findings: the gated metrics.
        ungated: all other metrics.
        parameters: parameters that changed.
        pictures: figures that changed.
        charts: files in `charts`.
        remarks: lines that change nothing about the verdict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    head: str
    mistakes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    stale: tuple[str, ...] | None = ()
    findings: tuple[Finding, ...] = ()
    ungated: tuple[Difference, ...] = ()
    parameters: tuple[Difference, ...] = ()
    pictures: tuple[Picture, ...] = ()
    charts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the pull request."""
        return not (self.mistakes or self.problems or self.stale or any(not item.passed for item in self.findings))


def merge_base(root: Path, base: str) -> str:
    """The commit where the working tree's branch left another one.

    Raises:
        UsageError: there is no such branch or no common commit here.
    """
    try:
        commit = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}").strip()
    except RunError as error:
        raise UsageError(f"--base {base}: no such commit in {root}; `git fetch origin` brings the branches") from error
    try:
        return git(root, "merge-base", commit, "HEAD").strip()
    except RunError as error:
        raise UsageError(f"--base {base}: no commit in common; `git fetch --unshallow` brings the whole history") from error


def reach_verdict(root: Path, branch: str, out: Path) -> Verdict:
    """Everything about the working tree of a project against the commit where it left a branch.

    Pictures are written into `out`. What could not be judged is among the verdict's problems.

    Raises:
        UsageError: this is no DVC project in git.
    """
    if not (root / ".dvc").is_dir() or not (root / ".git").exists():
        raise UsageError(f"{root}: no .dvc and .git here; change to the project's folder")
    base = merge_base(root, branch)
    mistakes: list[str] = []
    problems: list[str] = []

    def attempt(work: Callable[[], T]) -> T | None:
        try:
            return work()
        except RunError as error:
            problems.append(str(error))
        except UsageError as error:
            mistakes.append(str(error))
        return None

    gate = attempt(lambda: read_gate(root)) or {}
    stale = attempt(lambda: stale_stages(root))
    metrics, unread = attempt(lambda: differences(root, "metrics", base)) or ([], "")
    parameters, _ = attempt(lambda: differences(root, "params", base)) or ([], "")
    pictures = attempt(lambda: changed_pictures(root, base, out)) or []
    charts, undrawn = attempt(lambda: draw_charts(root, base, out)) or ([], [])
    findings, ungated = judge(gate, metrics)
    remarks = [*push_warnings(root), unread, *undrawn, *_gate_remarks(root, base, gate), _uncommitted(root)]
    return Verdict(
        base=base,
        head=git(root, "rev-parse", "HEAD").strip(),
        mistakes=tuple(mistakes),
        problems=tuple(problems),
        stale=None if stale is None else tuple(stale),
        findings=tuple(findings),
        ungated=tuple(ungated),
        parameters=tuple(parameters),
        pictures=tuple(pictures),
        charts=tuple(charts),
        remarks=tuple(filter(None, remarks)),
    )


def _gate_remarks(root: Path, base: str, gate: Gate) -> list[str]:
    if not gate:
        return []
    try:
        changes = gate_changes(parse_gate(git(root, "show", f"{base}:{GATE}")), gate)
    except (RunError, UsageError):
        return [f"{GATE} is new here"]
    return [f"{GATE} is changed here: {', '.join(changes)}"] if changes else []


def _uncommitted(root: Path) -> str:
    changed = git(root, "status", "--porcelain", "--untracked-files=no").splitlines()
    return f"judged with changes to {len(changed)} files that are not committed" if changed else ""
