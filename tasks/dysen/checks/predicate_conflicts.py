"""Predicates that exclude each other at one moment: between the same two objects, or between them the other way round."""

from __future__ import annotations

import functools

from tasks.captions.english import entries
from tasks.dysen.graphs.dynamic_scene_graph import Triplet
from tasks.dysen.scores.term_matching import lemma_key

# each pair excludes; longer forms with a preposition are found by their beginning ("stand" for "standing on")
_EXCLUSIVE = frozenset(
    frozenset(lemma_key(predicate, "predicate") for predicate in pair.split(" / "))
    for pair in entries(
        "in front of / behind, above / below, above / under, above / underneath, above / beneath, on / under, on / below, "
        "left of / right of, to the left of / to the right of, inside / outside, in / outside, near / far from, "
        "sit / stand, sit / lie, stand / lie, sit / run, sit / walk, lie / walk, lie / run, enter / leave, enter / exit, "
        "approach / leave, open / close, push / pull, hold / drop, awake / sleep, facing / turning away from"
    )
)
# what cannot be said of two objects in both directions at once
_ONE_WAY = frozenset(
    lemma_key(predicate, "predicate")
    for predicate in entries(
        "in front of, behind, above, below, under, underneath, beneath, on, in, inside, on top of, left of, right of, "
        "to the left of, to the right of, wear, hold, carry, ride, contain"
    )
)
_NAMES = frozenset(predicate for pair in _EXCLUSIVE for predicate in pair) | _ONE_WAY


@functools.lru_cache(maxsize=4096)
def _name(predicate: str) -> str:
    """The longest beginning of a predicate that a list has; the predicate without its verb forms if none has one."""
    words = lemma_key(predicate, "predicate").split()
    beginnings = (" ".join(words[:count]) for count in range(len(words), 0, -1))
    return next((beginning for beginning in beginnings if beginning in _NAMES), " ".join(words))


def conflicts(one: Triplet, other: Triplet) -> bool:
    """Whether two triplets of one tick cannot both be true."""
    first, second = _name(one.predicate), _name(other.predicate)
    if (one.subject, one.object) == (other.subject, other.object):
        return frozenset((first, second)) in _EXCLUSIVE
    if (one.subject, one.object) == (other.object, other.subject):
        return one.subject != one.object and first == second and first in _ONE_WAY
    return False
