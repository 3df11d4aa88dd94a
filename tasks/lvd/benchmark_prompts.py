"""The 500 prompts of the LVD benchmark with what each wants to see, and prompts of other authors (specs/lvd.md 2)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from tasks.common.errors import UserError
from tasks.lvd.expectations import (
    TASKS,
    Attribution,
    Expectation,
    Numeracy,
    OneDirection,
    Quadrant,
    Sequence,
    Side,
    Task,
    TwoDirections,
    Visibility,
    task_of,
    things_of,
)

_SCENE = "A realistic lively video of a scene"
_TOP_DOWN_SCENE = "A realistic lively video of a top-down viewed scene"
_CLASSES = {"car": "moving car", "cat": "lively cat", "bird": "flying bird", "ball": "moving ball", "dog": "walking dog"}
_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray")
_NUMBERS = ("one", "two", "three", "four")
_WAYS: tuple[tuple[Side, Side], ...] = (("left", "right"), ("right", "left"))
_TOURS: tuple[tuple[Quadrant, Quadrant, Quadrant], ...] = (
    ("lower left", "lower right", "upper right"),
    ("lower left", "upper left", "upper right"),
    ("lower right", "lower left", "upper left"),
    ("lower right", "upper right", "upper left"),
)
SUBSETS: dict[str, tuple[Task, ...]] = {
    "lvd": TASKS,
    "lvd_static": TASKS[:2],
    "lvd_dynamic": TASKS[2:],
    **{f"lvd_{task}": (task,) for task in TASKS},
}
_MOST_CHARACTERS = 20_000_000


@dataclass(frozen=True)
class BenchmarkPrompt:
    """One prompt of a benchmark; repeated prompts are entries of their own.

    Attributes:
        index: place in the whole benchmark or file, from 0.
        cache_key: the prompt as reply caches write it, see `cache_key`.
        detector_texts: what a detector is asked for in a video of this prompt.
        one_box_per_class: whether only the best detection of each text counts.
    """

    index: int
    task: Task
    prompt: str
    cache_key: str
    detector_texts: tuple[str, ...]
    one_box_per_class: bool
    expectation: Expectation


def cache_key(prompt: str) -> str:
    """A prompt without the spaces around it and without its full stop, as reply caches write it."""
    return prompt.strip().rstrip(".")


@functools.cache
def benchmark_prompts() -> tuple[BenchmarkPrompt, ...]:
    """All 500 prompts in the order of the benchmark; the same in every process."""
    parts = (_numeracy(), _attribution(), _visibility(), _one_direction(), _two_directions(), _sequences())
    return tuple(_numbered(itertools.chain(*parts)))


def select_prompts(name: str) -> tuple[BenchmarkPrompt, ...]:
    """A named part of the benchmark: lvd (all), lvd_static, lvd_dynamic, or lvd_ and the name of a task.

    Raises:
        UserError: there is no part of that name.
    """
    if name not in SUBSETS:
        raise UserError(f"{name}: no such set of prompts; take one of {', '.join(SUBSETS)}")
    return tuple(item for item in benchmark_prompts() if item.task in SUBSETS[name])


def read_prompts(path: Path) -> list[BenchmarkPrompt]:
    """Prompts of other wording: JSON Lines of {"task", "prompt", "expectation": {"kind", ...}}.

    Raises:
        UserError: no such file, or the first line that is no prompt, with what is wrong in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: {reason}; expected JSON Lines of prompts") from None
    if len(text) > _MOST_CHARACTERS:
        raise UserError(f"{path}: over {_MOST_CHARACTERS} characters; split the file")
    lines = enumerate(text.split("\n"), start=1)
    return list(_numbered(_read_line(path, number, line) for number, line in lines if line.strip()))


class _PromptLine(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    prompt: str = Field(min_length=1, max_length=10_000)
    expectation: Expectation
    task: Task

    @field_validator("task")
    @classmethod
    def _fits_the_expectation(cls, task: Task, info: ValidationInfo) -> Task:
        expectation = info.data.get("expectation")
        if expectation is not None and task != task_of(expectation):
            raise ValueError(f"an expectation of kind {expectation.kind} belongs to task {task_of(expectation)}")
        return task


def _read_line(path: Path, number: int, line: str) -> tuple[str, Expectation]:
    try:
        read = _PromptLine.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        message = f"{place}: {problem['msg']}" if place else problem["msg"]
        raise UserError(f"{path}, line {number}: {message}; mend or remove that line") from None
    return read.prompt, read.expectation


def _numbered(parts: Iterable[tuple[str, Expectation]]) -> Iterator[BenchmarkPrompt]:
    for index, (prompt, expectation) in enumerate(parts):
        task = task_of(expectation)
        yield BenchmarkPrompt(
            index=index,
            task=task,
            prompt=prompt,
            cache_key=cache_key(prompt),
            detector_texts=tuple(f"a photo of {_with_article(thing)}" for thing in things_of(expectation)),
            one_box_per_class=task != "numeracy",
            expectation=expectation,
        )


def _with_article(phrase: str) -> str:
    return f"{'an' if phrase[0].lower() in 'aeiou' else 'a'} {phrase}"


def _numeracy() -> Iterator[tuple[str, Expectation]]:
    for count, number in enumerate(_NUMBERS, start=1):
        for noun, phrase in _CLASSES.items():
            expectation = Numeracy(object=noun, count=count)
            yield from [(f"{_SCENE} with {number} {phrase}{'s' if count > 1 else ''}", expectation)] * 5


def _attribution() -> Iterator[tuple[str, Expectation]]:
    for seed in range(100):
        draw = np.random.RandomState(seed)
        colours, nouns = _two_of(draw, _COLOURS), _two_of(draw, tuple(_CLASSES))
        first, second = ((colour, noun) for colour, noun in zip(colours, nouns, strict=True))
        things = " and ".join(_with_article(" ".join(pair)) for pair in (first, second))
        yield f"{_SCENE} with {things}", Attribution(pairs=(first, second))


def _visibility() -> Iterator[tuple[str, Expectation]]:
    for noun, phrase in _CLASSES.items():
        for half in ("second", "first"):
            prompt = f"{_SCENE} in which {_with_article(phrase)} appears only in the {half} half of the video"
            yield from [(prompt, Visibility.model_validate({"object": noun, "half": half}))] * 10


def _one_direction() -> Iterator[tuple[str, Expectation]]:
    for noun in _CLASSES:
        for start, end in _WAYS:
            prompt = f"{_SCENE} with {_with_article(noun)} moving from the {start} to the {end}"
            yield from [(prompt, OneDirection(object=noun, to=end))] * 5


def _two_directions() -> Iterator[tuple[str, Expectation]]:
    for seed in range(25):
        draw = np.random.RandomState(seed)
        for start, end in _WAYS:
            noun, other = _two_of(draw, tuple(_CLASSES))
            things = f"{_with_article(noun)} moving from the {start} of {_with_article(other)} to its {end}"
            yield f"{_SCENE} with {things}", TwoDirections(object=noun, other=other, to=end)


def _sequences() -> Iterator[tuple[str, Expectation]]:
    for noun in _CLASSES:
        for tour in _TOURS:
            start, middle, end = tour
            prompt = (
                f"{_TOP_DOWN_SCENE} in which {_with_article(noun)} initially on the {start} of the scene. It first moves "
                f"to the {middle} of the scene and then moves to the {end} of the scene."
            )
            yield from [(prompt, Sequence(object=noun, quadrants=tour))] * 5


def _two_of(draw: np.random.RandomState, words: tuple[str, ...]) -> tuple[str, str]:
    first, second = draw.choice(words, 2, replace=False)
    return str(first), str(second)
