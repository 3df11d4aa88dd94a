"""A word of a caption among its neighbours: what the words around it say of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_words import CLOSED, Word
from tasks.captions.english_verbs import FORMS, NOUN_LIKE

if TYPE_CHECKING:
    from spacy.tokens import Token

OPENERS = frozenset({"determiner", "number", "adjective", "possessive", "modifier", "possession"})
_ONE = frozenset({"one", "1", "single", "lone"})
KNOWN_ADJECTIVES = (
    english.COLOURS
    | english.SIZES.keys()
    | english.LOOKLESS
    | english.LIVELY
    | english.STILL
    | english.SHOWN
    | english.HIDDEN
)
_BEHIND_BARE_NOUNS = english.PREPOSITIONS | english.SHOWN | english.HIDDEN | {":", ","}
_NOUN_TAGS = frozenset({"NOUN", "PROPN"})


@dataclass(frozen=True)
class Context:
    """The tokens of a caption, the index of one of them, and the words that were made of those before it."""

    tokens: Sequence[Token]
    index: int
    before: Sequence[Word]

    @property
    def token(self) -> Token:
        """The token."""
        return self.tokens[self.index]

    @property
    def text(self) -> str:
        """The token in lower case."""
        return self.token.lower_

    @property
    def last(self) -> Word | None:
        """The word before."""
        return self.before[-1] if self.before else None

    @property
    def last_kind(self) -> str:
        """The kind of the word before, "stop" at the beginning."""
        return self.before[-1].kind if self.before else "stop"

    def text_after(self, distance: int = 1) -> str:
        """The token some words later, a full stop behind the end."""
        index = self.index + distance
        return self.tokens[index].lower_ if index < len(self.tokens) else "."

    def tag_after(self) -> str:
        """The coarse tag of the next token."""
        return self.tokens[self.index + 1].pos_ if self.index + 1 < len(self.tokens) else "PUNCT"

    def opener(self, *between: str) -> Word | None:
        """The last word before that is of none of these kinds: it opens the phrase."""
        return next((word for word in reversed(self.before) if word.kind not in between), None)

    @property
    def is_opened(self) -> bool:
        """Whether a noun phrase is open before this word; adjectives open none after "is"."""
        last = self.last
        if last is not None and last.text in english.HEADINGS:  # "a leftward moving dog"
            return len(self.before) > 1 and self.before[-2].kind == "determiner"
        if last is None or last.kind not in OPENERS:
            return False
        opener = self.opener("adjective", "modifier", "conjunction") if last.kind == "adjective" else last
        return opener is None or opener.kind != "verb"

    @property
    def has_article(self) -> bool:
        """Whether "a" or "one" opens the noun phrase."""
        opener = self.opener("noun", "adjective", "modifier")
        return opener is not None and opener.text in {"a", "an", "one", "another"}

    @property
    def is_counted(self) -> bool:
        """Whether a number above one opens the noun phrase."""
        opener = self.opener("noun", "adjective", "modifier")
        return opener is not None and opener.kind == "number" and opener.text not in _ONE

    def noun_follows(self) -> bool:
        """Whether a noun, perhaps after adjectives, stands next: then this word modifies it."""
        unknown = False
        for token in self.tokens[self.index + 1 : self.index + 5]:
            text = token.lower_
            closed = text in CLOSED
            if (text in KNOWN_ADJECTIVES and token.pos_ != "ADV") or (token.pos_ == "ADJ" and not closed):
                unknown |= text not in KNOWN_ADJECTIVES
                continue
            if closed or not text.replace("_", "").isalpha() or (text in FORMS and token.pos_ not in _NOUN_TAGS):
                return unknown
            return token.pos_ in _NOUN_TAGS or not (text.endswith("ly") or text in english.AUXILIARIES)
        return unknown

    def ends_noun_phrase(self) -> bool:
        """Whether this unknown word must be a noun: an article or number opens a phrase that ends with it."""
        after, second = self.text_after(), self.text_after(2)
        form = FORMS.get(after, ("", ""))[1]
        verbal = form == "s" and second in english.PREPOSITIONS - {"of"}
        if after in NOUN_LIKE | nouns.MEDIA and self.tag_after() == "NOUN" and not verbal:
            return False
        counts = (
            second in english.DETERMINERS
            or second in english.VECTORS
            or second in english.NUMBERS
            or second.isdecimal()
            or not second[0].isalpha()
        )
        if after == "-" or (after in {"and", "or", ","} and not counts):
            return False
        asked = any(word.form == "auxiliary" and word.lemma == "do" for word in self.before[-4:])
        forms = {"s", "past", "participle", "ing"} | ({"base"} if asked or self.is_counted else set())
        if not (after in CLOSED or after in english.AUXILIARIES or form in forms or not after[0].isalnum()):
            return False
        opener = self.opener("adjective", "modifier")
        if opener is None or opener.kind in {"stop", "colon"}:
            return form in {"ing", "s"} or after in _BEHIND_BARE_NOUNS
        return opener.kind in OPENERS | {"preposition"}
