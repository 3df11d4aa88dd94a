"""The statements that a caption makes of its objects, from which places, motion and visibility follow."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.captions.caption_phrases import Course, Vector, Verb, When
from tasks.captions.scene import Side


@dataclass(frozen=True)
class Spot:
    """A place of a clause: a region, or a side of the object with the number `of`."""

    role: str
    vector: Vector | None = None
    side: Side | None = None
    of: int | None = None
    named: bool = False


@dataclass
class Clause:
    """One statement about `subjects`, the numbers of objects.

    Attributes:
        inherited: the verb that a clause without one continues ("..., then to the right").
        hidden_times: times at which it says that the subjects are not seen.
        state: what adjectives say: "shown", "hidden", "still", "moving" or nothing.
        only: whether it says "only".
        rank: -1 for what comes first, 1 for what comes last, whatever the order of telling.
        position: its place in time among clauses of the same rank.
        next: whether it says "then".
        target: the object that is passed or circled.
        relative: whether it is a relative clause.
        theme: whether its subjects follow its verb ("there is a dog").
        deferred: whether its subjects are yet to come ("Starting at the left, a dog ...").
        void: whether it is about nothing ("nothing is seen").
    """

    subjects: list[int] = field(default_factory=list)
    verb: Verb | None = None
    inherited: Verb | None = None
    spots: list[Spot | Course] = field(default_factory=list)
    times: list[When] = field(default_factory=list)
    hidden_times: list[When] = field(default_factory=list)
    state: str = ""
    negated: bool = False
    only: bool = False
    rank: int = 0
    position: float = 0.0
    next: bool = False
    target: int | None = None
    relative: bool = False
    theme: bool = False
    deferred: bool = False
    void: bool = False

    @property
    def kind(self) -> str:
        """The kind of its verb, or of the verb that it continues."""
        verb = self.verb or self.inherited
        return verb.kind if verb else ""

    @property
    def aspect(self) -> str:
        """ "begin", "stop" or "wait" if its verb starts or stops doing something."""
        verb = self.verb or self.inherited
        return verb.aspect if verb else ""

    @property
    def said(self) -> bool:
        """Whether it says anything yet but who it is about."""
        return bool(self.verb or self.spots or self.times or self.hidden_times or self.state)

    @property
    def places(self) -> list[Spot]:
        """Its spots that are places."""
        return [spot for spot in self.spots if isinstance(spot, Spot)]

    @property
    def courses(self) -> set[str]:
        """The kinds of ways without a place that it tells of."""
        return {spot.kind for spot in self.spots if isinstance(spot, Course)}
