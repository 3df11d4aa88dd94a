"""Which terms mean the same, and how many items of two scene graphs can be paired one to one."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.captions import english
from tasks.captions.english_nouns import singular
from tasks.captions.english_verbs import FORMS, forms_of

Role = Literal["object", "predicate", "attribute"]
Matches = NDArray[np.bool_]
TermMatcher = Callable[[Sequence[str], Sequence[str], Role], Matches]
"""From P predicted terms, G gold terms and their role to [P, G]: which of them mean the same. Equal terms always do."""
TextEncoder = Callable[[Sequence[str]], NDArray[np.floating[Any]]]
"""From N texts to their embeddings, unit vectors [N, D]."""
Item = tuple[str, ...]
"""An object, a predicate, an attribute with its object, or a triplet."""

_Key = TypeVar("_Key", bound=Hashable)
_BARE = english.DETERMINERS | english.POSSESSIVES
_AUXILIARY_LEMMAS = {**dict.fromkeys(english.COPULAS, "be"), "has": "have", "does": "do", "did": "do"}
_SHORTEST_STEM = 3
_LEAST_COSINE = 0.8
_UNIT_TOLERANCE = 1e-2  # half precision


@dataclass(frozen=True)
class MatchCounts:
    """How many items were matched, of how many predicted and gold ones; sums of counts give micro averages."""

    matched: float = 0
    predicted: int = 0
    gold: int = 0

    def __add__(self, other: MatchCounts) -> MatchCounts:
        return MatchCounts(self.matched + other.matched, self.predicted + other.predicted, self.gold + other.gold)

    @property
    def precision(self) -> float:
        """Share of the predicted items that are matched; 0 without predicted items."""
        return self.matched / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold items that are matched; 0 without gold items."""
        return self.matched / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without any item."""
        items = self.predicted + self.gold
        return 2 * self.matched / items if items else 0.0


def exact_match(predicted: Sequence[str], gold: Sequence[str], role: Role) -> Matches:
    """A `TermMatcher`: terms match that are equal."""
    return _equal(predicted, gold)


def lemma_match(predicted: Sequence[str], gold: Sequence[str], role: Role) -> Matches:
    """A `TermMatcher`: terms match whose words have the same lemmas, such as "is sitting on" and "sits on"."""
    return _equal([lemma_key(term, role) for term in predicted], [lemma_key(term, role) for term in gold])


def embedding_match(encode: TextEncoder, least_cosine: float = _LEAST_COSINE) -> TermMatcher:
    """A `TermMatcher`: terms match that are equal or whose embeddings have at least this cosine.

    The matcher raises ValueError where `encode` returns something else than one unit vector for each text.
    """

    def match(predicted: Sequence[str], gold: Sequence[str], role: Role) -> Matches:
        equal = _equal(predicted, gold)
        if equal.size == 0:
            return equal
        terms = sorted({*predicted, *gold})
        vectors_ND = np.asarray(encode(terms), np.float64)
        if vectors_ND.ndim != 2 or len(vectors_ND) != len(terms):
            raise ValueError(f"the encoder returned shape {vectors_ND.shape} for {len(terms)} texts, not [N, D]")
        if not (np.abs(np.linalg.norm(vectors_ND, axis=1) - 1) <= _UNIT_TOLERANCE).all():
            raise ValueError("the encoder returned vectors that have not the length 1")
        rows = {term: row for row, term in enumerate(terms)}
        cosines_PG = vectors_ND[[rows[term] for term in predicted]] @ vectors_ND[[rows[term] for term in gold]].T
        close: Matches = equal | (cosines_PG >= least_cosine)
        return close

    return match


def lemma_key(term: str, role: Role) -> str:
    """What all forms of a term share; not always a word ("compar" for "comparing", whose base no list has).

    Leading articles and forms of "be" do not count. Irregular forms are known of the verbs and nouns that
    `tasks.captions` lists.
    """
    words = term.split()
    while len(words) > 1 and words[0] in (_BARE if role == "object" else english.COPULAS | _BARE):
        words.pop(0)
    return " ".join(map(singular if role == "object" else _verb_key, words)) or term


def _verb_key(word: str) -> str:
    if word in _AUXILIARY_LEMMAS:
        return _AUXILIARY_LEMMAS[word]
    if word in english.PREPOSITIONS:
        return word
    return FORMS[word][0] if word in FORMS else _regular_base(word).removesuffix("e")


def _regular_base(word: str) -> str:
    """The verb that has this regular form, perhaps without its final "e"; the word itself if it looks like no form."""
    for ending in ("ing", "ed", "es", "s"):
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < _SHORTEST_STEM or not set(stem) & set("aeiouy") or word.endswith("eed"):
            continue
        for base in (stem, stem + "e", stem[:-1], stem[:-1] + "y"):
            if word in forms_of(base):
                return base
    return word


def item_matches(predicted: Sequence[Item], gold: Sequence[Item], roles: Sequence[Role], matcher: TermMatcher) -> Matches:
    """[P, G]: of which predicted and gold items all terms match; `roles` says what the terms of an item are."""
    if matcher is exact_match:
        return _equal(predicted, gold)
    matches = np.ones((len(predicted), len(gold)), np.bool_)
    for role, predicted_terms, gold_terms in zip(roles, zip(*predicted, strict=True), zip(*gold, strict=True), strict=False):
        distinct_predicted, rows = _coded(predicted_terms)
        distinct_gold, columns = _coded(gold_terms)
        matches &= matcher(distinct_predicted, distinct_gold, role)[np.ix_(rows, columns)]
    return matches


def matched_items(
    predicted: Sequence[Sequence[Item]], gold: Sequence[Sequence[Item]], roles: Sequence[Role], matcher: TermMatcher
) -> NDArray[np.int64]:
    """How many items of each predicted tick can be paired with items of each gold tick, each item at most once.

    The result [P, G] is exact (a maximum matching). Memory grows with the number of distinct predicted items times
    that of gold ones.
    """
    distinct_predicted, rows = _coded(map(tuple, predicted))
    distinct_gold, columns = _coded(map(tuple, gold))
    count = _equal_items if matcher is exact_match else functools.partial(_paired_items, roles=roles, matcher=matcher)
    found: NDArray[np.int64] = count(distinct_predicted, distinct_gold)[rows][:, columns]
    return found


def _equal_items(predicted: Sequence[Sequence[Item]], gold: Sequence[Sequence[Item]]) -> NDArray[np.int64]:
    """As `matched_items`, where items match that are equal."""
    wanted = [_numbered(items) for items in gold]
    table = [[len(mine & theirs) for theirs in wanted] for mine in map(_numbered, predicted)]
    return np.array(table, np.int64).reshape(len(predicted), len(gold))


def _numbered(items: Sequence[Item]) -> frozenset[tuple[Item, int]]:
    """The items with the number of equal ones before each."""
    if len({*items}) == len(items):
        return frozenset(zip(items, itertools.repeat(0)))
    return frozenset((item, items[:place].count(item)) for place, item in enumerate(items))


def _paired_items(
    predicted: Sequence[Sequence[Item]], gold: Sequence[Sequence[Item]], roles: Sequence[Role], matcher: TermMatcher
) -> NDArray[np.int64]:
    """As `matched_items`, for any matcher."""
    from scipy.optimize import linear_sum_assignment

    predicted_items, predicted_PU = _incidence(predicted)
    gold_items, gold_GV = _incidence(gold)
    matches_UV = item_matches(predicted_items, gold_items, roles, matcher)
    partners_UG = matches_UV.astype(np.float32) @ gold_GV.T
    partners_PV = predicted_PU @ matches_UV.astype(np.float32)
    matched: NDArray[np.int64] = (predicted_PU @ partners_UG).astype(np.int64)
    several = (predicted_PU @ (partners_UG > 1) > 0) | ((partners_PV > 1) @ gold_GV.T > 0)
    for tick, gold_tick in np.argwhere(several):
        block = matches_UV[np.ix_(predicted_PU[tick] > 0, gold_GV[gold_tick] > 0)]
        matched[tick, gold_tick] = block[linear_sum_assignment(block, maximize=True)].sum()
    return matched


def _incidence(ticks: Sequence[Sequence[Item]]) -> tuple[list[Item], NDArray[np.float32]]:
    """The distinct items, and [T, N]: which tick has which. An item twice in one tick counts as two."""
    columns: dict[tuple[Item, int], int] = {}
    cells: list[tuple[int, int]] = []
    for tick, items in enumerate(ticks):
        seen: Counter[Item] = Counter()
        for item in items:
            cells.append((tick, columns.setdefault((item, seen[item]), len(columns))))
            seen[item] += 1
    incidence = np.zeros((len(ticks), len(columns)), np.float32)
    if cells:
        rows, indices = zip(*cells, strict=True)
        incidence[rows, indices] = 1
    return [item for item, _ in columns], incidence


def _equal(predicted: Iterable[Hashable], gold: Iterable[Hashable]) -> Matches:
    codes: dict[Hashable, int] = {}
    rows, columns = ([codes.setdefault(term, len(codes)) for term in terms] for terms in (predicted, gold))
    equal: Matches = np.array(rows, np.int64)[:, None] == np.array(columns, np.int64)[None]
    return equal


def _coded(values: Iterable[_Key]) -> tuple[list[_Key], list[int]]:
    """The distinct values in order, and the place of each value among them."""
    codes: dict[_Key, int] = {}
    places = [codes.setdefault(value, len(codes)) for value in values]
    return list(codes), places
