"""Stages as the lock files record them: what ran, with which parameters, from which inputs to which outputs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.errors import RunError, UsageError
from flows.git import git


class Entry(BaseModel):
    """An input or output; the hash is DVC's, ending in `.dir` for a folder, and None for what DVC follows otherwise."""

    model_config = ConfigDict(frozen=True)

    path: str
    md5: str | None = Field(None, pattern=r"^[0-9a-f]{32}(\.dir)?$")


class _LockedStage(BaseModel):
    cmd: str | list[str]
    deps: list[Entry] = []
    params: dict[str, dict[str, Any]] = {}
    outs: list[Entry] = []


class _LockFile(BaseModel):
    schema_version: Literal["2.0"] = Field("2.0", alias="schema")
    stages: dict[str, _LockedStage] = {}


class _DeclaredStage(BaseModel):
    wdir: str = "."
    outs: list[str | dict[str, Any]] = []
    metrics: list[str | dict[str, Any]] = []
    plots: list[str | dict[str, Any]] = []
    do: _DeclaredStage | None = None


class _Pipeline(BaseModel):
    stages: dict[str, _DeclaredStage] = {}


@dataclass(frozen=True)
class LockedStage:
    """A stage that ran. Paths are relative to the project's root, those outside are absolute.

    Attributes:
        address: the name that `dvc repro` takes.
        lock_file: the file that records it.
        commands: the lines that ran.
        params: file to key to value.
        uncached: patterns of outputs that DVC's cache does not keep.
    """

    address: str
    lock_file: str
    commands: tuple[str, ...]
    deps: tuple[Entry, ...]
    params: dict[str, dict[str, Any]]
    outs: tuple[Entry, ...]
    uncached: tuple[str, ...]

    def keeps(self, out: Entry) -> bool:
        """Whether DVC's cache should hold an output."""
        return out.md5 is not None and not any(fnmatchcase(out.path, pattern) for pattern in self.uncached)


def overlap(one: str, other: str) -> bool:
    """Whether two paths are the same or one is in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def locked_stages(root: Path) -> list[LockedStage]:
    """All stages that the lock files of the project record, the root's first; those that `dvc.yaml` dropped are left out.

    Raises:
        UsageError: the root has no lock file, or a file is damaged; one line with what to do.
    """
    pipelines = _pipelines(root)
    if not (root / "dvc.lock").is_file():
        raise UsageError(f"{root / 'dvc.lock'}: no such file; `dvc repro` makes it")
    return [stage for folder in pipelines for stage in _stages(root, folder, _text(root / folder / "dvc.lock"))]


def committed_stages(root: Path) -> list[LockedStage]:
    """The same as the last commit has them; none where it has no readable lock file."""
    return [stage for folder in _pipelines(root) for stage in _committed(root, folder)]


def _committed(root: Path, folder: str) -> list[LockedStage]:
    try:
        return [*_stages(root, folder, git(root, "show", f"HEAD:./{posixpath.join(folder, 'dvc.lock')}"))]
    except (RunError, UsageError):
        return []


def _pipelines(root: Path) -> list[str]:
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "dvc.yaml", "*/dvc.yaml")
    folders = {posixpath.dirname(name) for name in listed.split("\0") if name and (root / name).is_file()}
    return sorted(folders, key=lambda folder: (folder.count("/") + bool(folder), folder))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text at byte {error.start}; {_restore(path)}") from None


def _restore(path: Path) -> str:
    return f"`git checkout -- {path.name}` in {path.parent} brings the committed one back"


Model = TypeVar("Model", bound=BaseModel)


def _read(path: Path, text: str, model: type[Model]) -> Model:
    """Raises UsageError: merge conflict, not YAML, or not of the right form; one line with the place."""
    conflict = next((number for number, line in enumerate(text.splitlines(), 1) if re.match(r"<{7} |>{7} ", line)), 0)
    if conflict:
        name = path.name
        mend = f"take one side (`git checkout --ours {name}` or `--theirs {name}` in {path.parent}), then `dvc repro`"
        raise UsageError(f"{path}: line {conflict}: unresolved merge conflict; {mend}")
    try:
        return model.model_validate(YAML(typ="safe").load(text) or {})
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or "not valid YAML").split())
        raise UsageError(f"{path}: {place}{problem}; {_restore(path)}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(f"{path}: {place}: {first['msg'][:1].lower()}{first['msg'][1:]}; {_restore(path)}") from None


def _stages(root: Path, folder: str, lock_text: str) -> Iterator[LockedStage]:
    pipeline_file, lock_file = posixpath.join(folder, "dvc.yaml"), posixpath.join(folder, "dvc.lock")
    declared = _read(root / pipeline_file, _text(root / pipeline_file), _Pipeline).stages
    for name, stage in _read(root / lock_file, lock_text, _LockFile).stages.items():
        template = declared.get(name.partition("@")[0])
        if template is None:
            continue
        template = template.do or template
        at = _placed(posixpath.join(folder, template.wdir))
        yield LockedStage(
            address=f"{pipeline_file}:{name}" if folder else name,
            lock_file=lock_file,
            commands=(stage.cmd,) if isinstance(stage.cmd, str) else tuple(stage.cmd),
            deps=tuple(Entry(path=at(entry.path), md5=entry.md5) for entry in stage.deps),
            params={at(file): values for file, values in stage.params.items()},
            outs=tuple(Entry(path=at(entry.path), md5=entry.md5) for entry in stage.outs),
            uncached=tuple(at(pattern) for pattern in _uncached(template)),
        )


def _placed(folder: str) -> Callable[[str], str]:
    return lambda path: posixpath.normpath(posixpath.join(folder, path))


def _uncached(stage: _DeclaredStage) -> Iterator[str]:
    for item in (*stage.outs, *stage.metrics, *stage.plots):
        for path, settings in item.items() if isinstance(item, dict) else ():
            if isinstance(settings, dict) and settings.get("cache") is False:
                yield re.sub(r"\$\{.*?\}", "*", path)
