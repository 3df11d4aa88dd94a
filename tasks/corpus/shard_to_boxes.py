"""One corpus shard to one parquet file of detected boxes."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
import pyarrow.parquet as parquet
import torch

from tasks.common.corpus_shards import Sample, read_samples
from tasks.common.devices import select_device
from tasks.common.images import square_crop, stored_picture
from tasks.common.parameters import Compute
from tasks.common.prefetch import batches, prefetch
from tasks.common.quarantine import Quarantine
from tasks.common.shard_stage import QUARANTINE_FILE
from tasks.corpus.detector import Answer, Detections, Detector, query_text
from tasks.corpus.detector_backends import DetectorSettings, open_detector

BOXES_FILE = "boxes.parquet"
_SCHEMA = pyarrow.schema(
    [
        ("key", pyarrow.string()),
        ("caption", pyarrow.string()),
        ("boxes", pyarrow.list_(pyarrow.list_(pyarrow.float32(), 4))),
        ("scores", pyarrow.list_(pyarrow.float32())),
        ("phrases", pyarrow.list_(pyarrow.string())),
    ]
)


class BoxesJob(NamedTuple):
    """What a worker needs for one shard."""

    shard: Path
    settings: DetectorSettings
    compute: Compute


@lru_cache(maxsize=1)
def load_detector(settings: DetectorSettings, compute: Compute) -> Detector:
    """The detector, once per worker."""
    return open_detector(settings, *select_device(compute))


def _captioned(shard: Path, counts: Counter[str]) -> Iterator[Sample]:
    for sample in read_samples(shard):
        counts["images"] += 1
        if sample.facts["caption"]:
            yield sample
        else:
            counts["images_without_caption"] += 1


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Growing rows make Python walk all of torch's objects again and again: a tenth of the stage's time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_without_garbage_collection()
def shard_to_boxes(job: BoxesJob, folder: Path) -> dict[str, Any]:
    """Writes `boxes.parquet` and `quarantine.jsonl`; returns counts. Images without a caption are counted, not detected."""
    settings = job.settings
    detector = load_detector(settings, job.compute)
    counts, quarantine = Counter[str](), Quarantine()

    def prepare(batch: list[Sample]) -> tuple[list[Sample], dict[str, torch.Tensor]]:
        crops = [square_crop(stored_picture(item.image), settings.resolution) for item in batch]
        return batch, detector.prepare(crops, [query_text(item.facts["caption"]) for item in batch])

    def ask(prepared: tuple[list[Sample], dict[str, torch.Tensor]]) -> tuple[list[Sample], Answer]:
        return prepared[0], detector.answer(prepared[1])

    rows: list[dict[str, Any]] = []
    # On a CPU this model is thousands of short calls, and threads beside it cost more than they save: 1.3 against 1.07 times
    # the bare calls. An accelerator works while Python prepares.
    ahead = map if detector.device == "cpu" else prefetch
    for batch, answer in ahead(ask, ahead(prepare, batches(_captioned(job.shard, counts), settings.batch))):
        detections = detector.select(answer, settings.box_threshold, settings.text_threshold)
        for sample, found in zip(batch, detections, strict=True):
            counts["captions_cut"] += detector.is_cut(query_text(sample.facts["caption"]))
            _note_dropped(sample.key, found, counts, quarantine)
            if found.phrases or settings.keep_empty:
                rows.append(_row(sample, found))
                counts["boxes"] += len(found.phrases)
    metadata = {"groundreel": json.dumps(settings._asdict(), sort_keys=True)}
    parquet.write_table(pyarrow.Table.from_pylist(rows, _SCHEMA.with_metadata(metadata)), folder / BOXES_FILE)
    quarantine.write(folder / QUARANTINE_FILE)
    return {"counts": dict(counts), "quarantined": dict(quarantine.reasons)}


def _note_dropped(key: str, found: Detections, counts: Counter[str], quarantine: Quarantine) -> None:
    counts["images_without_boxes"] += not found.phrases
    for reason, number in sorted(found.dropped.items()):
        counts["boxes_dropped"] += number
        quarantine.add(key, reason, f"{number} boxes")


def _row(sample: Sample, found: Detections) -> dict[str, Any]:
    return {
        "key": sample.key,
        "caption": sample.facts["caption"],
        "boxes": found.boxes_N4.tolist(),
        "scores": found.scores_N.tolist(),
        "phrases": found.phrases,
    }
