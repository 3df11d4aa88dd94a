"""A small project with a DAG of three stages, run once for real; tests work on copies of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.pipeline.workspaces import dvc, git

PIPELINE = """\
stages:
  split:
    cmd: sh tasks/split.sh
    deps: [data/raw/story.txt, tasks/split.sh]
    params: [split]
    outs: [data/parts]
  join:
    cmd: cat data/parts/a.txt data/parts/more/b.txt > data/joined.txt
    deps: [data/parts]
    outs: [data/joined.txt]
  count:
    cmd: wc -c < data/joined.txt > reports/count.json
    deps: [data/joined.txt, data/parts, models/table, tasks]
    params: [seed, other.yaml: [deep.key]]
    metrics: [reports/count.json: {cache: false}]
"""
FILES = {
    "dvc.yaml": PIPELINE,
    "params.yaml": "seed: 0\nsplit: {at: 9, name: début}\n",
    "other.yaml": "deep: {key: [1, 2]}\n",
    ".dvc/config": "[core]\n    analytics = false\n    autostage = false\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": "__pycache__\n*.log\n!kept.log\n/tasks/only/\n",
    ".gitignore": "__pycache__\n/data/raw\n",
    "data/raw/story.txt": "a story of some length\n",
    "tasks/split.sh": "mkdir -p data/parts/more && head -c 9 data/raw/story.txt > data/parts/a.txt\n"
    "tail -c +10 data/raw/story.txt > data/parts/more/b.txt\n",
    "tasks/__pycache__/split.pyc": "no source",
    "tasks/only/ignored.txt": "ignored by its folder",
    "tasks/deep/only/seen.txt": "not the folder that is ignored",
    "tasks/some.log": "ignored by its ending",
    "tasks/kept.log": "kept after all",
    "models/table/weights.txt": "1 2 3\n",
    "reports/.gitkeep": "",
    "README.md": "a small project\n",
}


def build(folder: Path) -> Path:
    """The project with all stages run and everything committed."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "init", "-q")
    ran = run_dvc(folder, "repro")
    assert "Running stage 'count'" in ran
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "three stages")
    return folder


def copy(finished: Path, target: Path) -> Path:
    """The finished project once more, with times and modes, so that DVC's trust is the same."""
    shutil.copytree(finished, target, symlinks=True)
    return target


def run_dvc(folder: Path, *arguments: str, code: int = 0) -> str:
    """Output of a DVC command whose databases stay beside the project."""
    done = dvc(folder, *arguments, DVC_SITE_CACHE_DIR=str(folder.with_name(f"{folder.name}-state")))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def cached(folder: Path, path: str) -> Path:
    """The cache object with the bytes that a workspace file has."""
    wanted = (folder / path).read_bytes()
    return next(item for item in objects(folder) if item.read_bytes() == wanted)


def folder_object(folder: Path) -> Path:
    """The cache object that lists the files of `data/parts`."""
    return next(item for item in objects(folder) if item.suffix == ".dir")


def objects(folder: Path) -> list[Path]:
    return sorted((folder / ".dvc" / "cache" / "files" / "md5").glob("*/*"))


def overwrite(file: Path, content: bytes) -> None:
    """Damage as a failing disk does it: other bytes under the same mode, time and inode."""
    before = file.stat()
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(before.st_mode & 0o777)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def flip(file: Path) -> None:
    """One bit of the first byte changed; the size stays."""
    content = file.read_bytes()
    overwrite(file, bytes([content[0] ^ 1]) + content[1:])
