"""What made a result: hashes of code, inputs and checkpoints, and the libraries that matter."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_LIBRARIES = (
    "accelerate",
    "av",
    "diffusers",
    "numpy",
    "pillow",
    "safetensors",
    "spacy",
    "tokenizers",
    "torch",
    "transformers",
    "webdataset",
)


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_sha256(path: Path) -> str:
    """SHA-256 of a file, or of a folder's relative names and contents in sorted order."""
    if path.is_file():
        return file_sha256(path)
    files = sorted(item for item in path.rglob("*") if item.is_file())
    return digest([[item.relative_to(path).as_posix(), file_sha256(item)] for item in files])


def digest(value: Any) -> str:
    """SHA-256 of a JSON value, the same whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def checkpoint_identity(checkpoint: str, revision: str | None) -> str:
    """A folder's content hash, or `id@revision` for a hub checkpoint."""
    folder = Path(checkpoint)
    return path_sha256(folder) if folder.is_dir() else f"{checkpoint}@{revision or 'main'}"


def _module_file(module: str) -> Path | None:
    base = _ROOT.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@functools.cache
def _imports(file: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] == "tasks")


def source_files(module: str) -> list[Path]:
    """The files of `tasks` that a module is made of: its own and all it imports, relative to the project, sorted."""
    found: dict[Path, None] = {}
    waiting = [module]
    while waiting:
        file = _module_file(waiting.pop())
        if file is not None and file not in found:
            found[file] = None
            waiting += sorted(_imports(file))
    return sorted(file.relative_to(_ROOT) for file in found)


def code_sha256(module: str) -> str:
    """Hash of `source_files`: changes when anything that a stage runs changes."""
    return digest([[str(file), file_sha256(_ROOT / file)] for file in source_files(module)])


def made_by(module: str, settings: Any, **more: Any) -> dict[str, Any]:
    """All that decides a stage's result besides its inputs: the stem of its shards' keys and of its provenance file."""
    return {
        "stage": module,
        "code_sha256": code_sha256(module),
        "libraries": library_versions(),
        "settings": settings,
        **more,
    }


def library_versions() -> dict[str, str]:
    """Public versions (no build suffix) of the libraries that decide bytes."""
    return {name: importlib.metadata.version(name).split("+")[0] for name in _LIBRARIES}
