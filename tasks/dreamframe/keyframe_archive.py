"""Keyframes of a story to and from `STORY.tar` (pictures in the story's order) and `STORY.jsonl` (a line for each).

The same keyframes give the same bytes. What is read may have been written by anybody: it is bounded and checked.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.common.errors import UserError
from tasks.common.images import BadImage, decode_image
from tasks.common.quarantine import printable
from tasks.corpus.archive import ArchiveEnd, Limits, read_members
from tasks.dreamframe.picture_archive import MOST_PICTURES, MOST_PIXELS

MOST_MANIFEST_BYTES = 200_000_000
_LIMITS = Limits(most_members=MOST_PICTURES, most_member_bytes=2**26, most_archive_bytes=2**40)
_AGAIN = "run the stage keyframes again"

FRAME_ID = r"^[0-9]{2}-[0-9]{2}-[0-9]{2}$"
_Text = Annotated[str, Field(max_length=100_000)]


class Keyframe(BaseModel):
    """What a line of `STORY.jsonl` says of a picture.

    Attributes:
        id: the frame's in the story.
        file: member of the archive.
        prompt: as given to the model, the style's token in it.
        text: the frame's own prompt in the story.
        place: where the frame plays, or "".
        seed: of its noise.
        sha256: of the file.
        width: in pixels.
        height: in pixels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: str = Field(pattern=FRAME_ID)
    file: str = Field(pattern=r"^[0-9-]{8}\.png$")
    prompt: _Text
    text: _Text
    place: _Text
    seed: int = Field(ge=0, lt=2**63)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    width: int = Field(ge=1, le=4096)
    height: int = Field(ge=1, le=4096)


def write_keyframes(folder: Path, story_id: str, keyframes: Iterable[tuple[Keyframe, Path]]) -> None:
    """Writes `STORY.tar` and `STORY.jsonl` into a folder that is not finished yet, from pictures in PNG files."""
    lines = []
    with tarfile.open(folder / f"{story_id}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for keyframe, file in keyframes:
            member = tarfile.TarInfo(keyframe.file)
            member.size = file.stat().st_size
            with file.open("rb") as picture:
                tar.addfile(member, picture)
            lines.append(keyframe.model_dump_json() + "\n")
    (folder / f"{story_id}.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")


def read_manifest(folder: Path, story_id: str) -> list[Keyframe]:
    """The keyframes of a story, in order.

    Raises:
        UserError: no such file, too large, or a line is no keyframe or comes twice.
    """
    path = folder / f"{story_id}.jsonl"
    keyframes: list[Keyframe] = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            keyframe = Keyframe.model_validate_json(line)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            wrong = ".".join(str(part) for part in problem["loc"]) + ": " + problem["msg"]
            raise UserError(f"{path}: line {number}: {printable(wrong)}; {_AGAIN}") from None
        if keyframe.file != f"{keyframe.id}.png" or (keyframes and keyframe.id <= keyframes[-1].id):
            raise UserError(f"{path}: line {number}: {keyframe.id} is out of order or has another's file; {_AGAIN}")
        keyframes.append(keyframe)
    return keyframes


def read_keyframes(folder: Path, story_id: str) -> Iterator[tuple[Keyframe, NDArray[np.uint8]]]:
    """Yields each keyframe of a story with its pixels [height, width, 3], in order.

    Args:
        folder: what the stage keyframes wrote.
        story_id: the story's.

    Raises:
        UserError: a file is missing or damaged, or the two files do not belong together.
    """
    path = folder / f"{story_id}.tar"
    keyframes = read_manifest(folder, story_id)
    read = 0
    for name, data in _members(path):
        if read == len(keyframes) or name != keyframes[read].file:
            raise UserError(f"{path}: {printable(name, 60)} is not in {story_id}.jsonl at this place; {_AGAIN}")
        keyframe = keyframes[read]
        pixels = _pixels(path, name, data)
        if _sha256(data) != keyframe.sha256 or pixels.shape != (keyframe.height, keyframe.width, 3):
            raise UserError(f"{path}: {name} is not the picture that {story_id}.jsonl tells of; {_AGAIN}")
        yield keyframe, pixels
        read += 1
    if read < len(keyframes):
        raise UserError(f"{path}: {keyframes[read].file} is missing; {_AGAIN}")


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MOST_MANIFEST_BYTES:
            raise UserError(f"{path}: more than {MOST_MANIFEST_BYTES} bytes; {_AGAIN}")
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}; {_AGAIN}") from None


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; {_AGAIN}")
    try:
        for member in read_members(path, _LIMITS):
            if member.problem:
                raise UserError(f"{path}: {printable(member.name, 60)}: {member.problem}; {_AGAIN}")
            yield member.name, member.data
    except ArchiveEnd as error:
        raise UserError(f"{path}: {error.reason}: {printable(str(error))}; {_AGAIN}") from None


def _pixels(path: Path, name: str, data: bytes) -> NDArray[np.uint8]:
    try:
        return np.array(decode_image(data, MOST_PIXELS).picture)
    except BadImage as error:
        raise UserError(f"{path}: {printable(name, 60)}: {printable(str(error))}; {_AGAIN}") from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
