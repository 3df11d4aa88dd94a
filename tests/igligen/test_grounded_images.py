"""The data set: which boxes are kept, what is dropped how often, order and exact resume, hostile files."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from tasks.common.errors import UserError
from tasks.common.latent_files import LatentFacts, load_latents, save_latents
from tasks.corpus.shard_to_boxes import _SCHEMA as SCHEMA
from tasks.igligen.grounded_corpus import BoxRule, BoxTable, Grounding, hold_out, kept_boxes
from tasks.igligen.grounded_images import Batch, DropMix, GroundedImages, drop
from tests.igligen.training_for_tests import MIX, RULE, SCALING_FACTOR, open_corpus, write_corpus

scores = st.lists(st.floats(0, 1, width=32), max_size=80)


@given(scores, st.floats(0, 1), st.integers(1, 40))
def test_kept_boxes_follow_the_published_rule(values: list[float], threshold: float, most: int) -> None:
    """Above the threshold; with too many boxes, above the last of so many too, so that a slot stays free."""
    scores_n = np.array(values, np.float32)
    kept = kept_boxes(scores_n, BoxRule(threshold, most))
    assert (scores_n[kept] > threshold).all()
    if len(values) <= most:
        assert kept.sum() == (scores_n > threshold).sum()
    else:
        assert kept.sum() <= most - 1
        better = sorted(values, reverse=True)[most - 1]
        assert all(bool(keep) == (value > max(threshold, better)) for keep, value in zip(kept, values, strict=True))


def test_thirty_three_distinct_scores_keep_thirty_one() -> None:
    scores_n = np.linspace(0.5, 0.9, 33, dtype=np.float32)
    assert kept_boxes(scores_n, RULE).sum() == 31
    assert kept_boxes(scores_n[:32], RULE).sum() == 32


def test_the_mix_is_the_published_one() -> None:
    """45 % caption and boxes, 45 % boxes only, 10 % neither, never a caption alone."""
    full = Grounding("a car.", np.ones((1, 4), np.float32), ["car"])
    seen = Counter((bool(shown.caption), len(shown.phrases)) for shown in (drop(full, MIX, seed) for seed in range(4000)))
    assert {kind: count / 4000 for kind, count in seen.items()} == pytest.approx(
        {(True, 1): 0.45, (False, 1): 0.45, (False, 0): 0.10}, abs=0.025
    )
    with_captions = DropMix(0.5, 1.0, False)
    assert {bool(drop(full, with_captions, seed).caption) for seed in range(50)} == {True}


def _stream(corpus: Path, positions: range, seed: int = 0, shards_in_memory: int = 1) -> Batch:
    return GroundedImages(open_corpus(corpus), MIX, seed, shards_in_memory)[positions]


def _same(first: Batch, second: Batch) -> bool:
    return (
        first.keys == second.keys
        and first.captions == second.captions
        and first.phrases == second.phrases
        and torch.equal(first.latents_BChw, second.latents_BChw)
        and torch.equal(first.boxes_BS4, second.boxes_BS4)
        and torch.equal(first.mask_BS, second.mask_BS)
    )


def test_an_epoch_shows_every_image_once(corpus: Path) -> None:
    every = {f"image_{number:03d}" for number in range(16)}
    for shards_in_memory in (1, 2):
        keys = _stream(corpus, range(48), shards_in_memory=shards_in_memory).keys
        assert all(set(keys[start : start + 16]) == every for start in (0, 16, 32))
        assert keys[:16] != keys[16:32], "each epoch has an order of its own"
    mixed = _stream(corpus, range(16), shards_in_memory=2).keys
    by_shard = [key < "image_009" for key in _stream(corpus, range(16)).keys]
    assert sum(a != b for a, b in itertools.pairwise(by_shard)) == 1, "one shard after the other"
    assert sum((a < "image_009") != (b < "image_009") for a, b in itertools.pairwise(mixed)) > 1
    assert _stream(corpus, range(16), seed=1).keys != _stream(corpus, range(16)).keys


def test_samples_are_those_of_the_files(corpus: Path) -> None:
    batch = _stream(corpus, range(16))
    for number, key in enumerate(batch.keys):
        shard = int(key >= "image_009")
        latents_NChw, facts = load_latents(corpus / "latents" / f"corpus-{shard:06d}.safetensors")
        assert torch.equal(batch.latents_BChw[number], latents_NChw[facts.keys.index(key)].float())
        rows = parquet.read_table(corpus / "boxes" / f"corpus-{shard:06d}.parquet").to_pylist()
        row = next(row for row in rows if row["key"] == key)
        kept = [index for index, score in enumerate(row["scores"]) if score > 0.25]
        assert batch.captions[number] in ("", row["caption"])
        assert batch.phrases[number] in ([], [row["phrases"][index] for index in kept])
        count = len(batch.phrases[number])
        assert batch.mask_BS[number].tolist() == [1.0] * count + [0.0] * (32 - count)
        assert torch.equal(
            batch.boxes_BS4[number, :count], torch.tensor([row["boxes"][i] for i in kept][:count]).reshape(-1, 4)
        )
        assert not batch.boxes_BS4[number, count:].any()


@settings(max_examples=30)
@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 2))
def test_any_position_can_be_read_first(corpus: Path, start: int, count: int, shards_in_memory: int) -> None:
    """What is resumed at a position is what a run from the beginning has there."""
    images = GroundedImages(open_corpus(corpus), MIX, 0, shards_in_memory)
    whole = images[range(start + count)]
    fresh = GroundedImages(open_corpus(corpus), MIX, 0, shards_in_memory)[range(start, start + count)]
    assert _same(whole.part(start, count), fresh)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_number_of_workers_changes_nothing(corpus: Path, workers: int) -> None:
    """Also more workers than the one shard."""
    images = GroundedImages(open_corpus(corpus), MIX, 0, 1)
    loader = DataLoader(
        images,
        sampler=[range(n, n + 5) for n in range(0, 40, 5)],
        batch_size=None,
        num_workers=workers,
        collate_fn=lambda b: b,
    )
    assert all(_same(batch, images[range(5 * n, 5 * n + 5)]) for n, batch in enumerate(loader))


def test_the_last_images_with_boxes_are_held_out(corpus: Path) -> None:
    whole = open_corpus(corpus)
    rest, layouts = hold_out(whole, 4)
    assert [len(layout.grounding.phrases) > 0 for layout in layouts] == [True] * 4
    keys = set(GroundedImages(rest, MIX, 0, 1)[range(rest.images)].keys)
    assert rest.images == whole.images - 4
    held_out = [layout.key for layout in layouts]
    assert held_out == sorted(held_out)
    assert not keys & set(held_out)
    table = BoxTable(corpus / "boxes" / "corpus-000001.parquet", RULE)
    later = [key for row, key in enumerate(table.keys) if key > held_out[0] and table.counts(row)[2]]
    assert set(later) <= set(held_out), "no later image with boxes is trained on"
    with pytest.raises(UserError, match="evaluation_images = 50"):
        hold_out(whole, 50)


def _write_boxes(path: Path, rows: list[dict[str, object]]) -> None:
    parquet.write_table(pyarrow.Table.from_pylist(rows, SCHEMA), path)


def test_rows_without_a_partner_are_counted(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path)
    before = open_corpus(folder).counts
    assert before["images_without_boxes"] == before["images_without_latents"] == 0
    latents_NChw, facts = load_latents(folder / "latents" / "corpus-000000.safetensors")
    renamed = [*facts.keys[:-2], "other_1", "other_2"]
    other = LatentFacts(renamed, "vae", None, SCALING_FACTOR, 64, "mode")
    save_latents(folder / "latents" / "corpus-000000.safetensors", latents_NChw.clone(), other)
    (folder / "boxes" / "corpus-000001.parquet").rename(folder / "boxes" / "corpus-000007.parquet")
    corpus = open_corpus(folder)
    assert corpus.images == 7
    assert corpus.counts["images_without_latents"] == 2 + 7
    assert corpus.counts["images_without_boxes"] == 2 + 7


def test_boxes_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path, (2,))
    boxes = [[-0.5, 0, 0.5, 2], [0.2, 0.2, float("nan"), 0.4], [0.5, 0.5, 0.5, 0.9], [0.9, 0, 0.1, 1], [0, 0, 1, 1]]
    row = {"key": "image_000", "caption": "x", "boxes": boxes, "scores": [0.9, 0.8, 0.7, 0.6, 0.1], "phrases": list("abcde")}
    _write_boxes(folder / "boxes" / "corpus-000000.parquet", [row])
    corpus = open_corpus(folder)
    assert {name: corpus.counts[name] for name in ("boxes", "boxes_unusable", "boxes_kept")} == {
        "boxes": 5, "boxes_unusable": 3, "boxes_kept": 1,
    }  # fmt: skip
    shown = BoxTable(folder / "boxes" / "corpus-000000.parquet", RULE).grounding(0)
    assert shown.phrases == ["a"]
    assert shown.boxes_n4.tolist() == [[0, 0, 0.5, 1]], "clipped to the picture"


def test_an_image_without_boxes_is_trained_on_too(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path, (3,))
    rows = [{"key": f"image_{n:03d}", "caption": "x", "boxes": [], "scores": [], "phrases": []} for n in range(3)]
    _write_boxes(folder / "boxes" / "corpus-000000.parquet", rows)
    corpus = open_corpus(folder)
    assert corpus.counts["images_without_kept_boxes"] == 3
    assert not GroundedImages(corpus, MIX, 0, 1)[range(5)].mask_BS.any()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "boxes" / "corpus-000000.parquet").write_bytes(b"PAR1 but no more"), "not boxes"),
        (lambda f: parquet.write_table(pyarrow.table({"key": ["a"]}), f / "boxes" / "corpus-000000.parquet"), "not boxes"),
        (lambda f: (f / "latents" / "corpus-000000.safetensors").write_bytes(b"\x80\x04K\x01."), "not latents"),
        (
            lambda f: (f / "latents" / "corpus-000000.safetensors").rename(f / "latents" / "else.safetensors"),
            "no image has both",
        ),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, damage: object, message: str) -> None:
    folder = write_corpus(tmp_path, (3,))
    damage(folder)  # type: ignore[operator]
    with pytest.raises(UserError, match=message) as refusal:
        open_corpus(folder)
    assert "\n" not in str(refusal.value)


def test_latents_of_two_kinds_are_refused(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path)
    latents_NChw, facts = load_latents(folder / "latents" / "corpus-000001.safetensors")
    changed = LatentFacts(facts.keys, "other", None, 0.18215, 64, "mode")
    save_latents(folder / "latents" / "corpus-000001.safetensors", latents_NChw.clone(), changed)
    with pytest.raises(UserError, match=r"0\.18215.*one autoencoder"):
        open_corpus(folder)


def test_the_order_stays_as_it_is(corpus: Path) -> None:
    """Another order makes every trained adapter another one: nothing to change by accident."""
    assert [int(key[-3:]) for key in _stream(corpus, range(8)).keys] == [12, 9, 13, 11, 14, 15, 10, 5]
