"""What has been read of a caption so far: its entities and actions, and what the next phrase will belong to."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.captions.caption_phrases import Looks, Mark, Phrase, Preposition, Pronoun, Thing, Verb, When, Where
from tasks.dysen.clauses.clause_actions import Action, Link, Order, State
from tasks.dysen.clauses.clause_entities import Entities
from tasks.dysen.clauses.clause_words import CountWords

_PASSED_OVER = (Preposition, Where, When, Looks)
_FARTHEST = 6  # phrases between a noun and its verb


class ReadingState:
    """State of the reader of one caption; entities are told by their numbers.

    Attributes:
        present: entities that are named, whatever they do.
        awaiting: actions whose subject is yet to come.
        current: the action that objects and places belong to.
        run: subjects whose verb is yet to come.
        topic: subjects of the last verb.
        outer: subjects of the clause around a relative clause.
        head: what a relative clause tells of.
        gap: the object of its verb: "the ball that the boy kicks".
        mentioned: what was named last.
        fronted: relations before their verb; so are `fronted_places` and `pending_times`.
        boundary: "comma", "and", "stop" or "clause" between the last phrase and the next; empty without one.
        slot: what the last noun was to its verb: "object", a preposition, or nothing.
        link: how the next action follows the last one.
        lead: how the main clause will follow the subordinate clause that is read.
        fresh: whether the sentence has no verb yet.
        relative: whether the next verb is that of a relative clause.
    """

    def __init__(self, phrases: Sequence[Phrase], counts: CountWords) -> None:
        self.phrases, self.counts = phrases, counts
        self.index = 0
        self.previous: Phrase | None = None
        self.entities, self.order = Entities(), Order()
        self.actions: list[Action] = []
        self.awaiting: list[Action] = []
        self.present: list[int] = []
        self.current: Action | None = None
        self.run: list[int] = []
        self.topic: list[int] = []
        self.outer: list[int] = []
        self.head: list[int] = []
        self.gap: list[int] = []
        self.mentioned: list[int] = []
        self.fronted: list[tuple[str, int]] = []
        self.fronted_places: list[Where] = []
        self.pending_times: list[When] = []
        self.boundary, self.preposition, self.slot = "stop", "", ""
        self.link: Link = ""
        self.lead: Link = ""
        self.fresh, self.relative, self.negated, self.about_medium = True, False, False, False

    def ahead(self, distance: int) -> Phrase | None:
        """The phrase some phrases later."""
        index = self.index + distance
        return self.phrases[index] if index < len(self.phrases) else None

    def verb_follows(self, distance: int = 1) -> bool:
        """Whether a noun phrase, the last one or the one at that distance, is the subject of a verb."""
        after_preposition = distance > 1
        for phrase in self.phrases[self.index + distance : self.index + distance + _FARTHEST]:
            if isinstance(phrase, Verb):
                return not (phrase.form == "participle" and phrase.passive)
            if isinstance(phrase, Mark):
                return phrase.kind == "relative"
            if not isinstance(phrase, _PASSED_OVER) and not isinstance(phrase, Thing | Pronoun) and not after_preposition:
                return False
            after_preposition = isinstance(phrase, Preposition)
        return False

    def take_link(self) -> Link:
        """How the verb that is read follows the last one."""
        link, self.link = self.link, ""
        return link

    def give_subjects(self, subjects: Sequence[int]) -> None:
        """Makes these the topic, and the subjects of all verbs that wait for one."""
        self.topic, self.mentioned = list(subjects), list(subjects)
        for action in self.awaiting:
            action.agents = list(subjects)
        self.awaiting = []

    def awaits_subject(self) -> bool:
        """Whether the subject of the current action is yet to come."""
        return any(action is self.current for action in self.awaiting)

    def end_clause(self) -> None:
        """What was named without a verb is there all the same."""
        if self.run and self.pending_times:
            self.stand_alone(self.run, state="shown")
        self.present += self.run
        self.run, self.current = [], None

    def end_sentence(self) -> None:
        """Ends a sentence: what waits for its subject has the one before."""
        self.end_clause()
        if self.topic:
            self.give_subjects(self.topic)
        self.outer, self.gap, self.fronted, self.fronted_places, self.pending_times = [], [], [], [], []
        self.boundary, self.lead, self.link = "stop", "", ""
        self.fresh, self.relative, self.negated, self.about_medium = True, False, False, False

    def stand_alone(
        self,
        agents: Sequence[int],
        relations: Sequence[tuple[str, int]] = (),
        places: Sequence[Where] = (),
        state: State = "",
    ) -> None:
        """Adds an action without a verb: being somewhere, or being seen."""
        action = Action(list(agents), group=-1, relations=list(relations), places=list(places), state=state)
        action.times, self.pending_times = self.pending_times, []
        self.actions.append(action)
