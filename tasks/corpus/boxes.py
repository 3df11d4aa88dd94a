"""Stage `boxes`: what the captions name, detected on the corpus; scored where true boxes are known."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray
from pydantic import Field

from tasks.common import stage
from tasks.common.box_matching import MatchCounts, match_boxes
from tasks.common.contact_sheet import LabelledBox, Tile, save_contact_sheet
from tasks.common.corpus_shards import read_samples, shard_files
from tasks.common.images import square_crop, stored_picture
from tasks.common.parameters import Compute, Section
from tasks.common.provenance import made_by
from tasks.common.quarantine import check_bad_share
from tasks.common.shard_engine import Part
from tasks.common.shard_stage import MappedFiles, map_files

_TILE_PIXELS = (224, 224)


class Parameters(Section):
    """Which detector, at what resolution and thresholds (LVD specification, section 6.1)."""

    backend: Literal["transformers", "groundingdino"] = Field(description="whose code runs the detector, docs/detectors.md")
    detector: str = Field(
        min_length=1, description="GroundingDINO checkpoint: a folder or a hub id; groundingdino: a .pth file"
    )
    revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    config: str | None = Field(description="groundingdino: the checkpoint's original configuration file")
    text_encoder: str | None = Field(description="groundingdino: a folder or a hub id with BERT's tokenizer and config.json")
    resolution: int = Field(ge=32, le=2048, multiple_of=8, description="side of the square crop in pixels")
    box_threshold: float = Field(gt=0, lt=1, description="least score of a box")
    text_threshold: float = Field(gt=0, lt=1, description="least probability of a token in a box's phrase")
    batch: int = Field(ge=1, le=1024, description="images per model call")
    keep_empty: bool = Field(description="whether an image without boxes keeps its row")
    max_bad_fraction: float = Field(ge=0, le=1, description="share of unusable boxes at which the stage fails")
    preview_images: int = Field(ge=0, le=200, description="images on the contact sheet")


@dataclass(frozen=True)
class Paths:
    """Corpus shards, detector and true boxes in; boxes, quarantine list, provenance, metrics and contact sheet out."""

    shards: Path
    truth: Path
    out: Path
    quarantine: Path
    provenance: Path
    figure: Path
    metrics: Path
    parts: Path


def _detect(project: Any, paths: Paths, shards: Sequence[Path]) -> MappedFiles:
    from tasks.corpus.detector_backends import DetectorSettings, detector_identity
    from tasks.corpus.shard_to_boxes import BoxesJob, shard_to_boxes

    parameters: Parameters = project.boxes
    compute: Compute = project.compute
    settings = DetectorSettings(**{name: getattr(parameters, name) for name in DetectorSettings._fields})
    made = made_by(
        "tasks.corpus.boxes",
        settings._asdict(),
        checkpoint=detector_identity(settings),
        device=compute.device,
        dtype=compute.dtype,
    )
    return map_files(
        shards,
        shard_to_boxes,
        lambda shard: BoxesJob(shard, settings, compute),
        made,
        paths.parts,
        compute,
        "shards",
    )


def _rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[str, NDArray[np.float32], list[Any]]]:
    """(key, boxes [N, 4], other columns) of each image; column-wise, which is several times faster than row by row."""
    table = parquet.read_table(file, columns=["key", "boxes", *columns])
    boxes = table["boxes"].combine_chunks()
    every_N4 = boxes.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    ends = np.cumsum(boxes.value_lengths().to_numpy(zero_copy_only=False))
    others = [table[name].to_pylist() for name in columns]
    for key, end, first, *other in zip(table["key"].to_pylist(), ends, np.append(0, ends), *others, strict=False):
        yield key, every_N4[first:end], other


def score(parts: Sequence[Part], truth: Path) -> dict[str, Any]:
    """Precision, recall and mean IoU over the images whose true boxes are known; without any, nulls."""
    from tasks.corpus.shard_to_boxes import BOXES_FILE

    known = {key: (boxes_M4, phrases) for key, boxes_M4, (phrases,) in _rows(truth, ["phrases"])}
    counts, images = MatchCounts(), 0
    for part in parts:
        for key, boxes_N4, (phrases, scores) in _rows(part.folder / BOXES_FILE, ["phrases", "scores"]):
            if key in known:
                images += 1
                counts += match_boxes(boxes_N4, phrases, np.array(scores, np.float32), *known[key])
    found = {"precision": counts.precision, "recall": counts.recall, "mean_iou": counts.mean_iou}
    return {"images_with_true_boxes": images, **(found if images else dict.fromkeys(found))}


def _save_preview(shard: Path, boxes: Path, parameters: Parameters, target: Path) -> None:
    rows = {row["key"]: row for row in parquet.read_table(boxes).to_pylist()}
    tiles = []
    for sample in itertools.islice(read_samples(shard), parameters.preview_images):
        row = rows.get(sample.key, {"boxes": [], "phrases": []})
        labelled = [LabelledBox(tuple(box), words) for box, words in zip(row["boxes"], row["phrases"], strict=True)]
        pixels = square_crop(stored_picture(sample.image), parameters.resolution)
        tiles.append(Tile(pixels, labelled, sample.facts["caption"]))
    save_contact_sheet(tiles, columns=6, size=_TILE_PIXELS, target=target)


def make_boxes(project: Any, paths: Paths) -> stage.Metrics:
    """Detects on every shard, links the results into the output, scores and draws them."""
    from tasks.corpus.shard_to_boxes import BOXES_FILE

    parameters: Parameters = project.boxes
    shards = shard_files(paths.shards)
    mapped = _detect(project, paths, shards)
    counts = mapped.sum_of("counts")
    mapped.write_records(paths.quarantine, paths.provenance)
    dropped = counts["boxes_dropped"]
    check_bad_share(dropped, dropped + counts["boxes"], parameters.max_bad_fraction, paths.quarantine)
    mapped.link(BOXES_FILE, paths.out)
    _save_preview(shards[0], mapped.parts[0].folder / BOXES_FILE, parameters, paths.figure)
    asked = counts["images"] - counts["images_without_caption"]
    return {
        "images": counts["images"],
        "images_without_caption": counts["images_without_caption"],
        "images_without_boxes": counts["images_without_boxes"],
        "captions_cut": counts["captions_cut"],
        "boxes": counts["boxes"],
        "boxes_per_image": counts["boxes"] / asked if asked else 0.0,
        "quarantined": dropped,
        "quarantined_by_reason": dict(sorted(mapped.sum_of("quarantined").items())),
        **score(mapped.parts, paths.truth),
    }


if __name__ == "__main__":
    sys.exit(stage.main("boxes", Paths, make_boxes))
