"""The prompts to plan, by name: a part of the benchmark, or a file in the folder of prompts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tasks.common.errors import UserError
from tasks.lvd.benchmark_prompts import SUBSETS, BenchmarkPrompt, read_prompts, select_prompts

SET_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
MOST_PROMPTS = 1_000_000
_MOST_CHARACTERS = 10_000


def known_prompts(name: str, folder: Path) -> Sequence[BenchmarkPrompt] | None:
    """The prompts of a set of which is known what they want to see: a part of the benchmark or NAME.jsonl; else None.

    Raises:
        UserError: a line of NAME.jsonl is wrong.
    """
    if name in SUBSETS:
        return select_prompts(name)
    file = folder / f"{name}.jsonl"
    return read_prompts(file) if file.is_file() else None


def prompts_of(name: str, folder: Path, parameter: str = "layouts.prompts") -> list[str]:
    """The prompts of a set in order, repetitions included.

    Args:
        name: a part of the benchmark such as "lvd", or the name of a file in `folder` without its ending.
        folder: of prompts: NAME.txt with one prompt a line, NAME.jsonl with what each wants to see.
        parameter: that names the set, for errors.

    Raises:
        UserError: no such set, two of that name, or a file without prompts or with one that is too long.
    """
    files = [file for ending in ("jsonl", "txt") if (file := folder / f"{name}.{ending}").is_file()]
    sources = [*(["the benchmark"] if name in SUBSETS else []), *map(str, files)]
    if len(sources) > 1:
        raise UserError(f"{parameter} {name!r}: it is in {' and in '.join(sources)}; give the file another name")
    known = known_prompts(name, folder)
    prompts = _read_lines(name, folder, parameter) if known is None else [prompt.prompt for prompt in known]
    if not 1 <= len(prompts) <= MOST_PROMPTS:
        raise UserError(f"{files[0]}: {len(prompts)} prompts; 1 to {MOST_PROMPTS}, one a line, are wanted")
    return prompts


def _read_lines(name: str, folder: Path, parameter: str) -> list[str]:
    path = folder / f"{name}.txt"
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        here = sorted({file.stem for ending in ("jsonl", "txt") for file in folder.glob(f"*.{ending}")})
        known = ", ".join([*SUBSETS, *filter(re.compile(SET_NAME).fullmatch, here)])
        wanted = f"put {path} there, one prompt a line, or take one of {known}"
        raise UserError(f"{parameter}: no set {name!r}; {wanted}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}; save it as UTF-8 text") from None
    too_long = next((number for number, line in enumerate(lines, start=1) if len(line) > _MOST_CHARACTERS), None)
    if too_long is not None:
        raise UserError(f"{path}, line {too_long}: over {_MOST_CHARACTERS} characters; one short caption a line is wanted")
    return [line.strip() for line in lines if line.strip()]
