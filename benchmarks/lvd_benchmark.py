"""The LVD benchmark on more prompts than `dvc repro` generates videos for, in .bench/lvd: `make bench-lvd`.

The commands are those of dvc.yaml; what they write, and the parameter file, lie in .bench/lvd instead. Two more rows tell
how much of a score the detector and the layouts allow: sprites that do what each prompt says, and sprites drawn into the
boxes of each layout.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from dvc.repo import Repo
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from benchmarks.corpora import ROOT
from benchmarks.true_videos import clip_of_layout, true_clip, write_method
from tasks.common.report_table import read_table
from tasks.common.seeds import item_seed
from tasks.lvd.benchmark_prompts import benchmark_prompts
from tasks.lvd.video_index import METHODS, read_index
from tasks.lvd.video_judging import layouts_by_index
from tasks.lvd.video_requests import layout_file

FOLDER = Path(".bench") / "lvd"
CHANGES = {"lvd_generate": {"prompts_per_task": 20, "repeats": 2}, "lvd_stage2": {"preview_prompts": 10}}
_VIDEOS, _TABLE = "data/lvd/videos", "reports/tables/lvd_stage2.json"
Stage = tuple[str, str, list[str]]


def stages_of(names: Sequence[str], root: Path = ROOT) -> list[Stage]:
    """(name, command, outputs) of stages of dvc.yaml, those that are made for each of several things included."""
    found = []
    for stage in Repo(str(root)).index.stages:
        if str(getattr(stage, "name", "")).split("@")[0] in names:
            found.append((stage.name, stage.cmd, [out.def_path for out in stage.outs]))
    return sorted(found, key=lambda item: names.index(item[0].split("@")[0]))


def moved(command: str, outputs: Iterable[str], folder: Path) -> list[str]:
    """A command whose parameter file, scratch files and outputs, and folders of outputs, lie in `folder` instead."""
    files = [PurePosixPath(output) for output in outputs]

    def word(text: str) -> str:
        path = PurePosixPath(text)
        made = "/" in text and any(path in (file, *file.parents) for file in files)
        return str(folder / text) if made or text == "params.yaml" or text.startswith(".parts/") else text

    first, *others = shlex.split(command)
    return [sys.executable if first == "python" else first, *map(word, others)]


def write_parameters(folder: Path) -> str:
    """The project's parameters with more prompts and repeats; returns the planner whose layouts are followed."""
    yaml = YAML()
    values = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, changes in CHANGES.items():
        values[section].update(changes)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(values, file)
    return str(values["layouts"]["planners"][0])


def add_drawn_videos(videos: Path, planner: str) -> None:
    """Sprites as two more methods, on the prompts and repeats of the first one: drawn from prompts and from layouts."""
    prompts = benchmark_prompts()
    layouts = layouts_by_index(layout_file(ROOT / "data" / "lvd" / "layouts", planner, "lvd"), prompts)
    of_prompts, of_layouts = [], []
    for record in read_index(videos / METHODS[0]):
        if record.prompt_set == "lvd":
            prompt = prompts[record.prompt_index]
            random = np.random.default_rng(item_seed(record.repeat, prompt.prompt))
            of_prompts.append((prompt, record.repeat, true_clip(prompt.expectation, random, record.frames)))
            if prompt.index in layouts:
                of_layouts.append((prompt, record.repeat, clip_of_layout(layouts[prompt.index], random, record.frames)))
    write_method(videos, "drawn-prompts", of_prompts)
    write_method(videos, "drawn-layouts", of_layouts)


def show(path: Path) -> None:
    """The table on standard output."""
    table = read_table(path)
    shown = Table(*table.columns, title=table.title, caption=table.note)
    for row in table.rows:
        shown.add_row(*["" if cell is None else str(cell) for cell in row])
    Console(width=180).print(shown)


def main() -> int:
    """Exit code of the first command that fails, or 0."""
    os.chdir(ROOT)
    stages = stages_of(("lvd_generate", "lvd_stage2"))
    outputs = [output for _, _, made in stages for output in made]
    shutil.rmtree(FOLDER / "data", ignore_errors=True)
    planner = write_parameters(FOLDER)
    for name, command, _ in stages:
        if name == "lvd_stage2":
            add_drawn_videos(FOLDER / _VIDEOS, planner)
        done = subprocess.run(moved(command, outputs, FOLDER), check=False)
        if done.returncode:
            return done.returncode
    show(FOLDER / _TABLE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
