"""Rows of boxes and their latents, joined by key, shard by shard; and the rule by which boxes are kept (specs/lvd.md 6.2).

Legend: N images, n boxes of one image, M boxes of a shard, C latent channels, h and w latent sides.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
from numpy.typing import NDArray
from safetensors import SafetensorError

from tasks.common.errors import UserError
from tasks.common.latent_files import load_latents

_COLUMNS = ("key", "caption", "boxes", "scores", "phrases")
_COUNTS = (
    "images_without_latents",
    "images_without_boxes",
    "images_without_kept_boxes",
    "boxes",
    "boxes_unusable",
    "boxes_kept",
)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


class BoxRule(NamedTuple):
    """Boxes that score above `score_threshold` are kept; with more than `most_boxes`, those above the last of so many."""

    score_threshold: float
    most_boxes: int


class Grounding(NamedTuple):
    """What an image shows: its caption, and (x0, y0, x1, y1) in 0..1 with a phrase for each kept box."""

    caption: str
    boxes_n4: NDArray[np.float32]
    phrases: list[str]


def kept_boxes(scores_n: NDArray[np.float32], rule: BoxRule) -> NDArray[np.bool_]:
    """Which boxes of one image are kept; so ties at the last place, and one more box than slots, leave a slot free."""
    limit = rule.score_threshold
    if len(scores_n) > rule.most_boxes:
        limit = max(limit, float(np.sort(scores_n)[-rule.most_boxes]))
    return np.asarray(scores_n > limit)


class BoxTable:
    """The rows of one parquet file of the stage `boxes`."""

    def __init__(self, path: Path, rule: BoxRule) -> None:
        """Reads the file.

        Raises:
            UserError: it is not such a file.
        """
        try:
            table = parquet.read_table(path, columns=list(_COLUMNS))
            boxes = table["boxes"].combine_chunks()
            self._boxes_M4 = boxes.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 4).clip(0, 1)
            self._scores_M = table["scores"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            self._ends_N = np.cumsum(boxes.value_lengths().to_numpy(zero_copy_only=False))
            self.keys: list[str] = table["key"].to_pylist()
            self._captions, self._phrases = table["caption"], table["phrases"]
        except (OSError, pyarrow.ArrowInvalid, ValueError, KeyError, AttributeError) as error:
            raise UserError(
                f"{path}: not boxes ({' '.join(str(error).split())[:200]}); `dvc repro boxes` makes them"
            ) from None
        if len(self._scores_M) != len(self._boxes_M4):
            raise UserError(f"{path}: {len(self._boxes_M4)} boxes but {len(self._scores_M)} scores; make it again")
        self._rule = rule
        sides_M2 = self._boxes_M4[:, 2:] - self._boxes_M4[:, :2]
        self._usable_M = (sides_M2 > 0).all(axis=1) & np.isfinite(self._scores_M)  # a comparison with NaN is false

    def _range(self, row: int) -> slice:
        return slice(int(self._ends_N[row - 1]) if row else 0, int(self._ends_N[row]))

    def _kept(self, row: int) -> NDArray[np.int64]:
        """Numbers of the row's kept boxes, counted from its first."""
        usable_n = np.flatnonzero(self._usable_M[self._range(row)])
        kept: NDArray[np.int64] = usable_n[kept_boxes(self._scores_M[self._range(row)][usable_n], self._rule)]
        return kept

    def counts(self, row: int) -> tuple[int, int, int]:
        """How many boxes the row has, how many of them are usable (finite, with an area), and how many are kept."""
        usable_n = self._usable_M[self._range(row)]
        return len(usable_n), int(usable_n.sum()), len(self._kept(row))

    def grounding(self, row: int) -> Grounding:
        """The row's caption and kept boxes."""
        kept = self._kept(row)
        phrases = self._phrases[row].as_py()
        return Grounding(
            self._captions[row].as_py(), self._boxes_M4[self._range(row)][kept], [phrases[index] for index in kept]
        )


@dataclass(frozen=True)
class PairedShard:
    """Images of one shard that have both: row `box_rows_N[i]` of the boxes, row `latent_rows_N[i]` of the latents."""

    boxes: Path
    latents: Path
    box_rows_N: NDArray[np.int32]
    latent_rows_N: NDArray[np.int32]


@dataclass(frozen=True)
class GroundedCorpus:
    """All paired shards, what was counted on the way, and what the latents are like."""

    shards: list[PairedShard]
    rule: BoxRule
    counts: Counter[str]
    latent_shape: tuple[int, ...]
    scaling_factor: float

    @property
    def images(self) -> int:
        """Images to train on."""
        return sum(len(shard.box_rows_N) for shard in self.shards)


class Layout(NamedTuple):
    """A held-out image's key and what it shows; `latent` says where its latent is: (file, row)."""

    key: str
    grounding: Grounding
    latent: tuple[Path, int]


class _LatentKind(NamedTuple):
    shape: tuple[int, ...]
    scaling_factor: float


def _pair(boxes: Path, latents: Path, rule: BoxRule, counts: Counter[str]) -> tuple[PairedShard, _LatentKind]:
    table = BoxTable(boxes, rule)
    try:
        latents_NChw, facts = load_latents(latents)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{latents}: not latents ({_one_line(error)}); `dvc repro latents` makes them") from None
    row_of = {key: row for row, key in enumerate(facts.keys)}
    pairs = [(row, row_of[key]) for row, key in enumerate(table.keys) if key in row_of]
    counts["images_without_latents"] += len(table.keys) - len(pairs)
    counts["images_without_boxes"] += len(row_of) - len(pairs)
    for row, _ in pairs:
        found, usable, kept = table.counts(row)
        counts.update(boxes=found, boxes_unusable=found - usable, boxes_kept=kept, images_without_kept_boxes=int(not kept))
    rows_N2 = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    shard = PairedShard(boxes, latents, rows_N2[:, 0], rows_N2[:, 1])
    return shard, _LatentKind(tuple(latents_NChw.shape[1:]), facts.scaling_factor)


def read_corpus(boxes: Path, latents: Path, rule: BoxRule) -> GroundedCorpus:
    """Pairs the shards by file name and their rows by key; what has no partner is counted.

    Raises:
        UserError: no image has both, a file cannot be read, or latents differ in shape or scale.
    """
    box_files = {file.stem: file for file in sorted(boxes.glob("*.parquet"))}
    latent_files = {file.stem: file for file in sorted(latents.glob("*.safetensors"))}
    counts = Counter[str](dict.fromkeys(_COUNTS, 0))
    paired = [
        _pair(box_files[stem], latent_files[stem], rule, counts) for stem in sorted(box_files.keys() & latent_files.keys())
    ]
    for stem in sorted(box_files.keys() - latent_files.keys()):
        counts["images_without_latents"] += len(BoxTable(box_files[stem], rule).keys)
    for stem in sorted(latent_files.keys() - box_files.keys()):
        counts["images_without_boxes"] += len(load_latents(latent_files[stem])[1].keys)
    shards = [(shard, kind) for shard, kind in paired if len(shard.box_rows_N)]
    if not shards:
        raise UserError(f"{boxes}, {latents}: no image has both boxes and latents; make both from the same corpus")
    first, (shape, scale) = shards[0]
    for shard, kind in shards:
        if kind != (shape, scale):
            raise UserError(
                f"{shard.latents}: latents {list(kind.shape)} scaled by {kind.scaling_factor}, but {first.latents} holds "
                f"{list(shape)} scaled by {scale}; encode all shards with one autoencoder and resolution"
            )
    return GroundedCorpus([shard for shard, _ in shards], rule, counts, shape, scale)


def hold_out(corpus: GroundedCorpus, count: int) -> tuple[GroundedCorpus, list[Layout]]:
    """Sets the last `count` images with a kept box aside as layouts to score on; the others are trained on.

    Raises:
        UserError: that would leave nothing to train on, or there are not as many.
    """
    layouts, shards = list[Layout](), list[PairedShard]()
    for shard in reversed(corpus.shards):
        keep = np.ones(len(shard.box_rows_N), dtype=bool)
        if len(layouts) < count:
            table = BoxTable(shard.boxes, corpus.rule)
            for index in reversed(range(len(keep))):
                row = int(shard.box_rows_N[index])
                if len(layouts) < count and table.counts(row)[2]:
                    latent = (shard.latents, int(shard.latent_rows_N[index]))
                    layouts.append(Layout(table.keys[row], table.grounding(row), latent))
                    keep[index] = False
        if keep.any():
            kept = replace(shard, box_rows_N=shard.box_rows_N[keep], latent_rows_N=shard.latent_rows_N[keep])
            shards.append(kept)
    if len(layouts) < count or not shards:
        raise UserError(
            f"igligen.evaluation_images = {count}: {corpus.images} images have boxes and latents, some perhaps no box "
            f"above {corpus.rule.score_threshold}; hold fewer out or bring a larger corpus"
        )
    return replace(corpus, shards=shards[::-1]), layouts[::-1]
