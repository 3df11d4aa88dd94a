"""Similarities of embeddings by their definition, and the CLIP that makes embeddings."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from tasks.common.errors import UserError
from tasks.dreamframe.image_similarity import ImageTextEncoder, similarity_to_references, style_consistency, text_alignment
from tests.dreamframe.clip_for_tests import WIDTH, write_tiny_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    write_tiny_clip(folder)
    return folder


def units(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, 5, generator=generator), dim=-1)


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


@given(counts=st.lists(st.integers(0, 4), max_size=4), seed=st.integers(0, 100))
def test_consistency_is_the_mean_over_pairs(counts: list[int], seed: int) -> None:
    stories = [units(count, seed + index) for index, count in enumerate(counts)]
    within = [float(one @ other) for story in stories for one, other in combinations(story, 2)]
    between = [float(one @ other) for story, next_one in combinations(stories, 2) for one, other in product(story, next_one)]
    found = style_consistency(stories)
    assert found["within"] == (pytest.approx(mean(within), abs=1e-5) if within else None)
    assert found["between"] == (pytest.approx(mean(between), abs=1e-5) if between else None)


def test_one_story_of_one_picture_has_no_consistency() -> None:
    assert style_consistency([units(1, 0)]) == {"within": None, "between": None}
    assert style_consistency([units(1, 0)[[0, 0]]])["within"] == pytest.approx(1)
    assert style_consistency([]) == {"within": None, "between": None}


def test_alignment_is_of_each_picture_and_its_own_text() -> None:
    pictures = torch.eye(3)
    assert text_alignment(pictures, pictures) == 1
    assert text_alignment(pictures, pictures[[0, 2, 1]]) == pytest.approx(1 / 3)
    assert text_alignment(pictures[:0], pictures[:0]) is None


def test_similarity_to_references_is_to_their_middle() -> None:
    references = torch.eye(2)
    assert similarity_to_references(references, references) == pytest.approx(0.5**0.5)
    assert similarity_to_references(torch.ones(1, 2) / 2**0.5, references) == pytest.approx(1)
    assert similarity_to_references(references[:0], references) is None
    assert similarity_to_references(references, references[:0]) is None


def test_embeddings_are_unit_vectors(clip: Path) -> None:
    encoder = ImageTextEncoder(str(clip), None, "cpu", torch.float32)
    generator = np.random.default_rng(0)
    shapes = [(40, 50, 3), (32, 32, 3), (9, 70, 3)] * 6  # more than go at once
    pictures = [generator.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    texts = ["a dog", "\u732b " * 100, "", "a cat"] * 5
    for vectors, count in ((encoder.images(pictures), len(pictures)), (encoder.texts(texts), len(texts))):
        assert vectors.shape == (count, WIDTH)
        assert vectors.dtype == torch.float32
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(count))
    assert not torch.equal(encoder.texts(["a dog"]), encoder.texts(["a cat"]))
    assert encoder.images([]).shape == encoder.texts([]).shape == (0, WIDTH)
    torch.testing.assert_close(encoder.images(pictures[:1])[0], encoder.images(pictures)[0])


def test_bad_checkpoints_are_one_line(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        ImageTextEncoder(str(tmp_path / "none"), None, "cpu", torch.float32)
    write_tiny_clip(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"visual_projection.weight \(missing\)"):
        ImageTextEncoder(str(tmp_path), None, "cpu", torch.float32)
    (tmp_path / "model.safetensors").write_bytes(b"{}")
    with pytest.raises(UserError, match="cannot load it") as caught:
        ImageTextEncoder(str(tmp_path), None, "cpu", torch.float32)
    assert "\n" not in str(caught.value)
