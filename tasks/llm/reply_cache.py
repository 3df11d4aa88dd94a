"""Replies of language models in an append-only file that lives in git: paid for once, readable as a diff.

Each line is JSON: {"key", "model", "asked", "reply"}, where `asked` is the begin of the question, for readers of diffs. A
reply that cannot be used (a refusal, say) has "reason" and "detail" too, so that it is not asked again; to ask again, delete
its line. The first line, {"format": "groundreel replies 1"}, keeps a cache without replies from being an empty file.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from tasks.common.errors import StageError, UserError
from tasks.common.files import cannot_write
from tasks.common.quarantine import printable
from tasks.llm.request import without_half_surrogates

_FORMAT = {"format": "groundreel replies 1"}
_FLUSH_EVERY_S = 1.0  # a flush takes milliseconds in which no other call goes on; what is written outlives a kill without it
_MOST_ASKED = 200
_MOST_ORIGINAL_BYTES = 200_000_000


class Record(NamedTuple):
    """One reply; `reason` is empty unless it cannot be used."""

    reply: str
    reason: str = ""
    detail: str = ""


class ReplyCache:
    """The records of one file; several processes may add to it at a time, and the first record of a key counts."""

    def __init__(self, path: Path) -> None:
        """Reads the file; a missing one is an empty cache. A torn last line, left by a kill, is not a record.

        Raises:
            UserError: unreadable file, or a line that is no record.
        """
        self.path = path
        self._records: dict[str, Record] = {}
        self._file: tuple[int, int] | None = None
        self._end, self._line = 0, 0
        self._flushed, self._flushed_at = True, time.monotonic()
        try:
            with path.open("rb") as file:
                self._read_new(file)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise UserError(f"{path}: {os.strerror(error.errno or 0)}; the reply cache must be a readable file") from None

    def get(self, key: str) -> Record | None:
        """The record of a request's key."""
        return self._records.get(key)

    def __len__(self) -> int:
        return len(self._records)

    def add(self, key: str, model: str, asked: str, record: Record) -> Record:
        """Appends a record in one write and returns the one that counts: another process's, if that came first.

        Half surrogates in the reply become U+FFFD.

        Raises:
            StageError: the file cannot be written.
        """
        record = Record(*map(without_half_surrogates, record))
        entry = {"key": key, "model": model, "asked": _begin(asked), "reply": record.reply}
        if record.reason:
            entry |= {"reason": record.reason, "detail": record.detail}
        return self._append(key, record, _encode(entry))

    def ensure(self) -> None:
        """Makes the file if there is none; one that is there keeps its bytes."""
        if not self.path.exists():
            self._append("", None, b"")

    def close(self) -> None:
        """Waits until all that was added is on the disk."""
        if not self._flushed:
            with self.path.open("ab", buffering=0) as file:
                os.fsync(file.fileno())
            self._flushed = True

    def _append(self, key: str, record: Record | None, line: bytes) -> Record:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
                self._settle(file)
                if record is not None and key not in self._records:
                    self._write(file, line)
                    self._records[key] = record
                if time.monotonic() - self._flushed_at > _FLUSH_EVERY_S:
                    os.fsync(file.fileno())
                    self._flushed, self._flushed_at = True, time.monotonic()
        except OSError as error:
            raise StageError(cannot_write(self.path, error)) from None
        return self._records.get(key, Record(""))

    def _settle(self, file: FileIO) -> None:
        """Takes in what others added, cuts a torn last line away, and heads an empty file."""
        with open(file.fileno(), "rb", closefd=False) as reader:
            tail = self._read_new(reader)
        if tail and _is_record(tail):
            self._write(file, b"\n", len(tail))
        elif tail:
            file.truncate(self._end)
        if self._end == 0:
            self._write(file, _encode(_FORMAT))

    def _write(self, file: FileIO, data: bytes, before: int = 0) -> None:
        written = file.write(data)
        self._flushed = False
        if written != len(data):
            raise OSError(errno.ENOSPC, "the disk took only a part of a record")
        self._end += before + len(data)
        self._line += 1

    def _read_new(self, file: BinaryIO) -> bytes:
        """Reads on from the last known record; returns what stands behind the last line end."""
        status = os.fstat(file.fileno())
        if self._file != (status.st_dev, status.st_ino) or status.st_size < self._end:
            self._file, self._end, self._line = (status.st_dev, status.st_ino), 0, 0
        if status.st_size == self._end:
            return b""
        file.seek(self._end)
        for line in file:
            if not line.endswith(b"\n"):
                if _is_record(line):
                    self._take(line)
                return line
            self._line += 1
            self._end += len(line)
            self._take(line)
        return b""

    def _take(self, line: bytes) -> None:
        try:
            found = _parse(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{self.path}: line {self._line}: {printable(str(error), 100)}; delete the line or restore the file from git"
            ) from None
        if found:
            self._records.setdefault(*found)


def _begin(text: str) -> str:
    return printable(" ".join(text[: 10 * _MOST_ASKED].split()), _MOST_ASKED)[:_MOST_ASKED]


def _encode(entry: dict[str, str]) -> bytes:
    """One line; what is not printable (control and format characters, half surrogates) is escaped."""
    text = json.dumps(entry, ensure_ascii=False)
    if not text.isprintable():
        text = "".join(item if item.isprintable() else json.dumps(item)[1:-1] for item in text)
    return text.encode("utf-8") + b"\n"


def _parse(line: bytes) -> tuple[str, Record] | None:
    """Key and record; None for an empty or a format line."""
    if not line.strip():
        return None
    entry = json.loads(line)
    if entry == _FORMAT:
        return None
    whole = {"reason": "", "detail": "", **entry} if isinstance(entry, dict) else {}
    if not all(isinstance(whole.get(name), str) for name in ("key", "model", "asked", "reply", "reason", "detail")):
        raise ValueError('no record with texts under "key", "model", "asked" and "reply"')
    return whole["key"], Record(whole["reply"], whole["reason"], whole["detail"])


def _is_record(line: bytes) -> bool:
    try:
        return _parse(line) is not None
    except (ValueError, RecursionError):
        return False


def original_key(prompt: str) -> str:
    """A prompt as the original projects' caches name it."""
    return prompt.strip().rstrip(".")


def read_original_cache(path: Path) -> dict[str, list[str]]:
    """Raw replies by `original_key` from an original project's cache file, JSON {prompt: [reply, ...]}.

    Raises:
        UserError: unreadable or too large file, not JSON of that form, or one prompt twice.
    """
    try:
        if path.stat().st_size > _MOST_ORIGINAL_BYTES:
            raise UserError(f"{path}: over {_MOST_ORIGINAL_BYTES} bytes; split it")
        pairs = json.loads(path.read_bytes(), object_pairs_hook=list)
    except OSError as error:
        raise UserError(f"{path}: {os.strerror(error.errno or 0)}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {printable(str(error), 100)}") from None
    replies: dict[str, list[str]] = {}
    for prompt, texts in _pairs(path, pairs):
        if prompt in replies:
            raise UserError(f"{path}: prompt {printable(prompt, 80)!r} is there twice; delete one")
        replies[prompt] = texts
    return replies


def _pairs(path: Path, pairs: Any) -> list[tuple[str, list[str]]]:
    whole = []
    for pair in pairs if isinstance(pairs, list) else [None]:
        if not isinstance(pair, tuple):
            raise UserError(f"{path}: the file has another form than {{prompt: [reply, ...]}}")
        prompt, texts = pair
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise UserError(f"{path}: prompt {printable(prompt, 80)!r} has no list of texts; write [reply, ...]")
        whole.append((original_key(prompt), texts))
    return whole
