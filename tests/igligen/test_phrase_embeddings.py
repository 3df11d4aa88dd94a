"""Embeddings of phrases are CLIP's, one by one, and do not depend on what else is asked."""

from __future__ import annotations

import pytest
import torch

from tasks.igligen.phrase_embeddings import PhraseEmbedder
from tests.video.tiny_text_to_video import MOST_TOKENS, TEXT_WIDTH, tiny_text_parts

PHRASES = ["a red car", "cat", "two lively cats in a meadow", "", "a red car"]


@pytest.fixture(scope="module")
def embedder() -> PhraseEmbedder:
    return PhraseEmbedder(*tiny_text_parts())


def test_embeddings_are_the_pooled_output_of_a_padded_batch(embedder: PhraseEmbedder) -> None:
    tokens = embedder.tokenizer(PHRASES, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = embedder.text_encoder(tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output
    given = embedder(PHRASES)
    assert given.shape == (len(PHRASES), TEXT_WIDTH)
    assert torch.allclose(given, expected, atol=1e-5)
    assert not torch.allclose(given[0], given[1], atol=1e-2)


def test_bits_do_not_depend_on_company_or_order(embedder: PhraseEmbedder) -> None:
    given = embedder(PHRASES)
    fresh = PhraseEmbedder(embedder.tokenizer, embedder.text_encoder)
    assert torch.equal(torch.cat([fresh([phrase]) for phrase in reversed(PHRASES)]).flip(0), given)


def test_a_phrase_is_encoded_once() -> None:
    embedder = PhraseEmbedder(*tiny_text_parts())
    calls = []
    embedder.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    embedder(PHRASES)
    embedder(PHRASES[:2])
    assert len(calls) == len(set(PHRASES))


def test_no_gradient_and_no_alias(embedder: PhraseEmbedder) -> None:
    first = embedder(["cat"])
    assert not first.requires_grad
    first.zero_()
    assert embedder(["cat"]).any()


def test_long_phrases_are_cut_where_the_encoder_ends(embedder: PhraseEmbedder) -> None:
    endless = "cat " * 10_000
    assert torch.equal(embedder([endless]), embedder(["cat " * (MOST_TOKENS - 2)]))


def test_no_phrases(embedder: PhraseEmbedder) -> None:
    assert embedder([]).shape == (0, TEXT_WIDTH)
