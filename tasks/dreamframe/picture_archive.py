"""Pictures in one tar of PNG files: the same pictures give the same bytes; read as hostile input, never extracted."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.common.errors import UserError
from tasks.common.files import complete
from tasks.common.images import BadImage, decode_image
from tasks.common.quarantine import printable
from tasks.corpus.archive import ArchiveEnd, Limits, Member, read_members

MOST_PICTURES = 20_000
"""In one archive; a story of the original has 1,331 keyframes."""
MOST_PIXELS = 2**24
_LIMITS = Limits(most_members=MOST_PICTURES, most_member_bytes=2**26, most_archive_bytes=2**36)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,90}\.png")


def write_pictures(path: Path, pictures: Iterable[tuple[str, NDArray[np.uint8]]]) -> None:
    """Writes named pictures, uint8 [H, W, 3], in the order given, whole or not at all.

    Args:
        path: the archive.
        pictures: names such as "000.png", each once, with their pixels.

    Raises:
        ValueError: a name is not a plain one that ends in ".png", or comes twice.
    """
    names: set[str] = set()
    with complete(path) as unfinished, tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, pixels_HWC in pictures:
            if not _NAME.fullmatch(name) or name in names:
                raise ValueError(f"{name!r} is no name for a picture, or comes twice")
            names.add(name)
            encoded = io.BytesIO()
            Image.fromarray(pixels_HWC).save(encoded, "PNG")
            member = tarfile.TarInfo(name)  # time, owner and mode are constants
            member.size = encoded.tell()
            encoded.seek(0)
            tar.addfile(member, encoded)


def read_pictures(path: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yields the names and pixels, uint8 [H, W, 3], that `write_pictures` wrote; `dict` makes a mapping of them.

    Raises:
        UserError: no such file, damaged, too large, or with something else in it, links and folders included.
    """
    if not path.is_file():
        raise UserError(f"{path}: {'not a file' if path.exists() else 'no such file'}; expected an archive of pictures")
    names: set[str] = set()
    try:
        for member in read_members(path, _LIMITS):
            name = printable(member.name, 100)
            if member.problem or not _NAME.fullmatch(member.name) or member.name in names:
                raise UserError(f"{path}: {name}: {member.problem or 'not a name of a picture, or twice'}; make it again")
            names.add(member.name)
            yield member.name, _pixels(path, member)
    except ArchiveEnd as error:
        raise UserError(f"{path}: {error.reason}: {printable(str(error))}; make it again") from None


def _pixels(path: Path, member: Member) -> NDArray[np.uint8]:
    try:
        return np.array(decode_image(member.data, MOST_PIXELS).picture)
    except BadImage as error:
        raise UserError(f"{path}: {printable(member.name, 100)}: {printable(str(error))}; make it again") from None
