"""Which videos are to be made: prompts of a set, their layouts, and the seed of each (specs/lvd.md 4.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.lvd.benchmark_prompts import cache_key
from tasks.lvd.layout import DynamicSceneLayout, read_layouts
from tasks.lvd.prompt_sets import known_prompts, prompts_of

_SEEDS_BETWEEN_REPEATS = 6789


@dataclass(frozen=True)
class VideoRequest:
    """One video to make.

    Attributes:
        prompt_index: place of the prompt in its set, from 0; in the whole benchmark if the set is a part of that.
        task: of the benchmark, if what the prompt wants to see is known.
        repeat: counts the videos of one prompt, from 0.
        seed: of its noise.
        layout: where its objects are to be, None if no planner found that out.
    """

    prompt_index: int
    prompt: str
    prompt_set: str
    task: str | None
    repeat: int
    seed: int
    layout: DynamicSceneLayout | None

    @property
    def name(self) -> str:
        """What its files are called, without ending."""
        return f"{self.prompt_index:03d}-{self.repeat}"


@dataclass(frozen=True)
class _Entry:
    index: int
    prompt: str
    task: str | None
    layout: DynamicSceneLayout | None


def layout_file(layouts: Path, planner: str, prompt_set: str) -> Path:
    """Where the stage `layouts` writes what a planner made of a set of prompts."""
    return layouts / planner.replace("/", "-") / f"{prompt_set}.jsonl"


def video_requests(
    prompt_set: str, prompts: Path, layouts: Path, per_task: int | None, repeats: int, seed_offset: int
) -> list[VideoRequest]:
    """The videos of a set of prompts, all prompts once, then all again.

    Args:
        prompt_set: its name.
        prompts: folder of prompt files.
        layouts: file of layouts; the k-th of a prompt belongs to its k-th occurrence.
        per_task: so many different prompts of each task, evenly spaced; None for all prompts, repetitions included.
        repeats: videos of each prompt.
        seed_offset: is added to every seed.

    Raises:
        UserError: no such set, or a file is not readable.
    """
    entries = _entries(prompt_set, prompts, layouts)
    chosen = entries if per_task is None else _spread(entries, per_task)
    return [
        VideoRequest(
            entry.index, entry.prompt, prompt_set, entry.task, repeat,
            entry.index + _SEEDS_BETWEEN_REPEATS * repeat + seed_offset, entry.layout,
        )
        for repeat in range(repeats)
        for entry in chosen
    ]  # fmt: skip


def _entries(prompt_set: str, prompts: Path, layouts: Path) -> list[_Entry]:
    texts, known = prompts_of(prompt_set, prompts), known_prompts(prompt_set, prompts)
    numbered: list[tuple[int, str | None]] = [(number, None) for number in range(len(texts))]
    if known is not None:
        numbered = [(item.index, item.task) for item in known]
    planned: dict[str, list[DynamicSceneLayout]] = {}
    for layout in read_layouts(layouts):
        planned.setdefault(cache_key(layout.prompt), []).append(layout)
    entries, seen = [], Counter[str]()
    for text, (index, task) in zip(texts, numbered, strict=True):
        found = planned.get(cache_key(text), [])[seen[cache_key(text)] :]
        seen[cache_key(text)] += 1
        entries.append(_Entry(index, text, task, found[0] if found else None))
    return entries


def _spread(entries: Sequence[_Entry], count: int) -> list[_Entry]:
    """Of each task `count` different prompts, evenly spaced, in the order of the set."""
    by_task: dict[str | None, dict[str, _Entry]] = {}
    for entry in entries:
        by_task.setdefault(entry.task, {}).setdefault(entry.prompt, entry)
    chosen = []
    for different in by_task.values():
        distinct = list(different.values())
        few = min(count, len(distinct))
        chosen += [distinct[number * len(distinct) // few] for number in range(few)]
    return chosen
