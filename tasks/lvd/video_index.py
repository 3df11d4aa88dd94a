"""The index of a method's generated videos: which file answers which prompt, with which seed."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.common.errors import UserError
from tasks.common.quarantine import printable
from tasks.lvd.prompt_sets import SET_NAME

INDEX_FILE = "index.jsonl"
METHODS = ("baseline", "guidance", "adapters", "adapters+guidance")
"""How videos are made, from no knowledge of the layout to most; other folders of videos come after these."""
METHOD_NAME = r"^[A-Za-z0-9][A-Za-z0-9+_-]{0,39}$"
_MOST_BYTES = 200_000_000


class VideoRecord(BaseModel):
    """One line of the index; keys that are not named here are not looked at.

    Attributes:
        file: name of the video in the folder of the index.
        prompt_index: place of the prompt in its set, as `BenchmarkPrompt.index`.
        repeat: counts the videos of one prompt by one method, from 0; the same in all methods means the same seed.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,150}\.mp4$")
    prompt_index: int = Field(ge=0, le=10_000_000)
    prompt: str = Field(max_length=10_000)
    prompt_set: str = Field(pattern=SET_NAME)
    repeat: int = Field(ge=0, le=1_000_000)
    seed: int = Field(ge=0, lt=2**64)
    method: str = Field(pattern=METHOD_NAME)
    frames: int = Field(ge=1, le=10_000)
    width: int = Field(ge=1, le=8192)
    height: int = Field(ge=1, le=8192)


def method_folders(videos: Path) -> list[Path]:
    """The folders of videos, one for each method: the known methods first, others by name.

    Raises:
        UserError: no such folder, nothing in it, or a folder whose name cannot be a method's or that has no index.
    """
    if not videos.is_dir():
        raise UserError(f"{videos}: no such folder; the stage `lvd_generate` makes it")
    folders = {item.name: item for item in sorted(videos.iterdir()) if item.is_dir()}
    if not folders:
        raise UserError(f"{videos}: no folder of videos in it; the stage `lvd_generate` makes one for each method")
    for folder in folders.values():
        if not (folder / INDEX_FILE).is_file():
            shown = printable(str(folder))
            raise UserError(f"{shown}: has no {INDEX_FILE}; run `lvd_generate` for it, or take the folder away")
    others = [name for name in folders if name not in METHODS]
    return [folders[name] for name in (*METHODS, *others) if name in folders]


def read_index(folder: Path) -> list[VideoRecord]:
    """The videos that a method's folder should hold, in the order of its index.

    Raises:
        UserError: the index is not readable or empty, or the first line that is wrong, with what is wrong in it.
    """
    path = folder / INDEX_FILE
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        lines = data.decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: {reason}; run `lvd_generate` again") from None
    if len(data) > _MOST_BYTES:
        raise UserError(f"{path}: over {_MOST_BYTES} bytes; an index has one short line for each video")
    records: dict[tuple[str, int, int], VideoRecord] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            record = _read_line(path, number, line)
            key = (record.prompt_set, record.prompt_index, record.repeat)
            if key in records:
                raise UserError(f"{path}, line {number}: that prompt and repeat were listed before; remove one of the lines")
            records[key] = record
    if not records:
        raise UserError(f"{path}: lists no videos; run `lvd_generate` again, or take the folder away")
    return list(records.values())


def _read_line(path: Path, number: int, line: str) -> VideoRecord:
    try:
        record = VideoRecord.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = printable(".".join(str(part) for part in problem["loc"]), 100)
        message = f"{place}: {problem['msg']}" if place else problem["msg"]
        raise UserError(f"{path}, line {number}: {printable(message)}; run `lvd_generate` again") from None
    if record.method != path.parent.name:
        shown = printable(str(path))
        raise UserError(f"{shown}, line {number}: the method is {record.method}, the folder another; name the folder so")
    return record
