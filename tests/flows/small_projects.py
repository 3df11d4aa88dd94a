"""Small git and DVC projects whose stages are one-line Python programs, and runs of them in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.pipeline.workspaces import git, program

DIAMOND = """\
stages:
  first:
    cmd: python stage.py first data/raw/input.txt data/first.txt
    deps: [stage.py, data/raw/input.txt]
    params: [first]
    outs: [data/first.txt]
  left:
    cmd: python stage.py left data/first.txt data/left reports/left.json
    deps: [stage.py, data/first.txt]
    params: [left]
    outs: [data/left]
    metrics:
      - reports/left.json: {cache: false}
    meta: {pool: gpu}
  right:
    cmd: python stage.py right data/first.txt data/right.txt
    deps: [stage.py, data/first.txt]
    params: [right]
    outs: [data/right.txt]
    meta: {pool: gpu}
  last:
    cmd: python stage.py last data/left data/right.txt reports/left.json data/last.txt
    deps: [stage.py, data/left, data/right.txt, reports/left.json]
    outs: [data/last.txt]
"""

PARAMETERS = "first: {do: ''}\nleft: {do: ''}\nright: {do: ''}\n"

# A stage writes its name and its inputs into its last arguments. What `do` in its parameters says happens in between.
STAGE = """\
import json, os, pathlib, subprocess, sys, time
name, *paths = sys.argv[1:]
with open(os.environ["JOURNAL"], "a") as journal:
    journal.write(name + "\\n")
do = ""
for line in pathlib.Path("params.yaml").read_text().splitlines():
    if line.startswith(name + ":"):
        do = line.split("do: ")[1].strip(" '}")
text = name + " " + do.split(" at ")[0] + "\\n"
outs = [path for path in paths if not pathlib.Path(path).exists()]
for path in paths:
    found = pathlib.Path(path)
    for file in sorted(found.rglob("*.txt")) if found.is_dir() else [found] if path not in outs else []:
        text += file.read_text()
print(name, "at work", flush=True)
exec(do.partition("!")[2])
for path in outs:
    target = pathlib.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.endswith(".json"):
        target.write_text(json.dumps({"characters": len(text)}))
    elif path.endswith(".txt"):
        target.write_text(text)
    else:
        target.mkdir()
        (target / "a.txt").write_text(text)
"""


def make_project(folder: Path, pipeline: str = DIAMOND, parameters: str = PARAMETERS) -> Path:
    """A committed project that has never run."""
    for name in (".dvc", "data/raw", "reports"):
        (folder / name).mkdir(parents=True)
    files = {
        ".dvc/config": "[core]\n    analytics = false\n",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        ".gitignore": "/.runs/\n/.parts/\n/data/\n__pycache__/\n",
        "reports/.gitignore": "*.html\n",
        "dvc.yaml": pipeline,
        "params.yaml": parameters,
        "stage.py": STAGE,
        "data/raw/input.txt": "given\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "start")
    return folder


def set_stage(folder: Path, name: str, do: str) -> None:
    """Changes a stage's parameter; the part after `!` is Python that the stage runs."""
    lines = (folder / "params.yaml").read_text(encoding="utf-8").splitlines()
    lines = [f"{name}: {{do: '{do}'}}" if line.startswith(f"{name}:") else line for line in lines]
    (folder / "params.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def journal(folder: Path) -> list[str]:
    """Stages whose command began, in order, over all runs."""
    file = folder.parent / f"{folder.name}.journal"
    return file.read_text(encoding="utf-8").split() if file.exists() else []


def variables(folder: Path) -> dict[str, str]:
    """Environment of the project's stages."""
    return {"JOURNAL": str(folder.parent / f"{folder.name}.journal")}


def groundreel(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command line in the project."""
    return program(folder, "groundreel", *arguments, **variables(folder), **more)


def run_local(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`groundreel run --local`, which must end well."""
    done = groundreel(folder, "run", "--local", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def states(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Stage to state, as the command printed them."""
    known = {"Ran", "Cached", "Unchanged", "Failed", "Skipped"}
    words = [line.split() for line in done.stdout.splitlines()]
    return {line[1]: line[0] for line in words if len(line) > 1 and line[0] in known}


def start_run(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A local run in the background, its output in a pipe."""
    command = [str(Path(sys.executable).with_name("groundreel")), "run", "--local", *arguments]
    environment = {**os.environ, **variables(folder)}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Fails if the condition does not hold in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
