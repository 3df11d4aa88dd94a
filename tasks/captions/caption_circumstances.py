"""Places and times of the clauses of a caption."""

from __future__ import annotations

from dataclasses import replace

from tasks.captions.caption_clauses import Spot
from tasks.captions.caption_nouns import NounReader
from tasks.captions.caption_phrases import Course, Looks, Mark, Pronoun, Thing, When, Where


class CircumstanceReader(NounReader):
    """Reads where and when something happens."""

    def where(self, where: Where) -> None:
        """Reads a place."""
        self.preposition = ""
        if self._is_middle_of_time(where):
            self.order("next")
            return
        if self.role == "with" and isinstance(self.previous, Thing):  # "a house with a cat on the left"
            rank = self.clause.rank
            if self.clause.said:
                self.new_clause(self.mentioned).rank = rank
            self.clause.subjects = list(self.mentioned)
        of: int | None = None
        if isinstance(where.of, Thing):
            of = self.cast.owner(where.of)
            self.mentioned = [of] if of is not None else self.mentioned
        elif isinstance(where.of, Pronoun):
            fronted = self.mentioned[-1:] if self.boundary else []
            of = next(iter(self.cast.other_than(self.spoken_of, self.mentioned) or fronted), None)
        if where.side is None or of is not None:
            self.add(Spot(self._role(where), where.vector, where.side, of, where.named))
        elif where.side in {"left", "right"}:
            self.add(Spot(where.role, (-1, 0) if where.side == "left" else (1, 0), named=where.named))

    def _is_middle_of_time(self, where: Where) -> bool:
        """Whether "in the middle" follows on "at the start"."""
        timed = any(when.vague for clause in self.clauses for when in clause.times) or self.following == Mark("colon")
        return where.vector == (0, 0) and where.role in {"at", "toward"} and not where.named and timed

    def _role(self, where: Where) -> str:
        """The role of a place; one without a preposition has it from the verb ("reaches the left edge")."""
        role: str = where.role
        if where.explicit:
            return role
        if where.vector is not None and isinstance(self.previous, Where) and self.previous.only_up_or_down:
            role = "along"
        if self.clause.verb is not None and not self.boundary:
            role = {"leave": "from", "reach": "to", "cross": "via"}.get(self.clause.kind, role)
        return role

    def add(self, spot: Spot | Course) -> None:
        """Adds a place or a way to the clause."""
        self.clause.spots.append(spot)
        self.since.append(spot)

    def when(self, when: When) -> None:
        """Reads a time."""
        self.preposition = ""
        negated, self.negate = self.negate, False
        if when.relation == "from" and isinstance(self.previous, Looks) and self.clause.state == "hidden":
            when = replace(when, relation="in")  # "absent from the first half"
        if negated and when.relation in {"until", "before"}:
            self.clause.times.append(replace(when, relation="from"))
        elif negated:
            self.clause.hidden_times.append(when)
        else:
            self.clause.times.append(when)
            self.since.append(when)
