"""Nouns of a clause: its subjects, objects, what follows prepositions; and what only names the medium."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_phrases import Looks, Pronoun, Thing, Verb, Where
from tasks.captions.english_verbs import KINDS
from tasks.captions.scene import Side
from tasks.dysen.clauses.clause_actions import Action
from tasks.dysen.clauses.clause_entities import acting_modifiers
from tasks.dysen.clauses.clause_state import ReadingState

_OF_MEDIUM = english.words("of with featuring containing including showing about depicting")
_PURE_MEDIA = (nouns.MEDIA - nouns.MEDIA_OR_THINGS - {"pan"}) | nouns.ABSTRACT
_BODIES = english.words("someone somebody everyone everybody person hand hands")
_NOWHERE = nouns.TIMES_OF_DAY | (nouns.NO_THINGS - _BODIES)
_PARTICLES = english.words("off out up down around over")
_SIDES: dict[Side, str] = {"left": "left of", "right": "right of", "above": "above", "below": "below"}


class NounReader(ReadingState):
    """Reads noun phrases, pronouns and the prepositions before them."""

    def thing(self, thing: Thing) -> None:
        """Reads a noun phrase."""
        preposition, self.preposition = self.preposition, ""
        count = self.counts.take(thing.surface.split(" ", 1)[0]) if thing.count else ""
        acted_on = self.current is not None and not self.boundary
        if self._is_medium(thing, acted_on=acted_on and not preposition):
            self.about_medium |= not acted_on and not self.run
            return
        nowhere = thing.noun in _NOWHERE and " of " not in thing.surface and (preposition or not thing.determiner)
        if nowhere or (thing.count == 0 and (preposition or acted_on)):  # "side by side", "with no hat"
            return
        index = self.entities.resolve(thing, count)
        if index is None:
            return
        if thing.possessor:
            self.mentioned, self.preposition = [index], preposition
            return
        self.negated |= thing.count == 0
        self._add_modifiers(thing, index)
        if preposition in {"in", "with"} and self._is_worn(thing):
            self.stand_alone(self.mentioned[-1:], [(preposition, index)])
        else:
            self._noun(preposition, [index], its=thing.determiner == "its")

    def pronoun(self, text: str) -> None:
        """Reads a pronoun."""
        preposition, self.preposition = self.preposition, ""
        if (text == "one" and isinstance(self.previous, Where)) or (text.endswith("self") and preposition == "by"):
            return
        fresh = self.current is None or bool(self.boundary)
        if text in english.VIEWERS or text in english.NOBODY:
            self.about_medium |= not preposition and fresh
            return
        subjects = self.run if self.current is None else self.current.agents
        as_object = bool(preposition) or not fresh
        likely = self._likely(text) if as_object else self.topic
        indices = self.entities.meant(text, subjects, likely, as_object=as_object)
        if indices:
            self._noun(preposition, indices, its=False)

    def preposition_alone(self, text: str) -> None:
        """Reads a preposition; without a noun after it, it belongs to the verb: "turns around"."""
        after, current = self.ahead(1), self.current
        if isinstance(after, Thing | Pronoun | Looks) or (isinstance(after, Where) and text not in _PARTICLES):
            self.preposition = text
        elif current is not None and not self.run and isinstance(self.previous, Verb | Thing | Pronoun):
            current.particle = current.particle or text

    def beside(self, of: Thing | Pronoun, side: Side) -> None:
        """Reads a side of something: "to the left of the horse"."""
        self.preposition = _SIDES[side]
        if isinstance(of, Thing):
            self.thing(of)
        else:
            self.pronoun(of.text)

    # ---- what nouns mean

    def _is_medium(self, thing: Thing, *, acted_on: bool) -> bool:
        """Whether it is the video or the picture itself."""
        if thing.noun in _PURE_MEDIA:
            return True
        return thing.noun in nouns.MEDIA_OR_THINGS and thing.surface == thing.noun and not acted_on

    def _is_worn(self, thing: Thing) -> bool:
        """Whether it belongs to somebody who is no subject: "dances with a man in a suit"."""
        owned = self.index > 1 and isinstance(self.phrases[self.index - 2], Thing) and not self.run and bool(self.mentioned)
        return owned and thing.noun in nouns.PARTS and self.entities.all[self.mentioned[-1]].is_living

    def _add_modifiers(self, thing: Thing, index: int) -> None:
        """What participles before a noun tell: "a flying bird"."""
        for lemma in acting_modifiers(thing):
            action = Action([index], Verb(lemma, KINDS[lemma], "ing"))
            self.order.place(action, "")
            self.actions.append(action)

    def _likely(self, text: str) -> list[int]:
        """Who an object means rather than the latest: a person the subject before, a thing the object before."""
        return [
            index
            for action in self.actions[-2:-1]
            for index in (action.agents + action.objects if text in {"him", "her"} else action.objects + action.agents)
        ]

    # ---- what nouns are to the clause

    def _noun(self, preposition: str, indices: list[int], *, its: bool) -> None:
        current = self.current
        if preposition and not (self.about_medium and preposition in _OF_MEDIUM and current is None):
            self._oblique(preposition, indices, its=its)
        elif current is None:
            self._subject(indices)
        elif not self.boundary and self.awaits_subject() and current.verb and current.verb.form == "finite":
            self.give_subjects(indices)  # "down the stairs bounces a ball"
        elif not self.boundary or not (self.boundary in {"stop", "clause"} or self._starts_clause()):
            self._object(current, indices)
        else:
            self.end_clause()
            self._subject(indices)
        self.boundary, self.mentioned = "", indices

    def _starts_clause(self) -> bool:
        """Whether a noun after "and" or a comma is a new subject, rather than one more object."""
        return not self.slot or self.verb_follows() or self.awaits_subject() or bool(self.link)

    def _subject(self, indices: Sequence[int]) -> None:
        stated = any(action.agents == self.run and not action.verb for action in self.actions[-1:])
        if self.run and not self.boundary and not stated:  # "the ball it chases"
            self.gap, self.outer, self.run = self.run, self.run, []
        elif self.run and (stated or self.boundary == "clause"):
            self.end_clause()
        self.run = self.run + [index for index in indices if index not in self.run]
        self.about_medium = self.relative = False

    def _object(self, action: Action, indices: Sequence[int]) -> None:
        if self.boundary and self.slot not in {"", "object"}:
            action.relations += [(self.slot, index) for index in indices]
        else:
            action.objects += [index for index in indices if index not in action.agents]
            self.slot = "object"

    def _oblique(self, preposition: str, indices: Sequence[int], *, its: bool) -> None:
        relations = [(preposition, index) for index in indices]
        action = self.current
        if self.run:
            self.stand_alone(self.run[-1:], relations)
        elif action is None:
            self.fronted += relations
        elif preposition == "by" and action.verb and action.verb.passive and self.slot != "by":
            action.take_agent(indices[0])
            self.order.know(action)
            self.slot = "by"
        elif its and preposition in {"in", "on"} and self.slot == "with":  # "with a nut in its mouth"
            self.stand_alone(self.mentioned[-1:], relations)
        elif preposition != "of":
            action.relations += relations
            self.slot = preposition
        self.about_medium = False
