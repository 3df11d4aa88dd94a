"""The chain that made a file, as dvc.lock records it: stages, parameters, code and inputs, back to what no stage makes."""

from __future__ import annotations

import difflib
import functools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.errors import RunError, UsageError
from flows.git import git
from flows.inspection.hashes import cache_folder, object_path, path_md5, read_listing
from flows.inspection.locked_stages import Entry, LockedStage, committed_stages, locked_stages, overlap

_CODE = "tasks"
AS_RECORDED = "as recorded"


@dataclass(frozen=True)
class Node:
    """A line of the tree and what stands below it."""

    text: str
    below: list[Node] = field(default_factory=list)


def lines(node: Node) -> Iterator[str]:
    """The tree as text."""
    yield node.text
    for number, child in enumerate(node.below, 1):
        branch, rest = ("└─ ", "   ") if number == len(node.below) else ("├─ ", "│  ")
        first, *others = lines(child)
        yield branch + first
        yield from (rest + other for other in others)


class Lineage:
    """The chains of one project.

    Args:
        root: the project's folder.
        check: whether files on disk are hashed and compared with the record.
        tell: gets each path before it is hashed.

    Raises:
        UsageError: the lock file is missing or damaged, or DVC has no configuration.
    """

    def __init__(self, root: Path, *, check: bool = True, tell: Callable[[str], None] = lambda path: None) -> None:
        self._root = root
        self._check = check
        self._stages = locked_stages(root)
        self._committed = {stage.address: stage for stage in committed_stages(root)}
        self._shown: set[str] = set()
        self._tell = tell
        self._md5 = functools.cache(self._read_md5)
        self._parameters = functools.cache(self._read_parameters)

    @functools.cached_property
    def _cache(self) -> Path:
        return cache_folder(self._root)

    def explain(self, file: Path) -> Node:
        """The tree of one file or folder.

        Raises:
            UsageError: it is unknown; one line with the nearest outputs.
        """
        self._shown.clear()
        path = self._relative(file)
        outs = [out for stage in self._stages for out in stage.outs]
        for out in outs:
            if out.path == path:
                return self._node(out)
            if path.startswith(f"{out.path}/"):
                return self._member(out, path)
        inside = [out.path for out in outs if out.path.startswith(f"{path}/") or path == "."]
        if inside:
            raise UsageError(f"{path}: a folder with {len(inside)} outputs; name one, such as {inside[0]}")
        return self._source(path)

    def _source(self, path: str) -> Node:
        """What no stage makes: where it is from, and which stages read it."""
        deps = [(stage, dep) for stage in self._stages for dep in stage.deps]
        readers = [(stage, dep) for stage, dep in deps if dep.path == path or path.startswith(f"{dep.path}/")]
        commit = self._git(path)
        if not commit and not (readers and (self._root / path).exists()):
            raise UsageError(self._unknown(path))
        origin = Node(commit or self._foreign(path, None))
        return Node(path, [origin, *(self._reader(stage, dep, path) for stage, dep in readers)])

    def _foreign(self, path: str, md5: str | None) -> str:
        known = md5 or (self._md5(path) if self._check else None)
        return "no stage makes it and git does not have it" + (f"; md5 {known}" if known else "")

    def _relative(self, file: Path) -> str:
        for path in (Path(os.path.normpath(file.absolute())), file.resolve()):
            if path.is_relative_to(self._root):
                return path.relative_to(self._root).as_posix()
        raise UsageError(f"{file}: outside {self._root}; name a file of the project")

    def _unknown(self, path: str) -> str:
        outs = [out.path for stage in self._stages for out in stage.outs]
        near = difflib.get_close_matches(path, outs, 3, 0)
        return (
            f"{path}: dvc.lock does not name it and git does not have it; the nearest outputs: {', '.join(near) or 'none'}"
        )

    def _reader(self, stage: LockedStage, dep: Entry, path: str) -> Node:
        through = "" if dep.path == path else f" in {dep.path}"
        return Node(f"read by {stage.address}{through}{self._state(dep.path, dep.md5)}")

    def _read_md5(self, path: str) -> str:
        self._tell(path)
        return path_md5(self._root, self._root / path)

    def _state(self, path: str, md5: str | None) -> str:
        """Says how the disk compares with a recorded hash; empty where nothing is to be checked."""
        if not self._check:
            return ""
        if md5 is None:
            return ": not followed by content"
        try:
            return f": {AS_RECORDED}" if self._md5(path) == md5 else ": changed since"
        except FileNotFoundError:
            return ": missing"
        except OSError as error:
            return f": unreadable ({error.strerror})"

    def _node(self, entry: Entry) -> Node:
        makers = [stage for stage in self._stages if any(overlap(out.path, entry.path) for out in stage.outs)]
        made = [(stage, out) for stage in makers for out in stage.outs if out.path == entry.path]
        notes = [Node(self._object(out)) for stage, out in made if stage.keeps(out)]
        commit = self._git(entry.path)
        if commit or not makers:
            notes.append(Node(commit or self._foreign(entry.path, entry.md5)))
        if any(out.md5 != entry.md5 for _, out in made):
            notes.append(Node(f"read as {entry.md5}: its stage has made another version since"))
        return Node(entry.path + self._state(entry.path, entry.md5), [*notes, *map(self._stage, makers)])

    def _member(self, out: Entry, path: str) -> Node:
        md5 = self._listing(out).get(path.removeprefix(f"{out.path}/"))
        if md5 is None and not (self._root / path).exists():
            raise UsageError(self._unknown(path))
        if md5 is None:
            return Node(f"{path}: on disk, not by itself in what the cache has of {out.path}", [self._node(out)])
        return Node(path + self._state(path, md5), [Node(self._object(Entry(path=path, md5=md5))), self._node(out)])

    def _listing(self, out: Entry) -> dict[str, str]:
        try:
            return read_listing(object_path(self._cache, out.md5 or ""))
        except (OSError, ValueError):
            return {}

    def _object(self, out: Entry) -> str:
        path = object_path(self._cache, out.md5 or "")
        shown = path.relative_to(self._root) if path.is_relative_to(self._root) else path
        return f"cache object {shown}" + ("" if path.exists() else " (not there)")

    def _stage(self, stage: LockedStage) -> Node:
        if stage.address in self._shown:
            return Node(f"made by {stage.address} (above)")
        self._shown.add(stage.address)
        code = [dep for dep in stage.deps if overlap(dep.path, _CODE)]
        below = [Node(f"command: {' '.join(command.split())}") for command in stage.commands]
        below += [Node(text) for text in self._parameter_lines(stage)]
        below += [Node(self._code(code))] if code else []
        below += [self._node(dep) for dep in stage.deps if dep not in code]
        same = self._committed.get(stage.address) == stage
        commit = self._commit(stage.lock_file) if same else "uncommitted"
        return Node(f"made by {stage.address}; {stage.lock_file}: {commit}", below)

    def _code(self, code: list[Entry]) -> str:
        states = {dep.path: self._state(dep.path, dep.md5) for dep in code}
        other = [path + state for path, state in states.items() if state != f": {AS_RECORDED}"]
        count = f"code: {len(code)} {'file or folder' if len(code) == 1 else 'files and folders'}"
        return f"{count}; {'; '.join(other) or AS_RECORDED}" if self._check else count

    def _parameter_lines(self, stage: LockedStage) -> Iterator[str]:
        for file, values in stage.params.items():
            for key, value in values.items():
                place = "" if file == "params.yaml" else f" in {file}"
                changed = ": changed since" if self._check and self._parameter(file, key) != value else ""
                yield f"parameter {key} = {json.dumps(value, ensure_ascii=False, default=str)}{place}{changed}"

    def _parameter(self, file: str, key: str) -> Any:
        value = self._parameters(file)
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def _read_parameters(self, file: str) -> Any:
        try:
            return YAML(typ="safe").load((self._root / file).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, YAMLError):
            return None

    def _git(self, path: str) -> str:
        """What git knows of a path; empty if it does not follow it."""
        if not _output(self._root, "ls-files", "--", path):
            return ""
        dirty = _output(self._root, "status", "--porcelain", "--", path)
        return f"git: {self._commit(path)}" + (", changes not committed" if dirty else "")

    def _commit(self, path: str) -> str:
        return _output(self._root, "log", "-1", "--format=%h %cs %s", "--", path).strip() or "not committed"


def _output(root: Path, *arguments: str) -> str:
    """Empty where git has no answer, as for a path behind a link or before the first commit."""
    try:
        return git(root, "--literal-pathspecs", *arguments)
    except RunError:
        return ""
