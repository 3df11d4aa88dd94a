"""Image archives as hostile input: streamed, told by content, capped, never extracted."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import zstandard

from tasks.common.errors import UserError

_HEADER_BYTES = 50_000
"""Most that describes one member, its name included. `tarfile` before Python 3.11.10 may take the square of it in memory."""
_DICTIONARY_BYTES = 2**27
_CHUNK = 1 << 18
_BROKEN_STREAM = (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
_BROKEN_HEADER = (tarfile.TarError, ValueError, LookupError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Limits:
    """Caps that stop a decompression bomb; each is a parameter of `ingest`."""

    most_members: int
    most_member_bytes: int
    most_archive_bytes: int


@dataclass(frozen=True)
class Member:
    """One regular file of an archive: name as stored and content; or a `problem` (quarantine word) instead of content."""

    name: str
    data: bytes = b""
    problem: str = ""
    detail: str = ""


class ArchiveEnd(Exception):
    """Nothing more can be read; `reason` is the quarantine's fixed word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class _LzmaStream(io.RawIOBase):
    """LZMA with a memory limit, which `lzma.LZMAFile` does not offer."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start(b"")

    def _start(self, raw: bytes) -> None:
        self._decoder, self._raw = lzma.LZMADecompressor(memlimit=2 * _DICTIONARY_BYTES), raw

    def _next_stream(self) -> bool:
        """Parallel compressors write several streams, with or without zeros between them."""
        rest = self._decoder.unused_data
        while not (rest := rest.lstrip(b"\0")):
            if not (rest := self._file.read(_CHUNK)):
                return False
        self._start(rest)
        return True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = b""
        while not data and (not self._decoder.eof or self._next_stream()):
            raw, self._raw = self._raw, b""
            if self._decoder.needs_input and not raw and not (raw := self._file.read(_CHUNK)):
                raise EOFError("xz stream ends early")
            data = self._decoder.decompress(raw, len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Budget(io.RawIOBase):
    """Counts what is read; stops a header that pretends to be huge and an archive that unpacks beyond its cap."""

    def __init__(self, stream: BinaryIO, most_bytes: int) -> None:
        self._stream, self._most_bytes = stream, most_bytes
        self.total = self.owed = 0
        self.allowed = _HEADER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self.total += len(data)
        if not data and self.total < self.owed:
            raise EOFError("unexpected end of data")
        if self.total > self._most_bytes:
            raise ArchiveEnd("archive-too-large", f"unpacks to more than most_archive_bytes = {self._most_bytes}")
        if self.total > self.allowed:
            raise ArchiveEnd("damaged-archive", f"a header of more than {_HEADER_BYTES} bytes")
        buffer[: len(data)] = data
        return len(data)


class _StrictInfo(tarfile.TarInfo):
    """`tarfile` takes a broken or missing header behind the first member for the end of the archive; this does not."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> _StrictInfo:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError):  # type: ignore[attr-defined]
            raise EOFError("no end-of-archive mark") from None
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None


def _decompressed(file: BinaryIO) -> BinaryIO:
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if start.startswith(b"BZh"):
        return cast(BinaryIO, bz2.BZ2File(file))
    if start == b"\xfd7zXZ\x00":
        return cast(BinaryIO, io.BufferedReader(_LzmaStream(file)))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        decoder = zstandard.ZstdDecompressor(max_window_size=_DICTIONARY_BYTES)
        return cast(BinaryIO, decoder.stream_reader(file, read_across_frames=True))
    return file


def _unsafe_name(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or "\0" in name or not path.name


def read_members(path: Path, limits: Limits) -> Iterator[Member]:
    """Streams the members of a tar archive (plain, gz, bz2, xz or zst, told by content); folders are passed over.

    Raises:
        UserError: the file cannot be opened.
        ArchiveEnd: it is truncated, damaged, or beyond a cap; members before that were yielded.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; ingest.images names it") from None
    with file:
        budget = _Budget(_decompressed(file), limits.most_archive_bytes)
        try:
            yield from _walk(budget, limits)
        except (*_BROKEN_STREAM, *_BROKEN_HEADER) as error:
            early = isinstance(error, EOFError) or "unexpected end of data" in str(error)
            raise ArchiveEnd("truncated-archive" if early else "damaged-archive", str(error)) from None


def _walk(budget: _Budget, limits: Limits) -> Iterator[Member]:
    count = 0
    stream = cast(BinaryIO, io.BufferedReader(budget))
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=1, tarinfo=_StrictInfo) as tar:
        while (info := tar.next()) is not None:
            tar.members, tar.pax_headers = [], {}  # type: ignore[attr-defined]  # a streamed archive may have millions
            count += 1
            if count > limits.most_members:
                raise ArchiveEnd("too-many-members", f"more than most_members = {limits.most_members}")
            budget.owed, budget.allowed = tar.offset, tar.offset + _HEADER_BYTES
            if not info.isdir():
                yield _member(tar, info, limits)
        _read_to_end(tar, budget, limits)
    if not count:
        raise ArchiveEnd("empty-archive", "no members")


def _read_to_end(tar: tarfile.TarFile, budget: _Budget, limits: Limits) -> None:
    """Compressed files have their checksum at the end."""
    budget.allowed = limits.most_archive_bytes
    while tar.fileobj and (rest := tar.fileobj.read(_CHUNK)):
        if rest.strip(b"\0"):
            raise ArchiveEnd("damaged-archive", "data behind the end-of-archive mark")


def _member(tar: tarfile.TarFile, info: tarfile.TarInfo, limits: Limits) -> Member:
    if not info.isreg() or info.issparse():
        return Member(info.name, problem="not-a-regular-file", detail=f"tar type {info.type!r}")
    if _unsafe_name(info.name):
        return Member(info.name, problem="unsafe-path")
    if info.size > limits.most_member_bytes:
        return Member(info.name, problem="member-too-large", detail=f"{info.size} bytes")
    file = tar.extractfile(info)
    data = file.read() if file else b""
    if len(data) != info.size:
        raise EOFError(f"unexpected end of data in {info.name}")
    return Member(info.name, data)
