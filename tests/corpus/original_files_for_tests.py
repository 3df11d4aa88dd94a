"""Files as the original project saves them, and pickles that no honest program writes."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

RECONSTRUCT: Callable[..., object] = np._core.multiarray._reconstruct  # type: ignore[attr-defined]
SCALAR: Callable[..., object] = np._core.multiarray.scalar  # type: ignore[attr-defined]


class Reduced:
    """Is pickled as a call of `function`, and a state for its result if there is one."""

    def __init__(self, function: Callable[..., object], arguments: tuple[object, ...], *state: object) -> None:
        self.parts = (function, arguments, *state)

    def __reduce__(self) -> tuple[object, ...]:
        return self.parts


def type_of(code: str = "f2", order: object = "<", *rest: object) -> Reduced:
    """A pickled numpy.dtype of any code and state."""
    return Reduced(np.dtype, (code, False, True), (3, order, *(rest or (None, None, None, -1, -1, 0))))


def array_of(shape: object, data: object, kind: object = None, version: object = 1, by_column: object = False) -> Reduced:
    """A pickled numpy.ndarray of any shape, type and content."""
    return Reduced(
        RECONSTRUCT, (np.ndarray, (0,), b"b"), (version, shape, type_of() if kind is None else kind, by_column, data)
    )


def objects_of(items: Sequence[object], shape: object = None) -> Reduced:
    """A pickled array of objects, one-dimensional unless told otherwise."""
    kind = type_of("O8", "|", None, None, None, -1, -1, 63)
    return array_of((len(items),) if shape is None else shape, list(items), kind)


def npy(pickled: bytes, descr: str = "|O", shape: str = "(1,)") -> bytes:
    """A .npy file of objects with this content; the shape in its header says nothing."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    return npy_format.magic(1, 0) + (len(header) + 1).to_bytes(2, "little") + header.encode() + b"\n" + pickled


def saved(content: object, protocol: int = 4) -> bytes:
    """A .npy file whose pickle is of `content`."""
    return npy(pickle.dumps(content, protocol=protocol))


def saved_by_numpy(array: NDArray[Any]) -> bytes:
    """A .npy file as the installed numpy writes it."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def saved_by_numpy_1(array: NDArray[Any]) -> bytes:
    """A .npy file as numpy 1.16 to 1.26 wrote it: protocol 3, and numpy.core where numpy 2 says numpy._core."""
    return npy(pickle.dumps(array, protocol=3).replace(b"cnumpy._core.", b"cnumpy.core."))


def box_rows(*rows: Sequence[object]) -> NDArray[np.object_]:
    """An array of objects [N, 5] of (index, caption, boxes, scores, phrases)."""
    array = np.empty((len(rows), 5), dtype=object)
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            array[number, column] = cell
    return array


def box_row(
    index: object = 1, caption: object = "A cat.", boxes: object = None, scores: object = None, *words: object
) -> Any:
    """One row; a single box of a cat in the middle unless told otherwise."""
    boxes_N4 = np.array([[0.5, 0.5, 0.25, 0.5]], np.float16) if boxes is None else boxes
    scores_N = np.array([0.75], np.float16) if scores is None else scores
    return index, caption, boxes_N4, scores_N, words[0] if words else ["a cat"]


def latents_of(indices: object, latents: object) -> NDArray[np.object_]:
    """A 0-d array of objects that holds {"indices", "latents"}."""
    return np.array({"indices": indices, "latents": latents}, dtype=object)


def some_latents(number: int, side: int = 2) -> NDArray[np.float16]:
    """Latents [N, 4, side, side]."""
    return np.random.default_rng(number).standard_normal((number, 4, side, side)).astype(np.float16)


def write(folder: Path, data: bytes, name: str = "image.tar.npy") -> Path:
    """Writes a file into the folder."""
    path = folder / name
    path.write_bytes(data)
    return path
