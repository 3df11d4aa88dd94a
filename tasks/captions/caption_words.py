"""The words of a caption and their kinds; the kinds of closed classes are known without a tagger."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from tasks.captions import english
from tasks.captions.english_verbs import KINDS

Kind = Literal[
    "determiner", "number", "adjective", "noun", "verb", "modifier", "preposition", "pronoun", "possessive", "relative",
    "subordinator", "conjunction", "adverb", "negation", "possession", "infinitive", "stop", "comma", "colon", "other",
]  # fmt: skip


@dataclass(frozen=True)
class Word:
    """One word: `modifier` is a participle before a noun, `possession` the "'s"; `form` is which form of a verb it is."""

    text: str
    lemma: str
    kind: Kind
    form: str = ""
    plural: bool = False

    @property
    def verb_kind(self) -> str:
        """The kind of `english_verbs.KINDS`; empty for verbs that are not there."""
        return KINDS.get(self.lemma, "")


_PERSONS = english.VIEWERS - {"camera", "viewer", "viewers", "lens", "audience"}
_ADVERBS = english.words(
    "let only just halfway sideways homeward clockwise counterclockwise anticlockwise there here away back so"
)
# Where a word is in several lists, the last counts.
_CLOSED: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("preposition", english.PREPOSITIONS),
    ("subordinator", english.SUBORDINATORS),
    ("relative", english.RELATIVES),
    ("conjunction", english.CONJUNCTIONS),
    ("negation", english.NEGATIONS),
    ("pronoun", frozenset(english.PRONOUNS) | _PERSONS),
    ("possessive", english.POSSESSIVES),
    ("determiner", english.DETERMINERS),
    ("number", frozenset(english.NUMBERS) | frozenset(english.QUANTIFIERS)),
    ("adverb", english.MARKS | frozenset(english.HEADINGS)),
    ("adjective", frozenset(english.VECTORS) | {"inview"}),
    ("adverb", _ADVERBS),
    ("pronoun", english.NOBODY),
    ("stop", frozenset(".!?;")),
    ("comma", frozenset(",()/")),
    ("colon", frozenset(":")),
)
CLOSED: MappingProxyType[str, Kind] = MappingProxyType({text: kind for kind, texts in _CLOSED for text in texts})
