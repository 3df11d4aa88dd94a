"""Scores layouts against benchmark prompts: the published rules and the strict ones, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.lvd import rules, strict_rules
from tasks.lvd.benchmark_prompts import BenchmarkPrompt
from tasks.lvd.expectations import TASKS, Task
from tasks.lvd.layout import DynamicSceneLayout
from tasks.lvd.layout_hygiene import Hygiene, examine

Mode = Literal["compatible", "strict"]
MODES: tuple[Mode, ...] = ("compatible", "strict")
MISSING = "missing"


@dataclass(frozen=True)
class SetAside:
    """An attempt that is no layout: a short fixed word that says why, and more detail."""

    reason: str
    detail: str


Attempt = DynamicSceneLayout | SetAside


@dataclass(frozen=True)
class Verdict:
    """How one prompt fared; `problem` is empty, or says why there was no layout to judge, which fails both ways."""

    prompt: BenchmarkPrompt
    compatible: bool
    strict: bool
    problem: str = ""

    def passed(self, mode: Mode) -> bool:
        """The verdict of one of the two sets of rules."""
        return self.compatible if mode == "compatible" else self.strict


@dataclass(frozen=True)
class Scores:
    """Verdicts in the order of the prompts.

    Attributes:
        hygiene: of the layouts that were judged, each counted once.
        unused: keys of attempts that no prompt asked for, with their number.
    """

    verdicts: tuple[Verdict, ...]
    hygiene: Hygiene
    unused: dict[str, int]

    def prompts(self) -> dict[str, int]:
        """Prompts per task and in all, under "total"."""
        return _per_task(verdict.prompt.task for verdict in self.verdicts)

    def counts(self, mode: Mode) -> dict[str, int]:
        """Passes per task and in all, under "total"."""
        return _per_task(verdict.prompt.task for verdict in self.verdicts if verdict.passed(mode))

    def distinct_prompts(self) -> dict[str, int]:
        """Different prompts per task and in all, under "total"."""
        return _per_task(task for task, _ in self._distinct("compatible"))

    def distinct_counts(self, mode: Mode) -> dict[str, int]:
        """Different prompts of which every occurrence passes, per task and in all, under "total"."""
        return _per_task(task for (task, _), passed in self._distinct(mode).items() if passed)

    def problems(self) -> dict[tuple[str, str], int]:
        """How often each (problem, prompt) occurred, in the order of the prompts."""
        return dict(Counter((verdict.problem, verdict.prompt.prompt) for verdict in self.verdicts if verdict.problem))

    def _distinct(self, mode: Mode) -> dict[tuple[Task, str], bool]:
        found: dict[tuple[Task, str], bool] = {}
        for verdict in self.verdicts:
            key = (verdict.prompt.task, verdict.prompt.cache_key)
            found[key] = found.get(key, True) and verdict.passed(mode)
        return found


def score(
    prompts: Sequence[BenchmarkPrompt], attempts: Mapping[str, Sequence[Attempt]], *, one_serves_all: bool = False
) -> Scores:
    """Judges the k-th attempt at the k-th occurrence of its prompt, in both modes.

    Args:
        prompts: a benchmark, or a part of one.
        attempts: successive layouts per cache key; what could not be read keeps its place as `SetAside`.
        one_serves_all: whether the only attempt at a prompt is judged at all its occurrences.
    """
    used: Counter[str] = Counter()
    verdicts: list[Verdict] = []
    judged: dict[tuple[str, int], DynamicSceneLayout] = {}
    for prompt in prompts:
        key = prompt.cache_key
        given = attempts.get(key, ())
        place = 0 if one_serves_all and len(given) == 1 else used[key]
        used[key] += 1
        attempt = given[place] if place < len(given) else SetAside(MISSING, "")
        verdicts.append(_judge(prompt, attempt))
        if isinstance(attempt, DynamicSceneLayout):
            judged[key, place] = attempt
    unused = {key: len(given) - used[key] for key, given in attempts.items() if len(given) > used[key]}
    return Scores(tuple(verdicts), examine(judged.values()), unused)


def _per_task(tasks: Iterable[Task]) -> dict[str, int]:
    counted = Counter(tasks)
    return {**{task: counted[task] for task in TASKS}, "total": counted.total()}


def _judge(prompt: BenchmarkPrompt, attempt: Attempt) -> Verdict:
    if isinstance(attempt, SetAside):
        problem = f"{attempt.reason} ({attempt.detail})" if attempt.detail else attempt.reason
        return Verdict(prompt, compatible=False, strict=False, problem=problem)
    if len(attempt.frames) < rules.FRAMES:
        problem = f"too_short ({len(attempt.frames)} frames, fewer than {rules.FRAMES})"
        return Verdict(prompt, compatible=False, strict=False, problem=problem)
    compatible = rules.passes(prompt.expectation, attempt)
    return Verdict(prompt, compatible, strict_rules.passes(prompt.expectation, attempt))
