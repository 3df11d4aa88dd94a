"""What the clauses of a caption tell: who does what to whom, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tasks.captions.caption_phrases import Verb, When, Where

Link = Literal["", "next", "earlier", "while"]
State = Literal["", "still", "shown", "hidden"]


@dataclass(eq=False)
class Action:
    """One statement; entities are told by their numbers.

    Attributes:
        agents: who does it.
        verb: None for a thing that is merely somewhere, or seen at some time.
        group: actions of one group happen in the order of their steps, those of different groups beside each other.
        step: its place in its group.
        particle: a word that belongs to the verb: "away".
        objects: its direct objects.
        relations: prepositions with what follows them.
        places: regions of the canvas.
        times: when it happens.
        hidden_times: when it is told not to happen.
        state: what adjectives tell: it stands still, is seen or not seen.
        negated: whether it is told not to happen at all.
        follows: whether a word such as "then" leads to it.
    """

    agents: list[int]
    verb: Verb | None = None
    group: int = 0
    step: float = 0.0
    particle: str = ""
    objects: list[int] = field(default_factory=list)
    relations: list[tuple[str, int]] = field(default_factory=list)
    places: list[Where] = field(default_factory=list)
    times: list[When] = field(default_factory=list)
    hidden_times: list[When] = field(default_factory=list)
    state: State = ""
    negated: bool = False
    follows: bool = False

    @property
    def kind(self) -> str:
        """The kind of its verb, empty without one."""
        return self.verb.kind if self.verb else ""

    @property
    def lemma(self) -> str:
        """The base form of its verb, empty without one."""
        return self.verb.lemma if self.verb else ""

    def take_agent(self, index: int) -> None:
        """Turns a passive around: who does it, and to whom."""
        self.objects, self.agents = [*self.agents, *self.objects], [index]


class Order:
    """Gives actions their places in time while they are read.

    What one agent does happens in the order of telling; what another one does happens beside it, unless a connective
    such as "then" or "before" joins the two.
    """

    def __init__(self) -> None:
        self._groups = 0
        self._last: Action | None = None
        self._last_of: dict[int, Action] = {}

    def place(self, action: Action, link: Link, *, beside: Action | None = None) -> None:
        """Sets group and step of a new action; `beside` is an action that it accompanies."""
        before = self._latest(action.agents)
        if beside is not None:
            action.group, action.step = beside.group, beside.step
        elif link and self._last is not None:
            action.group = self._last.group
            action.step = self._last.step + {"next": 1.0, "earlier": -0.5, "while": 0.0}[link]
            action.follows = link == "next"
        elif before is not None:
            action.group, action.step = before.group, before.step + 1
        else:
            action.group = self._groups
        self._groups = max(self._groups, action.group + 1)
        self.know(action)

    def know(self, action: Action) -> None:
        """Remembers an action as the latest one, of its agents too."""
        self._last = action
        for agent in action.agents:
            self._last_of[agent] = action

    def _latest(self, agents: Sequence[int]) -> Action | None:
        found = [self._last_of[agent] for agent in agents if agent in self._last_of]
        return max(found, key=lambda action: (action.step, action.group), default=None)
