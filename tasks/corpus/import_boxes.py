"""Boxes of the original project to parquet as the stage `boxes` writes it (LVD specification, section 6.1)."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from tasks.common.errors import UserError
from tasks.common.quarantine import Quarantine
from tasks.corpus.captions import MOST_CHARACTERS
from tasks.corpus.detector import Detections, corners_from_centres, usable_boxes
from tasks.corpus.import_files import MOST_IMAGES, BadRowError, Imported, Keys, nothing_left, row_name, save
from tasks.corpus.original_arrays import read_original_array

SCHEMA = pyarrow.schema(
    [
        ("key", pyarrow.string()),
        ("caption", pyarrow.string()),
        ("boxes", pyarrow.list_(pyarrow.list_(pyarrow.float32(), 4))),
        ("scores", pyarrow.list_(pyarrow.float32())),
        ("phrases", pyarrow.list_(pyarrow.string())),
    ]
)
"""The stage's own, without its detector."""
MOST_BOXES = 1000
"""More than the detector's 900 queries."""
MOST_PHRASE = 1000
_MOST_VALUES = 100_000_000
_SETTINGS = {
    "detector": "IDEA-Research/grounding-dino-tiny",  # the original's GroundingDINO SwinT-OGC
    "revision": None,
    "resolution": 512,
    "box_threshold": 0.2,
    "text_threshold": 0.2,
}


def import_boxes(path: Path, target: Path, key_pattern: str) -> Imported:
    """Writes one original file `path` as parquet, and beside it a list of the rows and boxes that were set aside.

    As in the stage, corners are clipped to the image, boxes without area or phrase set aside, and the best score comes
    first. Captions stay as they are.

    Raises:
        UserError: the file cannot be read, is not of this form, or has no usable row.
    """
    keys, quarantine = Keys(key_pattern), Quarantine()
    rows: list[dict[str, Any]] = []
    values = 0
    for number, cells in enumerate(_read(path)):
        try:
            key = keys.of(cells[0])
            found = _detections(cells)
        except BadRowError as error:
            quarantine.add(row_name(number, cells[0]), error.reason, str(error))
            continue
        for reason, boxes in sorted(found.dropped.items()):
            quarantine.add(key, reason, f"{boxes} boxes")
        rows.append(_row(key, cells[1], found))
        values += len(cells[1]) + sum(map(len, found.phrases)) + 5 * len(found.phrases)
        if values > _MOST_VALUES:
            raise UserError(f"{path}: more than {_MOST_VALUES} characters and numbers; split the file")
    if not rows:
        raise nothing_left(path, quarantine)
    table = pyarrow.Table.from_pylist(rows, SCHEMA.with_metadata({"groundreel": json.dumps(_SETTINGS, sort_keys=True)}))
    aside = save(target, partial(parquet.write_table, table), quarantine)
    return Imported(f"{len(rows)} images, {sum(len(row['phrases']) for row in rows)} boxes", aside, quarantine.reasons)


def _read(path: Path) -> NDArray[np.object_]:
    array = read_original_array(path)
    if array.ndim != 2 or array.shape[1] != 5 or len(array) > MOST_IMAGES:
        raise UserError(
            f"{path}: objects {list(array.shape)}; expected rows of index, caption, boxes, scores and phrases, "
            f"at most {MOST_IMAGES}; `groundreel import latents` reads latents"
        )
    return array


def _detections(cells: NDArray[np.object_]) -> Detections:
    _, caption, boxes, scores, phrases = cells
    _check_text("bad-caption", caption, MOST_CHARACTERS)
    boxes_N4, scores_N = _numbers("bad-boxes", boxes, (4,)), _numbers("bad-scores", scores, ())
    words = _phrases(phrases)
    if not len(boxes_N4) == len(scores_N) == len(words):
        raise BadRowError("lengths-differ", f"{len(boxes_N4)} boxes, {len(scores_N)} scores, {len(words)} phrases")
    boxes_N4[~np.isfinite(boxes_N4).all(axis=1)] = np.nan  # clipping would make a finite corner of infinity
    return usable_boxes(corners_from_centres(boxes_N4), scores_N, words)


def _numbers(reason: str, array: Any, each: tuple[int, ...]) -> NDArray[np.float32]:
    """A copy of the array; `each` is the shape of one of its items."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.ndim == 0 or array.shape[1:] != each:
        raise BadRowError(reason, f"not an array of floating-point numbers, each of shape {list(each)}")
    if len(array) > MOST_BOXES:
        raise BadRowError(reason, f"{len(array)} of them, more than {MOST_BOXES}")
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _phrases(phrases: Any) -> list[str]:
    if not isinstance(phrases, list | tuple) or len(phrases) > MOST_BOXES:
        raise BadRowError("bad-phrases", f"not a list of at most {MOST_BOXES} texts")
    for phrase in phrases:
        _check_text("bad-phrases", phrase, MOST_PHRASE)
    return list(phrases)


def _check_text(reason: str, text: Any, most: int) -> None:
    if not isinstance(text, str):
        raise BadRowError(reason, f"a {type(text).__name__}, not a text")
    if len(text) > most:
        raise BadRowError(reason, f"{len(text)} characters, more than {most}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRowError(reason, "not Unicode") from None


def _row(key: str, caption: str, found: Detections) -> dict[str, Any]:
    return {
        "key": key,
        "caption": caption,
        "boxes": found.boxes_N4.tolist(),
        "scores": found.scores_N.tolist(),
        "phrases": found.phrases,
    }
