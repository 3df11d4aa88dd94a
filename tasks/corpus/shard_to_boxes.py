"""One corpus shard to one parquet file of detected boxes."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
import pyarrow.parquet as parquet

from tasks.common.corpus_shards import Sample, read_samples
from tasks.common.devices import select_device
from tasks.common.images import decode_image, square_crop
from tasks.common.parameters import Compute
from tasks.common.quarantine import Quarantine
from tasks.corpus.detector import Detections, PhraseDetector, query_text

BOXES_FILE = "boxes.parquet"
_STORED_PIXELS = 10**9  # `ingest` has applied the user's own cap
_SCHEMA = pyarrow.schema(
    [
        ("key", pyarrow.string()),
        ("caption", pyarrow.string()),
        ("boxes", pyarrow.list_(pyarrow.list_(pyarrow.float32(), 4))),
        ("scores", pyarrow.list_(pyarrow.float32())),
        ("phrases", pyarrow.list_(pyarrow.string())),
    ]
)


class DetectorSettings(NamedTuple):
    """How boxes are detected; also written into each parquet file's metadata."""

    detector: str
    revision: str | None
    resolution: int
    box_threshold: float
    text_threshold: float
    batch: int
    keep_empty: bool


class BoxesJob(NamedTuple):
    """What a worker needs for one shard."""

    shard: Path
    settings: DetectorSettings
    compute: Compute


@lru_cache(maxsize=1)
def load_detector(checkpoint: str, revision: str | None, compute: Compute) -> PhraseDetector:
    """The detector, once per worker."""
    device, dtype = select_device(compute)
    return PhraseDetector(checkpoint, revision, device, dtype)


def _batches(samples: Iterator[Sample], size: int) -> Iterator[list[Sample]]:
    while batch := list(itertools.islice(samples, size)):
        yield batch


def detect_batch(detector: PhraseDetector, settings: DetectorSettings, samples: Sequence[Sample]) -> list[Detections]:
    """Boxes on the square crop of each sample, its caption as the query."""
    crops = [square_crop(decode_image(item.image, _STORED_PIXELS).picture, settings.resolution) for item in samples]
    texts = [query_text(item.facts["caption"]) for item in samples]
    return detector.detect(crops, texts, settings.box_threshold, settings.text_threshold)


def shard_to_boxes(job: BoxesJob, folder: Path) -> dict[str, Any]:
    """Writes `boxes.parquet` and `quarantine.jsonl`; returns counts. Images without a caption are counted, not detected."""
    settings = job.settings
    detector = load_detector(settings.detector, settings.revision, job.compute)
    counts, quarantine = Counter[str](), Quarantine()

    def captioned() -> Iterator[Sample]:
        for sample in read_samples(job.shard):
            counts["images"] += 1
            counts["images_without_caption"] += not sample.facts["caption"]
            if sample.facts["caption"]:
                yield sample

    rows: list[dict[str, Any]] = []
    for batch in _batches(captioned(), settings.batch):
        for sample, found in zip(batch, detect_batch(detector, settings, batch), strict=True):
            caption = sample.facts["caption"]
            counts["captions_cut"] += detector.count_tokens(query_text(caption)) > detector.most_tokens
            for reason, number in sorted(found.dropped.items()):
                counts["boxes_dropped"] += number
                quarantine.add(sample.key, reason, f"{number} boxes")
            counts["images_without_boxes"] += not found.phrases
            if found.phrases or settings.keep_empty:
                rows.append(_row(sample.key, caption, found))
                counts["boxes"] += len(found.phrases)
    metadata = {"groundreel": json.dumps(settings._asdict(), sort_keys=True)}
    parquet.write_table(pyarrow.Table.from_pylist(rows, _SCHEMA.with_metadata(metadata)), folder / BOXES_FILE)
    quarantine.write(folder / "quarantine.jsonl")
    return {"counts": dict(counts), "quarantined": dict(quarantine.reasons)}


def _row(key: str, caption: str, found: Detections) -> dict[str, Any]:
    return {
        "key": key,
        "caption": caption,
        "boxes": found.boxes_N4.tolist(),
        "scores": found.scores_N.tolist(),
        "phrases": found.phrases,
    }
