"""Reads the phrases of a caption from left to right: agent, verb, object, and what prepositions add."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_phrases import Course, Looks, Mark, Phrase, Preposition, Pronoun, Thing, Verb, When, Where
from tasks.dysen.clauses.clause_actions import Action, State
from tasks.dysen.clauses.clause_nouns import NounReader

_STATES: tuple[tuple[frozenset[str], State], ...] = (
    (english.STILL, "still"),
    (english.SHOWN, "shown"),
    (english.HIDDEN, "hidden"),
)
_RESTING = english.words("stand wait be become")
_TURNS = frozenset({"become", "fall"})
_OPPOSITE: dict[State, State] = {"shown": "hidden", "hidden": "shown", "still": "", "": ""}
_BESIDE = english.words("while whilst as whereas when whenever where since because although though")
_LATER = english.words("before until till")
_EARLIER = english.words("after once")
_CAUSES = english.words("help make let have get")
_PERCEIVES = english.words("look listen hear smell catch")


class ClauseReader(NounReader):
    """Reads whole captions."""

    def read(self, phrases: Sequence[Phrase]) -> None:
        """Reads all phrases of a caption, which must be the ones that the reader was made with."""
        for index, phrase in enumerate(phrases):
            self.index = index
            self._dispatch(phrase)
            self.previous = phrase
        self.end_sentence()

    def statements(self) -> list[Action]:
        """All actions, and that is there what has none."""
        acting = {agent for action in self.actions if not action.negated for agent in action.agents}
        named = [index for index in dict.fromkeys(self.present) if index not in acting]
        denied = [agent for action in self.actions if action.negated for agent in action.agents if agent not in acting]
        things = [index for index in named if self.entities.all[index].noun not in nouns.SCENERY]
        there = things or ([] if self.actions else named)
        return [*self.actions, *(Action([index], group=-1) for index in dict.fromkeys([*there, *denied]))]

    def _dispatch(self, phrase: Phrase) -> None:
        match phrase:
            case Thing():
                self.thing(phrase)
            case Pronoun():
                self.pronoun(phrase.text)
            case Verb():
                self._verb(phrase)
            case Preposition():
                self.preposition_alone(phrase.text.lower())
            case Where():
                self._where(phrase)
            case Course():
                self._course(phrase.kind)
            case When():
                self._when(phrase)
            case Looks():
                self._looks(phrase.words)
            case Mark():
                self._mark(phrase.kind)

    # ---- verbs

    def _verb(self, verb: Verb) -> None:
        boundary, self.boundary = self.boundary, ""
        self.preposition = ""
        if self._is_theme(verb):
            self.end_clause()
            self.about_medium = False
            return
        subjects = self._subjects_of(verb, boundary)
        action = Action(list(subjects), verb, negated=verb.negated != self.negated)
        self.negated = self.about_medium = False
        self.order.place(action, self.take_link(), beside=self._accompanied(verb, subjects, boundary))
        action.relations, action.places, action.times = self.fronted, self.fronted_places, self.pending_times
        action.objects, self.gap = self.gap, []
        self.fronted, self.fronted_places, self.pending_times = [], [], []
        self.actions.append(action)
        self.current, self.run, self.slot = action, [], ""
        if subjects:
            self.give_subjects(subjects)
        else:
            self.awaiting.append(action)
        self.fresh = self.relative = False

    def _is_theme(self, verb: Verb) -> bool:
        """Whether it only stages what follows: "there is", "the video shows", "we see"."""
        if self.run:
            return False
        if self.about_medium:
            return True
        return verb.kind == "show" and self.fresh and not verb.passive and isinstance(self.ahead(1), Thing)

    def _subjects_of(self, verb: Verb, boundary: str) -> list[int]:
        if self.run:
            return self.run
        if self.relative:
            return self.head
        if self.fresh:
            return []
        current = self.current
        if not boundary and isinstance(self.previous, Thing | Pronoun) and current is not None and self.mentioned:
            perceived = current.kind == "show" or current.lemma in _PERCEIVES
            if verb.form == "participle" and verb.passive:
                return self.mentioned
            if verb.form != "finite":
                living = self.entities.all[self.mentioned[-1]].is_living
                return self.mentioned if (living or perceived) and verb.lemma != "use" else current.agents
            if not self.outer and (perceived or current.lemma in _CAUSES):
                return self.mentioned
        if verb.form == "finite" and self.outer:
            subjects, self.outer = self.outer, []
            return subjects
        return self.topic

    def _accompanied(self, verb: Verb, subjects: Sequence[int], boundary: str) -> Action | None:
        """The action that a participle goes along with: "walks, holding a bag", "a man holding a bag walks"."""
        current = self.current
        if current is None or current.verb is None or boundary == "and" or self.link or current.agents != list(subjects):
            return None
        if verb.form == "ing" and (not boundary or current.verb.form == "finite"):
            return current
        return current if verb.form == "finite" and current.verb.form == "ing" and not boundary else None

    # ---- places, ways, times, looks

    def _where(self, where: Where) -> None:
        self.preposition = ""
        if where.only_up_or_down and where.vector in {(0, -1), (0, 1)}:
            self.preposition_alone("up" if where.vector == (0, -1) else "down")
            return
        if isinstance(where.of, Thing | Pronoun) and where.side is not None:
            self.beside(where.of, where.side)
        elif where.vector is None:
            return
        elif self.current is not None and not self.run:
            self.current.places.append(where)
            self.link = ""
        elif self.run:
            self.stand_alone(self.run, places=[where])
        else:
            self.fronted_places.append(where)

    def _course(self, kind: str) -> None:
        current = self.current
        if current is None or self.run or isinstance(self.ahead(1), Where):
            return
        if kind == "away" and not current.particle:
            current.particle = "away"
        elif kind in {"across", "inside"}:
            current.particle = current.particle or ("across" if kind == "across" else "into")

    def _when(self, when: When) -> None:
        self.preposition = ""
        current = self.current
        leads = bool(self.boundary) and self.verb_follows(2 if isinstance(self.ahead(1), Mark) else 1)
        if current is None or self.run or leads:
            self.pending_times.append(when)
        elif self.negated:
            current.hidden_times.append(when)
        else:
            current.times.append(when)
        self.negated = False

    def _looks(self, looks: Sequence[str]) -> None:
        self.preposition = ""
        current = self.current
        if tuple(looks) == ("there",) and isinstance(self.ahead(1), Verb) and not self.run:
            self.about_medium = True
            return
        told: list[State] = [state for words, state in _STATES if not words.isdisjoint(looks)]
        state = told[0] if told else ""
        if not state:
            if current is not None and isinstance(self.previous, Verb) and current.kind in _TURNS:  # "falls asleep"
                current.particle = current.particle or looks[0]
            return
        if current is not None and not self.run:
            if state == "hidden" and current.kind not in _RESTING | {""}:  # "runs out of sight"
                current.particle = current.particle or "away"
            elif current.state == "" and (state != "still" or current.kind in _RESTING):
                current.state = _OPPOSITE[state] if current.negated or self.negated else state
                current.negated = False
        elif self.run and state != "still" and not isinstance(self.ahead(1), Verb):
            self.stand_alone(self.run, state=_OPPOSITE[state] if self.negated else state)
        self.negated = False

    # ---- marks

    def _mark(self, kind: str) -> None:
        self.preposition = ""
        if kind == "stop":
            self.end_sentence()
        elif kind in {"comma", "colon", "and"}:
            self.boundary = "and" if kind == "and" else self.boundary or "comma"
            if self.lead and kind == "comma" and not self.fresh:
                self.link, self.lead = self.lead, ""
        elif kind in {"relative", "whose"}:
            self._relative()
        elif kind == "not":
            self.negated = True
        elif kind in {"next", "last"}:
            self.link, self.boundary = "next", self.boundary or "comma"
        elif kind == "earlier":
            self.link = "earlier"
        elif kind in _BESIDE | _LATER | _EARLIER:
            self._subordinator(kind)

    def _relative(self) -> None:
        if self.about_medium:
            return
        self.head = self.run[-1:] or self.mentioned[-1:]
        self.outer = self.run or self.topic
        self.relative = isinstance(self.ahead(1), Verb | Mark)
        if self.run:
            self.present += self.run
            self.run = []
        self.gap = [] if self.relative else self.head
        self.boundary = ""
        self.current = None

    def _subordinator(self, kind: str) -> None:
        if kind == "as" and isinstance(self.ahead(1), Thing) and not self.verb_follows(1):
            return
        if kind == "after" and isinstance(self.ahead(1), Thing | Pronoun) and self.current and not self.verb_follows(1):
            self.preposition = "after"  # "runs after a car"
            return
        if self.fresh and not self.run:
            self.lead = "while" if kind in _BESIDE else "earlier" if kind in _LATER else "next"
        else:
            self.end_clause()
            self.link = "while" if kind in _BESIDE else "next" if kind in _LATER else "earlier"
        self.boundary = "clause"
