"""What a small model may imagine: what words of a caption say of looks, and where things stand to each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from tasks.captions import english, english_nouns
from tasks.captions.english_verbs import FORMS, NOUN_LIKE
from tasks.captions.word_context import KNOWN_ADJECTIVES
from tasks.dysen.checks.prompt_clauses import content_words
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, SceneGraph, Triplet, as_term
from tasks.dysen.graphs.graph_edits import Item
from tasks.dysen.graphs.spatial_predicates import SPATIAL_PREDICATES
from tasks.dysen.imagining.detail_grammar import items_of
from tasks.dysen.imagining.imagination_window import Example, Window
from tasks.dysen.scores.term_matching import lemma_key

_MOST_THINGS, _MOST_OTHERS, _MOST_RELATIONS, _MOST_LOOKS = 10, 16, 10, 10
_STATIC = ("in", "holding", "wearing", "in front of", "near")
_LOOKS = (
    (KNOWN_ADJECTIVES | english.SHADES) - english.LOOKLESS - english.SHOWN - english.HIDDEN - english.LIVELY - english.STILL
)
_NO_NOUNS = english_nouns.NO_THINGS | english.PLACE_NOUNS | english.COLOURS
_PLACE_WORDS = english.VECTORS.keys() | english.HEADINGS.keys() | english.PLACE_NOUNS | {"scene"}
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


def detail_choices(caption: str, window: Window, examples: Sequence[Example]) -> tuple[Item, ...]:
    """What can be said of the things of the window's middle, in a fixed order, without what is said there already.

    A thing has the looks that the caption tells of it, and those it tells of nothing. It stands in a relation to
    another thing or a noun of the caption. Relations are the spatial ones and the most frequent of the examples' details;
    without any examples, a few that are common. Of long captions not all is taken.
    """
    things = things_of(window.current)[:_MOST_THINGS]
    around = [thing for graph in window for thing in things_of(graph)]
    others = [*things, *nouns_of(caption, around)][:_MOST_OTHERS]
    looks, relations = _Looks(caption, around), _relations(examples)
    present = frozenset(items_of(window.current))
    found: list[Item] = []
    for thing in things:
        found += [Attribute(object=thing, attribute=look) for look in looks.of(thing)]
        found += [
            Triplet(subject=thing, predicate=relation, object=other)
            for relation in relations
            for other in others
            if other != thing
        ]
    return tuple(item for item in found if item not in present)


def _relations(examples: Sequence[Example]) -> list[str]:
    told = Counter(item.predicate for example in examples for item in example.details if isinstance(item, Triplet))
    wanted = [relation for relation, _ in told.most_common(_MOST_RELATIONS)] if examples else _STATIC
    return sorted(SPATIAL_PREDICATES.union(wanted))


def things_of(graph: SceneGraph) -> tuple[str, ...]:
    """The objects of a graph in order, without places of the picture and the scene itself: "upper left", "scene"."""
    return tuple(name for name in graph.objects if not _PLACE_WORDS.issuperset(name.split()))


class _Looks:
    """Words of a caption that say how something looks; word lists tell them, not a tagger."""

    def __init__(self, caption: str, things: Sequence[str]) -> None:
        """Takes all things around, whose names may tell a look."""
        nouns = _keys(word for word in content_words(caption) if word not in FORMS or word in NOUN_LIKE)
        words = _words(caption)
        self._named = {word for thing in things for word in thing.split()}
        self._heads: dict[str, set[str]] = {}
        for index, word in enumerate(words):
            if word in _LOOKS:
                head = next((after for after in words[index + 1 :] if after not in _LOOKS), "")
                self._heads.setdefault(word, set()).update(_keys([head]) & nouns or {""})

    def of(self, thing: str) -> list[str]:
        """What a thing may look like, in the order of the caption: "red" of "dog" after "a red dog", or "it is red"."""
        mine = thing.split()
        return [
            look
            for look, heads in self._heads.items()
            if (look in mine[:-1] or look not in self._named) and heads & (_keys(mine) | {""})
        ][:_MOST_LOOKS]


def _keys(words: Iterable[str]) -> frozenset[str]:
    return frozenset(lemma_key(word, "object") for word in words if word)


def nouns_of(caption: str, things: Sequence[str]) -> list[str]:
    """Nouns of a caption that are in no name of `things`, in order and once each; word lists tell them, not a tagger."""
    named = {word for thing in things for word in thing.split()}
    of_media = {word for word, after in pairwise(_words(caption)) if after in english_nouns.MEDIA}
    nouns = [word for word in content_words(caption) if word not in FORMS or word in NOUN_LIKE]
    return [noun for noun in nouns if noun not in named | of_media | _NO_NOUNS and _is_term(noun)]


def _words(caption: str) -> list[str]:
    return _WORD.findall(caption.lower())


def _is_term(text: str) -> bool:
    try:
        return as_term(text) == text
    except ValueError:
        return False
