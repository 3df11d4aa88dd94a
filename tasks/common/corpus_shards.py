"""WebDataset shards of the image corpus: `KEY.jpg` (or .png, .webp) beside `KEY.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from tasks.common.errors import UserError
from tasks.common.images import FORMATS

SHARD_NAME = "corpus-{:06d}"


@dataclass(frozen=True)
class Sample:
    """One image of the corpus as stored; `facts` is its JSON: caption, width, height, sha256, source, name."""

    key: str
    image: bytes
    facts: dict[str, Any]


class CorpusShardWriter:
    """Writes samples to one tar file; the same samples give the same bytes."""

    def __init__(self, path: Path) -> None:
        import webdataset  # brings torch along, which stages that only check parameters do without

        self._file: BinaryIO = path.open("wb")
        self._tar = webdataset.TarWriter(self._file, encoder=False, mtime=0)

    def write(self, key: str, image: bytes, ending: str, facts: dict[str, Any]) -> None:
        """Adds one sample."""
        text = json.dumps(facts, ensure_ascii=False, sort_keys=True, allow_nan=False)
        self._tar.write({"__key__": key, ending: image, "json": text.encode("utf-8", "backslashreplace")})

    def __enter__(self) -> CorpusShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._tar.close()
        self._file.close()


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of one shard in stored order, streamed.

    Raises:
        UserError: the file is not a shard of `ingest`.
    """
    import webdataset

    with path.open("rb") as file:
        source = iter([{"url": str(path), "stream": file}])
        members = webdataset.tariterators.tar_file_expander(source)
        for group in webdataset.tariterators.group_by_keys(members):
            ending = next((item for item in FORMATS.values() if item in group), None)
            if ending is None or "json" not in group:
                raise UserError(f"{path}: {group['__key__']} has no image or no .json; make the shards with `ingest`")
            yield Sample(group["__key__"], group[ending], json.loads(group["json"]))


def shard_files(folder: Path) -> list[Path]:
    """The shards of a corpus in order.

    Raises:
        UserError: there are none.
    """
    files = sorted(folder.glob("corpus-*.tar"))
    if not files:
        raise UserError(f"{folder}: no corpus-*.tar files; `dvc repro ingest` makes them")
    return files
