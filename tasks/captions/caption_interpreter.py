"""Reads the phrases of a caption in order and turns them into clauses about objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.captions import english
from tasks.captions.caption_circumstances import CircumstanceReader
from tasks.captions.caption_phrases import (
    Course,
    Looks,
    Mark,
    Phrase,
    Preposition,
    Pronoun,
    Thing,
    Verb,
    When,
    Where,
    number_of,
)
from tasks.captions.scene import MOST_COUNT

MOST_CLAUSES = 120
_THEMED = english.words("be show have appear stand wait begin end travel stir rise sink fall")
_FRONTED = english.words("be appear stand wait")
_GOES = english.words("travel rise sink fall jump enter leave")
_STATES = ((english.SHOWN, "shown"), (english.HIDDEN, "hidden"), (english.STILL, "still"))
_DENIED = {"shown": "hidden", "hidden": "shown", "still": "moving"}


class Interpreter(CircumstanceReader):
    """Reads whole captions."""

    def read(self, phrases: Sequence[Phrase]) -> None:
        """Reads the phrases of a caption, as far as its first `MOST_CLAUSES` clauses."""
        for index, phrase in enumerate(phrases):
            self.following = phrases[index + 1] if index + 1 < len(phrases) else None
            if len(self.clauses) > MOST_CLAUSES:
                break
            self._dispatch(phrase)
            self.previous = phrase
        self.end_sentence()

    def _dispatch(self, phrase: Phrase) -> None:
        match phrase:
            case Mark(kind="whose"):
                self.mark("relative")
                self.owner = list(self.mentioned)
            case Mark():
                self.mark(phrase.kind)
            case Thing():
                self.thing(phrase)
            case Pronoun():
                self._pronoun(phrase.text)
            case Where():
                self.where(phrase)
            case Course(kind="inside"):
                if self.clause.verb is not None:
                    self.clause.verb = replace(self.clause.verb, kind="enter")
            case Course():
                self.add(phrase)
            case When():
                self.when(phrase)
            case Verb():
                self._verb(phrase)
            case Looks():
                self._looks(phrase.words)
            case Preposition():
                self.preposition = phrase.text

    def _pronoun(self, text: str) -> None:
        preposition, self.preposition = self.preposition, ""
        if text in english.VIEWERS:
            self.about_medium |= not preposition
            return
        if text in english.NOBODY:
            self.run, self.clause.subjects, self.clause.void, self.about_medium = [], [], True, True
            return
        oblique = bool(preposition) or (self.clause.verb is not None and not self.boundary)
        indices = self._meant(text, oblique=oblique)
        if not indices:
            return
        if preposition:
            self.placed_by(indices[-1], preposition)
            self.mentioned = indices
            return
        if self.clause.theme and self.boundary == "" and self.clause.subjects:
            return
        self.clause.theme &= text in {"one", "other", "another"}
        self.noun_phrase(indices)

    def _meant(self, text: str, *, oblique: bool) -> list[int]:
        """The objects that a pronoun means."""
        if text in {"one", "another", "other"}:
            part = self.cast.one_of_several() if text != "other" else self.cast.the_others()
            return [part] if part is not None else list(self.topic)
        if oblique:
            return self.cast.other_than(self.spoken_of, self.mentioned)
        if english.PRONOUNS.get(text) == "many":
            return self.cast.several(self.topic or self.mentioned) or list(self.topic or self.mentioned)
        return list(self.topic or self.run or self.outer or self.mentioned)

    # ---- verbs and adjectives

    def _verb(self, verb: Verb) -> None:
        boundary, self.boundary = self.boundary, ""
        negated, self.negate, self.preposition = self.negate, False, ""
        if negated:
            verb = replace(verb, negated=not verb.negated)
        if self._is_theme(verb, boundary):
            self._start_theme(verb)
            return
        subjects = self._subjects_of(verb, boundary)
        clause = self.clause
        if clause.verb is not None or (clause.subjects and subjects and clause.subjects != subjects):
            relative = bool(clause.relative and boundary)
            clause = self.new_clause(subjects)
            clause.relative = relative
        clause.subjects = list(subjects)
        clause.verb, clause.negated = verb, clause.negated or verb.negated
        clause.deferred = not subjects and self.fresh_sentence
        if verb.kind == "begin" and not clause.next and not verb.aspect:
            clause.rank = -1
        elif verb.kind == "end":
            clause.rank = 1
        if verb.form == "having":
            clause.position -= 1.5
        if subjects:
            self.settle(subjects)
            self.topic = list(subjects)
            self.fresh_sentence &= verb.form != "finite"
        self.run, self.about_medium, self.role = [], False, ""

    def _is_theme(self, verb: Verb, boundary: str) -> bool:
        """Whether who it is about follows the verb: "the video shows a dog", "there is a dog", "on the left sits a dog"."""
        clause = self.clause
        if verb.kind == "chase" and isinstance(self.previous, Pronoun) and self.about_medium:  # "we follow a dog"
            return True
        fronted = bool(boundary and self.since) and isinstance(self.following, Thing)
        if fronted and verb.form == "finite" and verb.kind in _FRONTED:
            return True
        has_subject = self.run and not (verb.kind == "show" and clause.theme)
        if (
            has_subject
            or verb.form != "finite"
            or verb.kind not in _THEMED
            or (clause.relative and clause.subjects and not clause.verb)
        ):
            return False
        if verb.kind == "show":
            return not verb.passive or isinstance(self.following, Thing)
        existential = isinstance(self.previous, Looks) and "there" in self.previous.words
        inverted = self.fresh_sentence and (isinstance(self.following, Thing | Mark) or self.about_medium)
        return existential or inverted

    def _start_theme(self, verb: Verb) -> None:
        clause = self.clause
        if clause.verb is not None:
            clause = self.begin_with([])
        shown = replace(verb, kind="show") if verb.kind == "chase" else verb
        clause.verb, clause.theme, clause.negated = shown, True, verb.negated
        clause.subjects, clause.inherited = [], None
        self.fresh_sentence, self.about_medium = False, False

    def _subjects_of(self, verb: Verb, boundary: str) -> list[int]:
        clause = self.clause
        participle = verb.form in {"ing", "participle"} and not boundary
        if participle and self.role in {"oblique", "with"} and isinstance(self.previous, Thing):
            return list(self.mentioned)
        if self.run and (verb.form == "finite" or clause.verb is None or clause.theme):
            return list(self.run)
        if clause.verb is None and clause.subjects:
            return list(clause.subjects)
        if clause.relative and verb.form == "finite" and not boundary:
            return list(self.outer or self.topic)
        if participle and isinstance(self.previous, Thing | Pronoun):
            return list(self.mentioned)
        if self.fresh_sentence and verb.form != "finite":
            return []
        return list(clause.subjects or self.topic)

    def _looks(self, looks: Sequence[str]) -> None:
        """Reads adjectives: a predicate, or more looks of what was named last."""
        clause = self.clause
        preposition, self.preposition = self.preposition, ""
        if preposition in {"to", "into"}:  # what it turns into
            return
        if tuple(looks) == ("there",) and clause.kind not in {"be", "stand", "wait"}:
            return
        if self.fresh_sentence and not self.run and not clause.said and not preposition:
            self.pending = [word for word in looks if word in english.COLOURS]  # "red is the colour of ..."
            return
        named_since = bool(self.boundary) and not set(self.mentioned) <= set(clause.subjects)
        predicate = clause.verb is not None and not preposition and bool(clause.subjects) and not named_since
        whose = clause.subjects if predicate else self.mentioned or self.run
        for words, state in _STATES:
            if any(word in words for word in looks):
                if clause.state and clause.times and self.boundary:  # "there in the first half and not there in the second"
                    clause = self.new_clause(clause.subjects, inherit=True)
                if state == "hidden" and clause.verb is not None and clause.kind in _GOES:  # "walks out of view"
                    clause.verb = replace(clause.verb, kind="vanish")
                clause.state = _DENIED[state] if self.negate or clause.negated else state
                self.negate = False
                clause.subjects = clause.subjects or list(whose)
        number = number_of(looks[0])
        for index in whose:
            draft = self.cast.drafts[index]
            if number is None:
                draft.add_looks(looks)
            elif (predicate and clause.kind == "be") or self.boundary in {"comma", "colon"}:
                draft.count = min(max(number, 1), MOST_COUNT)
        self.boundary = "" if predicate else self.boundary
