"""Kinds of words of open classes: the tagger's opinion, set right by the verb table and by the neighbours of a word."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_words import CLOSED, Kind, Word
from tasks.captions.english_nouns import IRREGULAR, singular
from tasks.captions.english_verbs import FORMS, NOUN_LIKE
from tasks.captions.word_context import KNOWN_ADJECTIVES, OPENERS, Context

_BY_TAG: Mapping[str, Kind] = english.lookup(
    {
        "noun": "NOUN PROPN",
        "adjective": "ADJ",
        "adverb": "ADV PART",
        "number": "NUM",
        "verb": "VERB AUX",
        "pronoun": "PRON",
        "preposition": "ADP",
        "determiner": "DET",
        "conjunction": "CCONJ",
        "subordinator": "SCONJ",
    }
)
_FORM_BY_TAG = {"VBG": "ing", "VBZ": "s", "VBN": "participle", "VBD": "participle"}
_ALSO_ADJECTIVES = english.words("open close clean near present")
_KNOWN_NOUNS = (
    nouns.MEDIA
    | nouns.SCENERY
    | english.GROUPS.keys()
    | nouns.PARTS
    | english.PLACE_NOUNS
    | nouns.ABSTRACT
    | IRREGULAR.keys()
)
_WORD = re.compile(r"\w+(?:['.-]\w+)*")
_NEVER_NOUNS = re.compile(r"a[sflwb]\w+$|\w+(?:ful|able|ing|ed)$")
_BARE = frozenset({"preposition", "stop", "conjunction", "comma", "colon"})


def open_word(context: Context) -> Word:
    """The word for a token that is in no closed class."""
    if context.text in english.SHADES and context.text_after() in english.COLOURS:  # "jet black"
        return Word(context.text, context.text, "adjective")
    if context.text in FORMS:
        return _verb_form(context)
    text, token = context.text, context.token
    kind = CLOSED.get(text) or _by_tag(context)
    if kind in {"verb", "modifier"}:
        return Word(text, token.lemma_, kind, _FORM_BY_TAG.get(token.tag_, "base"))
    counted = context.is_counted and text.endswith("s") and not text.endswith("ss")
    tagged = (token.tag_ in {"NNS", "NNPS"} or context.last_kind in _BARE) and not context.has_article
    plural = (
        kind == "noun" and (tagged or counted or text in IRREGULAR) and text not in english.GROUPS and singular(text) != text
    )
    return Word(text, singular(text) if plural else text, kind, plural=plural)


def _verb_form(context: Context) -> Word:
    """A form of a listed verb: a verb, a participle that modifies a noun, an adjective, or a noun after all."""
    text, token = context.text, context.token
    lemma, form = FORMS[text]
    linked = any(word.form == "auxiliary" or word.verb_kind in {"become", "wait"} for word in context.before[-3:])
    had = context.last is not None and context.last.lemma == "have"
    if (text in english.HIDDEN | english.STILL and linked) or (text == "gone" and not had):
        return Word(text, text, "adjective")
    if text in nouns.MEDIA and token.pos_ == "NOUN" and context.last_kind in {"noun", "adjective"}:
        return Word(text, text, "noun")
    if form in {"ing", "participle", "past"}:
        return _participle(context, lemma, form)
    if _is_noun(context, form):
        return Word(text, singular(text) if form == "s" else text, "noun", plural=form == "s")
    if text in KNOWN_ADJECTIVES or (text in _ALSO_ADJECTIVES and token.pos_ in {"ADJ", "ADP"}):
        return Word(text, text, "adjective")
    return Word(text, lemma, "verb", form)


def _participle(context: Context, lemma: str, form: str) -> Word:
    text = context.text
    opened = context.is_opened
    bare = (
        context.last_kind in _BARE and context.text_after() not in CLOSED and context.tag_after() in {"NOUN", "PROPN", "ADJ"}
    )
    if context.noun_follows() and (opened or (bare and (form == "ing" or text in english.STILL))):
        return Word(text, lemma, "modifier", form)
    after_predicate = context.last_kind in {"adjective", "number"}
    if opened and ((form == "ing" and not after_predicate) or text in nouns.MEDIA):
        return Word(text, text, "noun")
    return Word(text, lemma, "verb", form)


def _is_noun(context: Context, form: str) -> bool:
    """Whether a form such as "walk" or "flies" is a noun."""
    last, kind, text = context.last, context.last_kind, context.text
    if last is None:
        return context.token.pos_ in {"NOUN", "PROPN"} or (
            form == "base" and FORMS.get(context.text_after(), ("", ""))[1] in {"ing", "s"}
        )
    if form == "s" and (last.text == "one" or (last.text == "other" and any(word.text == "one" for word in context.before))):
        return False
    if (context.is_opened and last.text not in {"that", "both", "all", *english.VECTORS}) or kind == "preposition":
        return True
    if kind in {"pronoun", "relative", "infinitive", "adverb", "negation"} or last.form == "auxiliary":
        return False
    if kind == "noun" and form == "s":  # "three house flies" are flies, "a house flies" is a house
        opener = next(
            (w for w in reversed(context.before) if w.kind in {"number", "determiner", "preposition", "verb"}), None
        )
        return (
            opener is not None and opener.kind == "number" and opener.text not in {"one", "single", "1"} and not last.plural
        )
    if kind == "noun":
        return not last.plural and context.token.pos_ == "NOUN" and text in NOUN_LIKE
    return context.token.pos_ in {"NOUN", "PROPN"} and text in NOUN_LIKE


def _by_tag(context: Context) -> Kind:
    """The tagger's word for a word that no list knows, unless its neighbours rule that out."""
    text, tag, last = context.text, context.token.tag_, context.last
    if not _WORD.fullmatch(text) or not any(c.isalpha() for c in text):
        return "other"
    if text in KNOWN_ADJECTIVES - english.LOOKLESS:
        return "adjective"
    if text in _KNOWN_NOUNS:
        return "noun"
    kind = _BY_TAG.get(context.token.pos_, "other")
    if kind not in {"noun", "other"} and (not text.endswith("ly") or text.endswith("fly")) and context.ends_noun_phrase():
        return "noun"
    after_noun = last is not None and last.kind == "noun" and not last.plural
    if kind == "adjective" and after_noun and not context.noun_follows():
        return "adjective" if text in english.LOOKLESS or _NEVER_NOUNS.match(text) else "noun"
    if kind == "verb" and (last is None or last.kind in OPENERS | {"preposition", "conjunction", "comma"}):
        if tag not in {"VBG", "VBN", "VBD"}:
            return "noun"
        return ("modifier" if tag == "VBG" else "adjective") if context.noun_follows() else "verb"
    if kind == "noun" and after_noun and tag == "NNS" and context.has_article:  # "a dog yelps"
        return "verb"
    return kind
