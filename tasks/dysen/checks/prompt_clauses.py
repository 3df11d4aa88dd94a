"""What the words of a prompt ask of a graph: the order of its clauses, and the verbs and nouns in them.

Word lists and connectives only, no tagger: what they do not know is left out or taken for a noun.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from tasks.captions import english, english_nouns
from tasks.captions.caption_words import CLOSED
from tasks.captions.english_verbs import FORMS, KINDS, NOUN_LIKE
from tasks.captions.word_context import KNOWN_ADJECTIVES
from tasks.dysen.scores.term_matching import lemma_key

_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[.!?;,]")
_SENTENCE_ENDS = frozenset(".!?;")
_Connective = Literal["then", "before", "after", "while"]
_THEN = english.words("then afterwards afterward subsequently thereafter thereupon finally lastly")
_CONNECTIVES: dict[str, _Connective] = {
    **dict.fromkeys(_THEN, "then"),
    "before": "before",
    "after": "after",
    **dict.fromkeys(("while", "whilst", "meanwhile"), "while"),
}
_STAGING = frozenset({"be", "become", "show", "have", "appear", "begin", "end", "make"})
_NO_CONTENT = english_nouns.MEDIA | english_nouns.ABSTRACT | english.AUXILIARIES | english.NUMBERS.keys() | CLOSED.keys()
_LONGEST_WORD = 60


class ClauseOrder(NamedTuple):
    """Two clauses of a prompt: what `later` tells must not begin before what `earlier` tells, or both overlap in time."""

    relation: Literal["order", "overlap"]
    earlier: tuple[str, ...]
    later: tuple[str, ...]


def _words(text: str) -> list[str]:
    return [word for word in _TOKEN.findall(text.lower()) if len(word) <= _LONGEST_WORD]


def word_keys(words: Iterable[str]) -> frozenset[str]:
    """What the words share with their other forms, as nouns and as verbs."""
    return frozenset(key for word in set(words) for key in _keys(word))


@functools.lru_cache(maxsize=4096)
def _keys(word: str) -> tuple[str, str]:
    return lemma_key(word, "object"), lemma_key(word, "predicate")


def ordered_clauses(prompt: str) -> list[ClauseOrder]:
    """Pairs of clauses that "then", "before", "after", "while" and the like join, in the order of the prompt.

    A clause runs from one connective to the next or to the end of the sentence; one that begins a sentence ("After she
    sat down, she drank") ends with its first comma.
    """
    found: list[ClauseOrder] = []
    current: list[str] = []
    for sentence in _sentences(_words(prompt)):
        parts = _parts(sentence)
        connective, words = parts.pop(0)
        if connective in (None, "then"):
            found += _joined(current, connective, words)
            current = words
        else:
            comma = words.index(",") if "," in words else len(words)
            current = words[comma:]
            found += _joined(current, connective, words[:comma])
        for connective, words in parts:
            found += _joined(current, connective, words)
            current = words if connective in ("then", "before") else current + words
    return found


def _sentences(tokens: list[str]) -> list[list[str]]:
    sentences: list[list[str]] = [[]]
    for token in tokens:
        if token in _SENTENCE_ENDS:
            sentences.append([])
        else:
            sentences[-1].append(token)
    return [sentence for sentence in sentences if sentence]


def _parts(sentence: list[str]) -> list[tuple[_Connective | None, list[str]]]:
    """A sentence cut at its connectives; a first part without words of its own is left out."""
    parts: list[tuple[_Connective | None, list[str]]] = [(None, [])]
    for word in sentence:
        if word in _CONNECTIVES:
            parts.append((_CONNECTIVES[word], []))
        else:
            parts[-1][1].append(word)
    if len(parts) > 1 and english.CONJUNCTIONS.union(",").issuperset(parts[0][1]):
        parts.pop(0)
    return parts


def _joined(clause: list[str], connective: _Connective | None, other: list[str]) -> list[ClauseOrder]:
    if connective is None or not clause or not other:
        return []
    earlier, later = (other, clause) if connective == "after" else (clause, other)
    return [ClauseOrder("overlap" if connective == "while" else "order", tuple(earlier), tuple(later))]


def content_words(prompt: str) -> list[str]:
    """The verbs of a prompt that tell what is done, and the last noun of each noun phrase, in order and once each."""
    found: list[str] = []
    phrase = ""
    for word in [*_words(prompt), "."]:
        is_verb = word in FORMS and word not in NOUN_LIKE
        if word in _NO_CONTENT or is_verb:
            found += [phrase] if phrase else []
            phrase = ""
            if is_verb and word not in _NO_CONTENT and KINDS[FORMS[word][0]] not in _STAGING:
                found.append(word)
        elif word not in KNOWN_ADJECTIVES and not word.endswith("ly"):
            phrase = word
    return list(dict.fromkeys(found))
