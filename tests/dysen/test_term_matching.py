"""Terms that mean the same, and one-to-one matching of items."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.dysen.scores.term_matching import (
    MatchCounts,
    Role,
    TermMatcher,
    TextEncoder,
    embedding_match,
    exact_match,
    item_matches,
    lemma_key,
    lemma_match,
    matched_items,
)

words = st.sampled_from(["lady", "ladies", "a", "red", "reds", "is", "sitting", "sits", "on", "cup", "cups", "mug"])
terms = st.lists(words, min_size=1, max_size=3).map(" ".join)
counts = st.builds(MatchCounts, st.just(1), st.integers(1, 9), st.integers(1, 9))


def letters(texts: Sequence[str]) -> np.ndarray:
    """Texts as unit vectors of how often each letter stands in them."""
    vectors = np.array([[text.count(chr(code)) for code in range(97, 123)] for text in texts], np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def close_letters(predicted: Sequence[str], gold: Sequence[str], role: Role) -> np.ndarray:
    return embedding_match(letters, 0.7)(predicted, gold, role)


MATCHERS = [exact_match, lemma_match, close_letters]


@pytest.mark.parametrize("matcher", MATCHERS)
@given(
    predicted=st.lists(terms, max_size=4), gold=st.lists(terms, max_size=4), role=st.sampled_from(["object", "predicate"])
)
def test_matchers_are_symmetric_and_equal_terms_match(
    matcher: TermMatcher, predicted: list[str], gold: list[str], role: Role
) -> None:
    matches = matcher(predicted, gold, role)
    assert matches.shape == (len(predicted), len(gold))
    assert matches.dtype == np.bool_
    assert (matches == matcher(gold, predicted, role).T).all()
    assert (matches >= np.array([[a == b for b in gold] for a in predicted], np.bool_).reshape(matches.shape)).all()


@pytest.mark.parametrize(
    ("role", "first", "second"),
    [
        ("predicate", "is sitting on", "sits on"),
        ("predicate", "drinks", "drinking"),
        ("predicate", "ran to", "running to"),
        ("predicate", "meeting", "meets"),  # the captions' lists have no "meet"
        ("predicate", "comparing", "compares"),
        ("predicate", "compared", "compare"),
        ("predicate", "jetting", "jets"),
        ("predicate", "hurries", "hurrying"),
        ("predicate", "has", "having"),
        ("predicate", "are", "is"),
        ("attribute", "is striped", "striped"),
        ("attribute", "opened", "open"),
        ("object", "the ladies", "lady"),
        ("object", "her glasses", "glass"),
        ("object", "people", "person"),
        ("object", "bottles of water", "a bottle of water"),
    ],
)
def test_forms_of_a_term_share_a_key(role: Role, first: str, second: str) -> None:
    assert lemma_key(first, role) == lemma_key(second, role)
    assert lemma_match([first], [second], role).item()


@pytest.mark.parametrize(
    ("role", "first", "second"),
    [
        ("predicate", "sitting on", "sitting in"),
        ("predicate", "needs", "knees"),
        ("predicate", "hopping", "helping"),
        ("object", "glass", "gas"),
        ("object", "bus", "bush"),
        ("object", "a", "the"),
    ],
)
def test_other_terms_do_not(role: Role, first: str, second: str) -> None:
    assert not lemma_match([first], [second], role).item()


@pytest.mark.parametrize("word", ["need", "breed", "string", "guess", "bring", "across", "feed", "ing", "s", "us"])
def test_a_word_that_only_looks_like_a_form_keeps_its_end(word: str) -> None:
    assert lemma_key(word, "predicate") == word


@given(st.text(min_size=1, max_size=100), st.sampled_from(["object", "predicate", "attribute"]))
def test_every_text_has_a_key(text: str, role: Role) -> None:
    assert lemma_key(text, role)


def test_embeddings_match_from_the_least_cosine_on() -> None:
    terms, gold = ["ab", "abc", "xyz"], ["abd"]
    assert embedding_match(letters, 2 / 3 - 1e-6)(terms, gold, "object").tolist() == [[True], [True], [False]]
    assert embedding_match(letters, 0.7)(terms, gold, "object").tolist() == [[True], [False], [False]]
    assert embedding_match(letters, 1.0)(["lady", "lad"], ["lady"], "object").tolist() == [[True], [False]]


def test_equal_terms_match_in_spite_of_rounding() -> None:
    rounded = embedding_match(lambda texts: np.full((len(texts), 1), 0.999), 1.0)
    assert rounded(["lady", "man"], ["lady"], "object").tolist() == [[True], [False]]


@pytest.mark.parametrize(
    "encode",
    [
        lambda texts: np.ones((len(texts), 2)),
        lambda texts: np.full((len(texts), 2), np.nan),
        lambda texts: np.ones((len(texts) + 1, 1)),
        lambda texts: np.ones(len(texts)),
    ],
)
def test_an_encoder_without_unit_vectors_is_refused(encode: TextEncoder) -> None:
    with pytest.raises(ValueError, match="the encoder returned"):
        embedding_match(encode)(["lady"], ["friend"], "object")


def test_items_match_where_all_their_terms_do() -> None:
    predicted = [("lady", "sitting on", "chairs"), ("lady", "meeting", "friend"), ("lady", "sitting on", "chair")]
    gold = [("lady", "sits on", "chair"), ("lady", "meets", "man")]
    roles: tuple[Role, ...] = ("object", "predicate", "object")
    assert item_matches(predicted, gold, roles, lemma_match).tolist() == [[True, False], [False, False], [True, False]]
    assert not item_matches(predicted, gold, roles, exact_match).any()
    assert item_matches([], gold, roles, exact_match).shape == (0, 2)


def most_pairs(predicted: Sequence[str], gold: Sequence[str], matches: np.ndarray) -> int:
    """The size of the largest one-to-one matching, by trying all."""
    small, large = sorted((range(len(predicted)), range(len(gold))), key=len)
    table = matches if len(predicted) <= len(gold) else matches.T
    return max(
        sum(table[a, b] for a, b in zip(small, chosen, strict=True)) for chosen in itertools.permutations(large, len(small))
    )


items = st.lists(st.lists(st.sampled_from(["ab", "abc", "abd", "cd", "x", "xx"]), max_size=4), max_size=3)


@pytest.mark.parametrize("matcher", [exact_match, close_letters])
@settings(max_examples=40)
@given(predicted=items, gold=items)
def test_as_many_items_are_paired_as_can_be(matcher: TermMatcher, predicted: list[list[str]], gold: list[list[str]]) -> None:
    found = matched_items(
        [[(t,) for t in tick] for tick in predicted], [[(t,) for t in tick] for tick in gold], ("object",), matcher
    )
    assert found.shape == (len(predicted), len(gold))
    for (tick, gold_tick), count in np.ndenumerate(found):
        terms, gold_terms = predicted[tick], gold[gold_tick]
        assert count == most_pairs(terms, gold_terms, matcher(terms, gold_terms, "object"))


@given(counts, counts)
def test_counts_add_up_and_f1_is_between_precision_and_recall(first: MatchCounts, second: MatchCounts) -> None:
    both = first + second
    assert (both.matched, both.predicted, both.gold) == (2, first.predicted + second.predicted, first.gold + second.gold)
    assert min(both.precision, both.recall) - 1e-12 <= both.f1 <= max(both.precision, both.recall) + 1e-12
    assert both.f1 == pytest.approx(2 * both.precision * both.recall / (both.precision + both.recall))


def test_nothing_counts_as_zero() -> None:
    assert (MatchCounts().precision, MatchCounts().recall, MatchCounts().f1) == (0, 0, 0)
