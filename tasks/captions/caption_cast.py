"""The objects of a caption while it is read: who is new, and who is meant by "it", "the fox" or "the other"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_phrases import Thing, arrange
from tasks.captions.scene import MOST_COUNT, Size

MOST_OBJECTS = 20


@dataclass
class Draft:
    """An object as far as it is known; `follows` is the object that carries or pushes it, `denied` that there is none."""

    name: str
    noun: str
    looks: list[str] = field(default_factory=list)
    size: Size | None = None
    count: int = 1
    modifiers: list[str] = field(default_factory=list)
    lively: bool = False
    denied: bool = False
    follows: int | None = None
    rest_of: int | None = None

    @property
    def attribute(self) -> str:
        """Its looks in one string, colours last."""
        return arrange(self.looks)[0]

    def add_looks(self, looks: Sequence[str]) -> None:
        """More adjectives: sizes become its size, the others its attribute."""
        _, size, lively = arrange(looks)
        self.size = size or self.size
        self.lively |= lively
        self.looks.extend(word for word in looks if word not in self.looks or word == "and")


class Cast:
    """All objects in order of mention."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []

    def resolve(self, thing: Thing) -> int | None:
        """The object that a noun phrase means: one that was mentioned before, or a new one; none if there are too many."""
        known = self.known(thing)
        if known is not None:
            draft = self.drafts[known]
            draft.denied &= thing.count == 0
            if thing.attribute and not draft.looks:
                draft.add_looks(thing.attribute.split())
            draft.size = draft.size or thing.size
            draft.modifiers.extend(thing.modifiers)
            return known
        if len(self.drafts) >= MOST_OBJECTS:
            return None
        count = thing.count if thing.count is not None else english.PLURAL if thing.plural else 1
        if thing.determiner in {"a", "an"} and thing.count is None and not thing.plural:
            count = 1
        draft = Draft(thing.name, thing.noun, thing.attribute.split(), thing.size, min(max(count, 1), MOST_COUNT))
        draft.modifiers, draft.lively, draft.denied = list(thing.modifiers), thing.lively, thing.count == 0
        self.drafts.append(draft)
        return len(self.drafts) - 1

    def known(self, thing: Thing) -> int | None:
        """The object that was mentioned before and that a noun phrase can mean, the latest first."""
        indices = range(len(self.drafts) - 1, -1, -1)
        for index in indices:
            draft = self.drafts[index]
            if draft.denied and draft.noun == thing.noun:
                return index
        if thing.determiner in english.INDEFINITE or thing.distinguishing or (thing.count and thing.determiner == ""):
            return None
        for index in indices:
            draft = self.drafts[index]
            if draft.noun == thing.noun and (
                not thing.attribute or not draft.looks or set(thing.attribute.split()) & set(draft.looks)
            ):
                return index
        if thing.determiner and thing.noun in nouns.HYPERNYMS and not thing.attribute:
            return next((index for index in indices if self.drafts[index].noun not in nouns.HYPERNYMS), None)
        return None

    def owner(self, thing: Thing) -> int | None:
        """The object that a side belongs to: one of that name that was mentioned, even as "a horse" again, or a new one."""
        again = any(draft.noun == thing.noun for draft in self.drafts) and not thing.distinguishing
        return self.resolve(replace(thing, determiner="the") if again else thing)

    def other_than(self, subjects: Sequence[int], mentioned: Sequence[int]) -> list[int]:
        """Who "it" is when it is not the subject: the last that was mentioned, or else the latest object."""
        latest = [index for index in mentioned if index not in subjects]
        return (latest or [index for index in range(len(self.drafts)) if index not in subjects])[-1:]

    def several(self, preferred: Sequence[int]) -> list[int]:
        """Who "they" are."""
        many = [index for index in preferred if len(preferred) > 1 or self.drafts[index].count > 1]
        return many or [index for index, draft in enumerate(self.drafts) if draft.count > 1][-1:]

    def the_others(self) -> int | None:
        """What is left of several things after "one", or else one of them."""
        rest = next((draft.rest_of for draft in reversed(self.drafts) if draft.rest_of is not None), None)
        return rest if rest is not None else self.one_of_several()

    def rename(self, index: int, other: int) -> bool:
        """ "The first object is a bottle": the latest object gives its name to one that only has a general one."""
        draft = self.drafts[index]
        if draft.noun not in nouns.HYPERNYMS or other != len(self.drafts) - 1:
            return False
        named = self.drafts.pop()
        draft.name, draft.noun, draft.count, draft.size = named.name, named.noun, named.count, named.size or draft.size
        draft.add_looks(named.looks)
        return True

    def one_of_several(self) -> int | None:
        """One of the several things that were mentioned last, as an object of its own."""
        index = next((i for i in reversed(range(len(self.drafts))) if self.drafts[i].count > 1), None)
        if index is None or len(self.drafts) >= MOST_OBJECTS:
            return None
        draft = self.drafts[index]
        draft.count -= 1
        self.drafts.append(
            Draft(draft.name, draft.noun, list(draft.looks), draft.size, 1, list(draft.modifiers), draft.lively)
        )
        self.drafts[-1].rest_of = index
        return len(self.drafts) - 1
