"""Verbs in captions: auxiliaries, negation, particles ("shows up"), and verbs that lead to others ("starts moving")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from tasks.captions import english
from tasks.captions.caption_phrases import Found, Mark, Verb, kind_at, text_at
from tasks.captions.caption_words import Word
from tasks.captions.english_verbs import ENTERING, LEAVING, PHRASAL

Form = Literal["finite", "ing", "participle", "having"]
_DEEPEST = 4  # "starts trying to begin to ..."
_KEPT = english.words("only just halfway there here away") | english.MARKS | english.HEADINGS.keys()
# Verbs that say nothing themselves before another: "can be seen walking", "seems to move", "keeps running".
_CARRIERS = english.words("show appear become stay seem keep continue try go be happen proceed come have remain wait")
_ENDS = frozenset({"stop", "comma", "conjunction", "preposition", "adverb", "subordinator"})


def read_verb(words: Sequence[Word], index: int, depth: int = 0) -> Found:
    """A verb with auxiliaries, "not" and adverbs before it, and the verb that it leads to."""
    begin = index
    if kind_at(words, index) not in {"verb", "infinitive"}:
        return None
    negated = having = being = doing = False
    finite = kind_at(words, index) == "verb" and words[index].form not in {"ing", "participle"}
    while index < len(words) and words[index].form == "auxiliary":
        having |= text_at(words, index) == "having"
        finite &= text_at(words, index) not in {"having", "being"}
        being, doing = words[index].lemma == "be", words[index].lemma == "do"
        end, no = _behind_adverbs(words, index + 1)
        negated |= no
        index = end if no or kind_at(words, end) == "verb" else index + 1
    if kind_at(words, index) == "infinitive":
        index += 1
    form: Form = "having" if having else "finite" if finite or index > begin else _form(words[index])
    adjective = being and text_at(words, index) in english.HIDDEN | english.STILL
    if kind_at(words, index) != "verb" or adjective:
        if index == begin or doing:
            return (Mark("question"), index) if index > begin else None
        lemma = "be" if being else "have"
        return Verb(lemma, lemma, form if having or finite else "ing", negated=negated), index
    word = words[index]
    passive = word.form in {"participle", "past"} if being else index == begin and _is_passive(words, index)
    verb = Verb(word.lemma, word.verb_kind, form, passive, negated)
    return _led(words, *_with_particle(words, index + 1, verb), depth + 1)


def _form(word: Word) -> Form:
    if word.form == "ing":
        return "ing"
    return "participle" if word.form == "participle" else "finite"


def _is_passive(words: Sequence[Word], index: int) -> bool:
    """Whether a participle without auxiliary is passive: nothing that could be its object follows."""
    objects = {"determiner", "possessive", "pronoun", "number", "noun"}
    return words[index].form == "participle" and kind_at(words, index + 1) not in objects


def _behind_adverbs(words: Sequence[Word], index: int) -> tuple[int, bool]:
    """The index behind adverbs, and whether a "not" is among them."""
    negated = False
    while kind_at(words, index) in {"adverb", "negation"} and text_at(words, index) not in _KEPT:
        negated |= kind_at(words, index) == "negation"
        index += 1
    return index, negated


def _with_particle(words: Sequence[Word], index: int, verb: Verb) -> tuple[int, Verb]:
    """A verb with its particle, as in "shows up", "takes off" and "comes in"."""
    particle = text_at(words, index)
    kind = PHRASAL.get((verb.lemma, particle))
    if kind is None and verb.kind in {"travel", "rise", "sink"} and kind_at(words, index + 1) in _ENDS:
        kind = "enter" if particle in ENTERING else "leave" if particle in LEAVING else None
    return (index, verb) if kind is None else (index + 1, replace(verb, kind=kind))


def _led(words: Sequence[Word], index: int, verb: Verb, depth: int) -> tuple[Verb, int]:
    """A verb and the one that it leads to, if it does."""
    after, _ = _behind_adverbs(words, index)
    if kind_at(words, after) == "infinitive":
        after += 1
    elif not (kind_at(words, after) == "verb" and words[after].form == "ing"):
        return verb, index
    carries = verb.kind in {"show", "appear"} or verb.lemma in _CARRIERS
    leads = verb.kind in {"begin", "stop"} or (carries and (verb.kind != "show" or verb.passive))
    if not leads or depth > _DEEPEST or kind_at(words, after) != "verb":
        return verb, index
    led = read_verb(words, after, depth)
    if led is None or not isinstance(led[0], Verb):
        return verb, index
    aspect = verb.kind if verb.kind in {"begin", "stop"} else "wait" if verb.lemma == "wait" else led[0].aspect
    return replace(led[0], form=verb.form, negated=verb.negated or led[0].negated, aspect=aspect), led[1]
