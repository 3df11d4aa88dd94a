"""The original project's `.npy` files: arrays of objects, read by `array_pickle`, so that nothing in a file can run."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.common.errors import UserError
from tasks.corpus.array_pickle import RefusedError, read_object_array

MOST_BYTES = 4_000_000_000
_START = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<>|][A-Za-z]\d{0,9})', 'fortran_order': (?:False|True), 'shape': \(([\d, ]{0,200})\), \} *\n"
)
_KINDS = {b"": "is empty", b"PK": "is an .npz archive"}


def read_original_array(path: Path, most_bytes: int = MOST_BYTES) -> NDArray[np.object_]:
    """The array of objects in a file; arrays inside it are read-only.

    Args:
        path: the `.npy` file.
        most_bytes: larger files are refused; memory use is about twice a file's size.

    Raises:
        UserError: the file is missing, too large, damaged, not an array of objects, or one with anything else inside than
            lists, tuples, dictionaries, texts, numbers and arrays.
    """
    try:
        if not path.is_file():
            raise RefusedError("is a folder or a device" if path.exists() else "is not there")
        if path.stat().st_size > most_bytes:
            raise RefusedError(f"is larger than {most_bytes} bytes")
        file = io.BytesIO(path.read_bytes())
        _check_header(file)
        return read_object_array(file)
    except RefusedError as refused:
        raise UserError(f"{path}: {refused}; expected a .npy file of objects as the original project saves it") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; make it readable") from None


def _check_header(file: io.BytesIO) -> None:
    """Leaves `file` behind its header, of which numpy writes one form; its reader takes many, with Python's parser."""
    start = file.read(len(_START))
    if start != _START:
        raise RefusedError(_KINDS.get(start[:2], "is not a .npy file (version 1.0)"))
    header = _HEADER.fullmatch(file.read(int.from_bytes(file.read(2), "little")))
    if header is None:
        raise RefusedError("has a damaged header")
    kind, shape = (part.decode("ascii") for part in header.groups())
    if kind != "|O":
        raise RefusedError(f"holds {kind} ({shape}), not objects")
