"""The training set: which image stands at which position of an endless, seeded order, and what is shown of it.

A position decides everything: the epoch and the image, whether its boxes and its caption are used. So any number of loading
processes gives the same samples, and training goes on at any step without reading what came before (specs/lvd.md 6.2).

Legend: B images, S grounding slots, C latent channels, h and w latent sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tasks.common.latent_files import load_latents
from tasks.common.seeds import item_seed
from tasks.igligen.grounded_corpus import BoxTable, GroundedCorpus, Grounding


class DropMix(NamedTuple):
    """How often boxes and captions are shown; `no_caption_only` blanks the caption of an image whose boxes are dropped."""

    prob_use_boxes: float
    prob_use_caption: float
    no_caption_only: bool


def drop(grounding: Grounding, mix: DropMix, seed: int) -> Grounding:
    """What of an image is shown; boxes and caption are drawn independently."""
    boxes_draw, caption_draw = np.random.default_rng(seed).random(2)
    use_boxes = boxes_draw < mix.prob_use_boxes
    use_caption = caption_draw < mix.prob_use_caption and (use_boxes or not mix.no_caption_only)
    return Grounding(
        grounding.caption if use_caption else "",
        grounding.boxes_n4 if use_boxes else grounding.boxes_n4[:0],
        grounding.phrases if use_boxes else [],
    )


def fill_slots(groundings: Sequence[Grounding], slots: int) -> tuple[Tensor, Tensor]:
    """Boxes [B, S, 4] padded with zeros, and mask [B, S]: 1 where a slot holds a box."""
    boxes_BS4, mask_BS = torch.zeros(len(groundings), slots, 4), torch.zeros(len(groundings), slots)
    for index, grounding in enumerate(groundings):
        boxes_BS4[index, : len(grounding.phrases)] = torch.from_numpy(grounding.boxes_n4)
        mask_BS[index, : len(grounding.phrases)] = 1
    return boxes_BS4, mask_BS


@dataclass(frozen=True)
class Batch:
    """Samples at some positions; `phrases[b]` names the filled slots of image b, a blank caption is a dropped one."""

    positions: list[int]
    keys: list[str]
    latents_BChw: Tensor
    captions: list[str]
    boxes_BS4: Tensor
    mask_BS: Tensor
    phrases: list[list[str]]

    def __len__(self) -> int:
        return len(self.positions)

    def part(self, start: int, size: int) -> Batch:
        """The samples from `start` on, at most `size`."""
        of = slice(start, start + size)
        return Batch(
            self.positions[of], self.keys[of], self.latents_BChw[of], self.captions[of], self.boxes_BS4[of],
            self.mask_BS[of], self.phrases[of],
        )  # fmt: skip


class _Plan(NamedTuple):
    """Shards of an epoch in order, window by window, and how many images lie before each window's end."""

    epoch: int
    windows: list[NDArray[np.int64]]
    ends: NDArray[np.int64]


class _Window(NamedTuple):
    """Shards that are shuffled together: their rows in order, as (shard of the window, row of its pairs)."""

    number: tuple[int, int]
    tables: list[BoxTable]
    latents: list[Tensor]
    rows_N2: NDArray[np.int64]


class GroundedImages(Dataset[Batch]):
    """Batches by their positions, which count from 0 through all epochs without end."""

    def __init__(self, corpus: GroundedCorpus, mix: DropMix, seed: int, shards_in_memory: int) -> None:
        """Takes a corpus.

        Args:
            corpus: at least one image.
            mix: how often boxes and captions are shown.
            seed: seed of the run.
            shards_in_memory: in every epoch the shards are shuffled, then the images of each such number of shards together.
        """
        self._corpus, self._mix, self._seed, self._size = corpus, mix, seed, shards_in_memory
        self._images = np.array([len(shard.box_rows_N) for shard in corpus.shards])
        self._plan: _Plan | None = None
        self._window: _Window | None = None

    def _plan_of(self, epoch: int) -> _Plan:
        if self._plan is None or self._plan.epoch != epoch:
            order = np.random.default_rng(item_seed(self._seed, f"shards:{epoch}")).permutation(len(self._images))
            windows = [order[start : start + self._size] for start in range(0, len(order), self._size)]
            self._plan = _Plan(epoch, windows, np.cumsum([self._images[window].sum() for window in windows]))
        return self._plan

    def _open(self, epoch: int, number: int, members: NDArray[np.int64]) -> _Window:
        if self._window is None or self._window.number != (epoch, number):
            self._window = None  # frees the former one before the next is read
            shards = [self._corpus.shards[index] for index in members]
            rows = [np.stack([np.full(len(s.box_rows_N), n), np.arange(len(s.box_rows_N))], 1) for n, s in enumerate(shards)]
            order = np.random.default_rng(item_seed(self._seed, f"images:{epoch}:{number}"))
            self._window = _Window(
                (epoch, number),
                [BoxTable(shard.boxes, self._corpus.rule) for shard in shards],
                [load_latents(shard.latents)[0] for shard in shards],  # mapped, not read
                order.permutation(np.concatenate(rows)),
            )
        return self._window

    def _at(self, position: int) -> tuple[str, Tensor, Grounding]:
        epoch, offset = divmod(position, int(self._images.sum()))
        plan = self._plan_of(epoch)
        number = int(np.searchsorted(plan.ends, offset, side="right"))
        members = plan.windows[number]
        window = self._open(epoch, number, members)
        member, pair = window.rows_N2[offset - plan.ends[number]]  # counted from the window's end
        shard, table = self._corpus.shards[members[member]], window.tables[member]
        row = int(shard.box_rows_N[pair])
        key = table.keys[row]
        shown = drop(table.grounding(row), self._mix, item_seed(self._seed, f"drop:{epoch}:{key}"))
        return key, window.latents[member][int(shard.latent_rows_N[pair])].float(), shown

    def __getitem__(self, positions: Sequence[int]) -> Batch:
        keys, latents, groundings = zip(*map(self._at, positions), strict=True)
        boxes_BS4, mask_BS = fill_slots(groundings, self._corpus.rule.most_boxes)
        return Batch(
            list(positions), list(keys), torch.stack(latents), [item.caption for item in groundings], boxes_BS4, mask_BS,
            [item.phrases for item in groundings],
        )  # fmt: skip
