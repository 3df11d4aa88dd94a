"""Words of captions, mended for reading events: prepositions keep their own word, participles in a row stay verbs.

`tasks.captions` reads where things are; it takes "under the table" for a place below, and rewrites "in front of". Events
need the preposition itself. One with a capital letter is in no word list, so the readers of places leave it alone.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_phrases import Phrase, Preposition, Thing, number_of
from tasks.captions.caption_words import Word
from tasks.captions.english_verbs import FORMS, PHRASAL
from tasks.dysen.clauses.caption_tagging import TaggedCaption

_SIDES = english.SIDES.keys()
_ENDS = frozenset({"stop", "comma", "conjunction", "subordinator", "verb"})
_OPENS_OBJECT = frozenset({"determiner", "possessive", "number", "adjective", "noun", "modifier"})
_OPENS_COMPLEMENT = frozenset({"preposition", "determiner", "possessive"})
_NO_OBJECTS = english.VECTORS.keys() | english.PLACE_NOUNS | nouns.MEDIA | english.SHARES.keys() | english.MARKS
_NAMES_FOLLOW = frozenset({"noun", "adjective", "modifier", "number"})
_JOINS = frozenset({"conjunction", "comma", "adverb"})
_BEFORE_GERUND = english.words("by without for")
_PARTICLES = english.words("in out off on over down up around through by")
_ALONE = frozenset({"lone", "solitary"})
_ASPECTS = frozenset({"appear", "vanish", "begin", "end"})
# what `plain_text` writes for several prepositions
_REWRITTEN = {
    "beside": re.compile(r"\b(next to|close to|in front of|alongside|adjacent to|beside)\b"),
    "off": re.compile(r"\b(out of|off)\b(?! (?:sight|view|frame|shot)\b)"),
    "atop": re.compile(r"\b(on top of|atop)\b"),
}
_OWN_WORDS = frozenset({"some", "few", "single", "lone", "solitary", "both", "couple", "pair", "double", "twin"})


def mended(tagged: TaggedCaption, caption: str) -> list[Word]:
    """The words of a caption, in order, as events need them."""
    words = tagged.words
    found: list[Word] = []
    participles = thirds = False
    for index, (word, token) in enumerate(zip(words, tagged.tokens, strict=True)):
        last = found[-1] if found else None
        after = words[index + 1] if index + 1 < len(words) else None
        if word.kind == "stop":
            participles = thirds = False
        elif word.kind == "verb" and word.form != "auxiliary":
            participles, thirds = word.form == "ing", word.form == "s"
        if word.kind == "modifier" and word.form == "ing" and last is not None and _is_verb_again(last, participles):
            word = replace(word, kind="verb")
        elif word.kind == "noun" and token.tag_ == "VBZ" and last is not None and last.kind in _JOINS | {"noun"}:
            word = Word(word.text, token.lemma_, "verb", "s")
        elif word.kind == "noun" and (_is_verb_of_one(found, word) or (thirds and _is_third(found, word, after))):
            word = Word(word.text, FORMS[word.text][0], "verb", "s")
        elif word.text == "stop" and token.tag_ == "NN" and last is not None and last.kind == "noun" and not last.plural:
            word = replace(word, kind="noun", form="")  # "a bus stop"
        elif word.text == "back" and last is not None and last.kind in {"determiner", "possessive"}:
            word = replace(word, kind="noun")
        elif word.text == "her" and (after is None or after.kind not in _NAMES_FOLLOW):
            word = replace(word, kind="pronoun")
        elif word.text == "other" and last is not None and last.text == "each":
            word = replace(found.pop(), text="each other", lemma="each other", kind="pronoun")
        elif last is not None and (_is_particle(last, word, after) or _keeps_its_word(words, index)):
            word = replace(word, text=word.text.capitalize(), kind="preposition")
        found.append(word)
    return _restored(found, caption)


def _is_verb_again(last: Word, participles: bool) -> bool:
    """Whether a participle before a noun goes on with a row of them: "sitting on a chair and drinking coffee"."""
    return (participles and last.kind in _JOINS) or last.text in _BEFORE_GERUND


def _is_verb_of_one(before: Sequence[Word], word: Word) -> bool:
    """Whether it is the verb of a single thing: "a lone dog trots"."""
    return FORMS.get(word.text, ("", ""))[1] == "s" and [w.text in _ALONE for w in before[-2:]] == [True, False]


def _is_third(before: Sequence[Word], word: Word, after: Word | None) -> bool:
    """Whether it goes on with a row of verbs: "opens the door and looks at the sea", "eats, drinks"."""
    if not before or before[-1].kind not in _JOINS or FORMS.get(word.text, ("", ""))[1] != "s":
        return False
    follows_verb = len(before) > 1 and before[-2].kind == "verb"
    return follows_verb or (after is not None and after.kind in _OPENS_COMPLEMENT and after.text != "of")


def _is_particle(last: Word, word: Word, after: Word | None) -> bool:
    """Whether it belongs to the verb before it: "looks out", "walks in"."""
    if last.kind != "verb" or word.text not in _PARTICLES:
        return False
    phrasal = PHRASAL.get((last.lemma, word.text))
    if phrasal is not None:
        return phrasal not in _ASPECTS
    return word.text == "out" or (word.text in {"in", "on"} and (after is None or after.kind in _ENDS))


def _keeps_its_word(words: Sequence[Word], index: int) -> bool:
    """Whether it stands with an object, not with a region of the canvas: "under the table"."""
    if words[index].kind != "preposition":
        return False
    if words[index].text in {"into", "inside"} and index + 1 < len(words):
        return words[index + 1].text == "a"  # not into the frame
    if words[index].text not in _SIDES:
        return False
    index += 1
    while index < len(words) and words[index].kind in {"determiner", "possessive"}:
        index += 1
    return index < len(words) and words[index].kind in _OPENS_OBJECT and words[index].text not in _NO_OBJECTS


def _restored(words: list[Word], caption: str) -> list[Word]:
    """Rewritten prepositions as the caption has them; those that cannot be told apart stay."""
    for short, pattern in _REWRITTEN.items():
        places = [index for index, word in enumerate(words) if word.text.lower() == short]
        written = pattern.findall(" ".join(caption.lower().split())) if places else []
        if len(places) == len(written):
            for index, text in zip(places, written, strict=True):
                if text != short:
                    words[index] = replace(words[index], text=text, kind="preposition")
    return words


class CountWords:
    """The number words of a caption by the word that follows them, for names such as "two red cars"."""

    def __init__(self, words: Sequence[Word]) -> None:
        self._before: dict[str, deque[str]] = {}
        for word, after in pairwise(words):
            if word.kind == "number" and (number_of(word.text) or 0) > 1 and word.text not in _OWN_WORDS:
                self._before.setdefault(after.text, deque()).append(word.text)

    def take(self, word: str) -> str:
        """The first number word before this word that was not yet taken; empty if there is none."""
        counts = self._before.get(word)
        return counts.popleft() if counts else ""


def joined(phrases: Sequence[Phrase]) -> list[Phrase]:
    """Phrases with "a cup", "of" and "coffee" as one thing; of the medium, of places and of kinds nothing is joined."""
    found: list[Phrase] = []
    for phrase in phrases:
        if isinstance(phrase, Thing) and len(found) > 1 and found[-1] == Preposition("of"):
            whole = found[-2]
            if isinstance(whole, Thing) and whole.noun not in nouns.MEDIA - nouns.MEDIA_OR_THINGS | nouns.ABSTRACT:
                del found[-2:]
                phrase = replace(whole, surface=f"{whole.surface} of {phrase.surface}")
        found.append(phrase)
    return found
