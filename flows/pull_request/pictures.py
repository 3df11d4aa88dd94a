"""Figures that a branch changes, before and after."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from flows.git import git

FIGURES = "reports/figures/*.png"


class Picture(BaseModel):
    """A figure that changed; whether there is one on each side."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    before: bool
    after: bool


def changed_pictures(root: Path, base: str, out: Path) -> list[Picture]:
    """Figures in git that differ from the base, copied into `out/before` and `out/after` under their own paths.

    Raises:
        RunError: git failed.
    """
    pictures = []
    for name in filter(None, git(root, "diff", "--name-only", "--no-renames", "-z", base, "--", FIGURES).split("\0")):
        sides = {"before": _at(root, base, name), "after": _here(root / name)}
        for side, content in sides.items():
            if content is not None:
                target = out / side / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        present = {side: content is not None for side, content in sides.items()}
        pictures.append(Picture(path=name.encode(errors="replace").decode(), **present))
    return pictures


def _at(root: Path, commit: str, name: str) -> bytes | None:
    if not git(root, "ls-tree", "-z", commit, "--", f":(literal){name}").startswith("100"):
        return None
    return git(root, "show", f"{commit}:{name}").encode(errors="surrogateescape")


def _here(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() and not file.is_symlink() else None
