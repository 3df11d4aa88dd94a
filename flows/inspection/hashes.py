"""DVC's hashes of files and folders, and the places in its cache that they name. Reads the disk, never DVC's databases."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec
from pydantic import BaseModel, Field, TypeAdapter

from flows.errors import UsageError

FOLDER = ".dir"
"""Ending of a folder's hash."""
_NEVER_WALKED = (".git", ".hg", ".dvc")


def cache_folder(root: Path) -> Path:
    """Where DVC keeps its objects, as its configuration says.

    Raises:
        UsageError: DVC cannot tell; the text is its own.
    """
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603
    answer = done.stdout.strip()
    if done.returncode != 0 or not answer:
        text = " ".join(done.stderr.split()) or "no answer"
        raise UsageError(f"{root}: `dvc cache dir`: {text}; a clone of the repository has .dvc/config")
    return root / answer


def object_path(cache: Path, md5: str) -> Path:
    """Where the cache keeps the object with this hash."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def bytes_md5(content: bytes) -> str:
    """Hexadecimal MD5."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def file_md5(path: Path) -> str:
    """Hexadecimal MD5 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def path_md5(root: Path, path: Path) -> str:
    """The hash that DVC gives a file, or a folder with all that `.dvcignore` leaves of it."""
    return bytes_md5(folder_listing(root, path)) + FOLDER if path.is_dir() else file_md5(path)


def folder_listing(root: Path, folder: Path) -> bytes:
    """The bytes of the object that stands for a folder in DVC's cache: its files' names and hashes."""
    entries = [{"md5": file_md5(file), "relpath": file.relative_to(folder).as_posix()} for file in files_in(root, folder)]
    return json.dumps(sorted(entries, key=lambda entry: entry["relpath"]), sort_keys=True).encode()


def files_in(root: Path, folder: Path) -> Iterator[Path]:
    """The files in a folder that DVC sees: links to folders are not followed, `.dvcignore` above the folder applies."""
    rules = [*_rules(root, folder)]
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _ignored(rules, f"{parent}/{name}", "/"))
        yield from (Path(parent, name) for name in sorted(files) if not _ignored(rules, f"{parent}/{name}"))


def _rules(root: Path, folder: Path) -> Iterator[tuple[Path, GitIgnoreSpec]]:
    yield root, GitIgnoreSpec.from_lines(_NEVER_WALKED)
    for place in (folder, *folder.parents):
        if place.is_relative_to(root) and (place / ".dvcignore").is_file():
            lines = (place / ".dvcignore").read_text(encoding="utf-8").splitlines()
            yield place, GitIgnoreSpec.from_lines(line.strip() for line in lines)


def _ignored(rules: list[tuple[Path, GitIgnoreSpec]], path: str, ending: str = "") -> bool:
    return any(spec.match_file(os.path.relpath(path, place) + ending) for place, spec in rules)


class _Member(BaseModel):
    md5: str = Field(pattern=r"^[0-9a-f]{32}$")
    relpath: str


_MEMBERS = TypeAdapter(list[_Member])


def read_listing(path: Path) -> dict[str, str]:
    """The files of a folder by its object in the cache: relative name to hash.

    Raises:
        ValueError: the object is not such a listing, or a name leads out of the folder.
        OSError: it cannot be read.
    """
    members = {member.relpath: member.md5 for member in _MEMBERS.validate_json(path.read_bytes())}
    outside = next((name for name in members if name.startswith("/") or ".." in name.split("/")), None)
    if outside is not None:
        raise ValueError(f"{outside} leads out of the folder")
    return members
