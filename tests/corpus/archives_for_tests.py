"""Small pictures, archives, headers that lie, and a process with little memory: made here, used by several tests."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import zstandard
from PIL import Image

from tasks.corpus.archive import ArchiveEnd, Limits, Member, read_members

ROOT = Path(__file__).resolve().parents[2]
END = bytes(1024)
BLOCK = 512
HTML = b"<html><body>404 not found</body></html>"
LIMITS = Limits(most_members=100, most_member_bytes=1_000_000, most_archive_bytes=10_000_000)
FILES = [(f"folder/image_{number}.jpg", hashlib.shake_256(bytes([number])).digest(50_000 + number)) for number in range(6)]
"""Members that no compression makes smaller."""

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": lambda data: gzip.compress(data, mtime=0),
    "bz2": lambda data: bz2.compress(data, compresslevel=1),
    "xz": lzma.compress,
    "zst": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}

_LITTLE_MEMORY = """
import resource
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + {growth}, now + {growth}))
"""


def picture(number: int = 0, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A gradient; each number has another one."""
    red = Image.linear_gradient("L").resize(size)
    green = red.rotate(90, expand=True).resize(size)
    return Image.merge("RGB", (red, green, Image.new("L", size, number * 37 % 256)))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The picture as a file of the given format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(number: int = 0, size: tuple[int, int] = (48, 40)) -> bytes:
    """A small JPEG file; each number gives another one."""
    return encoded(picture(number, size), quality=90)


def oriented(number: int) -> Image.Exif:
    """EXIF data with this orientation, 1 to 8."""
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """One tar header, which need not be true."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info.tobuf(tarfile.GNU_FORMAT)


def member(name: str, data: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    """One member of a tar file: header and padded content."""
    return header(name, len(data), kind) + data + bytes(-len(data) % BLOCK)


def tar(files: Iterable[tuple[str, bytes]], compression: str = "plain") -> bytes:
    """A tar archive of regular files."""
    return COMPRESSIONS[compression](b"".join(member(name, data) for name, data in files) + END)


def bomb(start: bytes, zeros: int) -> bytes:
    """A gzip file that unpacks to `start` and about so many zeros, made without unpacking it."""
    chunk = 1 << 25
    return gzip.compress(start) + gzip.compress(bytes(chunk)) * (zeros // chunk + 1)


def run_in_little_memory(imports: str, code: str, growth: int) -> str:
    """What `code` prints in a process that may take `growth` bytes more than it has after `imports`."""
    source = imports + _LITTLE_MEMORY.format(growth=growth) + code
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", source]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def read(path: Path, data: bytes, limits: Limits = LIMITS) -> tuple[list[Member], ArchiveEnd | None]:
    """The members of an archive of these bytes, and how it ended if not well."""
    path.write_bytes(data)
    members = []
    try:
        for item in read_members(path, limits):
            members.append(item)
    except ArchiveEnd as end:
        return members, end
    return members, None


def reason(end: ArchiveEnd | None) -> str | None:
    """The fixed word of an end that was not well."""
    return end.reason if end else None


def sound(members: list[Member]) -> list[tuple[str, bytes]]:
    """Names and contents of the members that have no problem."""
    return [(item.name, item.data) for item in members if not item.problem]
