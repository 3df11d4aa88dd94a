"""Where the reading of a caption stands: who is spoken of, which clause is open, and how clauses follow each other."""

from __future__ import annotations

from tasks.captions.caption_cast import Cast
from tasks.captions.caption_clauses import Clause, Spot
from tasks.captions.caption_phrases import Course, Mark, Phrase, Verb, When


class Reading:
    """The state of reading; `cast`, `clauses`, `background` and `lively` are its result.

    Attributes:
        run: objects that can be the subject of the next verb.
        topic: the last subject.
        outer: the subject of the clause that a relative clause interrupts.
        mentioned: the objects of the last noun phrase, and `role` what part they play.
        owner: whose position, colour or tail comes next.
        pending: colours that are told before their object.
        preposition: one that waits for its noun phrase.
        boundary: what was read since the last verb or noun phrase: "comma", "and", "stop", ...
        about_medium: whether what the video is "of" may follow.
        fresh_sentence: whether no subject was read yet in this sentence.
        negate: whether "not" waits for what it denies.
        since: places and times since the last comma or "and".
    """

    def __init__(self) -> None:
        self.cast = Cast()
        self.clauses: list[Clause] = [Clause()]
        self.background = ""
        self.lively = False
        self.run: list[int] = []
        self.topic: list[int] = []
        self.outer: list[int] = []
        self.mentioned: list[int] = []
        self.owner: list[int] = []
        self.pending: list[str] = []
        self.role = ""
        self.preposition = ""
        self.boundary = "stop"
        self.about_medium = False
        self.fresh_sentence = True
        self.negate = False
        self.since: list[Spot | Course | When] = []
        self.previous: Phrase | None = None
        self.following: Phrase | None = None

    @property
    def clause(self) -> Clause:
        """The clause that is being read."""
        return self.clauses[-1]

    @property
    def spoken_of(self) -> list[int]:
        """The objects that the clause is about, as far as they are known."""
        return self.clause.subjects or self.run or self.topic

    def verb_follows(self) -> bool:
        """Whether the next phrase is a finite verb."""
        return isinstance(self.following, Verb) and self.following.form == "finite"

    def new_clause(self, subjects: list[int], *, inherit: bool = False) -> Clause:
        """Opens a clause, which may continue the verb of the one before."""
        clause = Clause(list(subjects), position=float(len(self.clauses)))
        if inherit:
            clause.inherited = self.clause.verb or self.clause.inherited
            clause.relative = self.clause.relative
        self.clauses.append(clause)
        self.since = []
        return clause

    def begin_with(self, subjects: list[int]) -> Clause:
        """Opens a clause that takes what was said since the last comma with it ("..., in the second half a zebra")."""
        old, moved = self.clause, self.since
        fresh = self.new_clause(subjects)
        for item in moved:
            if isinstance(item, When):
                old.times.remove(item)
                fresh.times.append(item)
            else:
                old.spots.remove(item)
                fresh.spots.append(item)
        return fresh

    def settle(self, subjects: list[int]) -> None:
        """Gives subjects to the clauses that wait for one ("Starting at the left, a dog ...")."""
        for clause in self.clauses:
            orphan = not clause.subjects and clause.spots and not (clause.theme or clause.void) and clause is not self.clause
            if clause.deferred or orphan:
                clause.subjects, clause.deferred = list(subjects), False

    def end_sentence(self) -> None:
        """Clauses that still wait for a subject are about the topic; the last subject is the topic of what comes."""
        if self.topic:
            for clause in self.clauses:
                if clause.deferred:
                    clause.subjects, clause.deferred = list(self.topic), False
        self.topic = list(self.clause.subjects or self.topic)

    def mark(self, kind: str) -> None:
        """Reads a word or sign between phrases."""
        denied, self.negate = self.negate, self.negate and kind in {"only", "not"}
        if denied and kind in {"next", "earlier"}:  # "but not later"
            return
        if kind == "stop":
            self.end_sentence()
            self.run, self.outer, self.owner, self.pending = [], [], [], []
            self.new_clause([])
            self.boundary, self.fresh_sentence, self.about_medium, self.preposition = "stop", True, False, ""
        elif kind in {"comma", "and", "colon"}:
            self.boundary = "and" if kind == "and" else self.boundary or kind
            self.since = []
        elif kind == "relative":
            self._relative()
        elif kind in {"next", "first", "last", "earlier"}:
            self.order(kind)
        elif kind == "only":
            if self.boundary and self.clause.negated and self.clause.times:  # "not in the first half, only in the second"
                self.new_clause(self.clause.subjects)
            self.clause.only = True
        elif kind == "not":
            self.negate = True
        elif kind == "question":
            if self.following is None or isinstance(self.following, Mark):  # "..., but the second half does not"
                self.clause.times = [when for when in self.clause.times if when not in self.since]
        else:
            self._subordinate(kind)

    def order(self, kind: str) -> None:
        """Reads "then", "first", "finally" or "previously": a new statement, unless the word trails an old one."""
        clause = self.clause
        ends = self.following is None or isinstance(self.following, Mark)
        trailing = ends and (bool(self.since) or (not self.boundary and kind != "next"))
        subjects = self.run or clause.subjects or self.topic
        if trailing and len(clause.spots) > len(self.since) > 0:  # "the left first, the right next"
            verb = clause.verb or clause.inherited
            clause = self.begin_with(subjects)
            clause.inherited = verb
        elif clause.said and (self.boundary or clause.spots) and not trailing:
            clause = self.new_clause(subjects, inherit=True)
        if kind == "earlier":
            clause.position -= 1.5
        clause.rank = {"first": -1, "last": 1}.get(kind, clause.rank)
        clause.next |= kind in {"next", "last"}
        self.since = []

    def _relative(self) -> None:
        self.outer = list(self.run or self.topic)
        cleft = self.clause.kind == "be" and not self.clause.subjects  # "it is in the second half that a dog appears"
        times = self.clause.times if cleft else []
        clause = self.new_clause([] if cleft else self.mentioned)
        clause.relative, clause.times, clause.only = not cleft, list(times), cleft
        self.run, self.boundary, self.preposition = [], "", ""

    def _subordinate(self, kind: str) -> None:
        """A clause with "while", "before", "after", ...: one before the main clause waits for the subject of that."""
        before = self.clause
        fronted = self.fresh_sentence and not before.said and not self.run
        subjects = self.run or before.subjects or self.topic
        if self.run:
            self.topic = list(self.run)
        clause = before if fronted else self.new_clause(subjects)
        if kind == "where" and before.kind == "be" and not before.subjects:  # "the left is where it starts"
            clause.spots, before.spots = before.spots, []
        if kind == "before" and fronted:
            clause.position += 1.5
        elif kind in {"after", "once", "since"} and not fronted:
            clause.position = before.position - 0.5
        clause.next |= kind == "before" and not fronted
        clause.deferred = fronted
        self.run, self.boundary = [], "subordinate"
