"""Temporary clones of the project as it is in the working tree, and runs of its DAG."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS = (
    "data/sample", "data/corpus", "data/lvd", "data/dreamframe", "data/dysen", "models/igligen", "models/dysen_policy",
    "models/provenance", "reports",
)  # fmt: skip
# What takes minutes is done in little; the committed run measures its quality.
IN_LITTLE = {
    "igligen": {
        "steps": 3, "batch": 2, "warmup_steps": 1, "log_every": 1, "evaluate_every": 3, "evaluation_images": 2,
        "evaluation_steps": 2,
    },
    "lvd_generate": {"prompts_per_task": 1, "steps": 2, "preview_videos": 1},
    "lvd_stage2": {"preview_prompts": 1},
    "style": {"images": 4, "image_steps": 2, "steps": 3, "evaluate_every": 3, "evaluation_images": 1},
    "keyframes": {"steps": 2, "compared_prompts": 1},
    "gold": {"frames_checked": 4},
    "policy": {"seeds": "[0]"},
    "events": {"planners": "[parser, llm-learned-0]"},
    "enrich": {"most_prompts": 2},
}  # fmt: skip


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@localhost"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def clone(target: Path, in_little: bool = True) -> Path:
    """All files that git tracks or would track, as they are now, in a repository of one commit; no results, no cache.

    Its parameters are changed to do in little what takes minutes, or are the project's own if not `in_little`.
    """
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    for result in (target / "reports").rglob("*"):
        if result.suffix in (".json", ".png", ".gif", ".svg", ".tsv", ".html"):
            result.unlink()
    if in_little:
        for parameters in (target / "params.yaml", target / "profiles" / "toy.yaml"):
            _do_in_little(parameters)
    (target / "dvc.lock").unlink(missing_ok=True)
    git(target, "init", "-q")
    git(target, "add", "-A")
    git(target, "commit", "-qm", "start")
    return target


def _do_in_little(parameters: Path) -> None:
    text = parameters.read_text(encoding="utf-8")
    for section, values in IN_LITTLE.items():
        before, mark, rest = text.partition(f"\n{section}:\n")
        for name, value in values.items():
            rest, found = re.subn(rf"(?m)^  {name}: (?:\[.*\]|[^ \n]+)", f"  {name}: {value}", rest, count=1)
            assert found, f"{section}.{name} is not in {parameters}"
        text = before + mark + rest
    parameters.write_text(text, encoding="utf-8")


def program(folder: Path, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One of this environment's programs, with the others first on the path."""
    programs = Path(sys.executable).parent
    variables = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", **environment}
    command = [str(programs / name), *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)


def dvc(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A DVC command."""
    return program(folder, "dvc", *arguments, **environment)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every output file, metrics and the lock file included."""
    files = [path for name in OUTPUTS for path in (folder / name).rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted([*files, folder / "dvc.lock"])
    }


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
