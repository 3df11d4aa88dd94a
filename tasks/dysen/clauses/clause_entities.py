"""The entities of a caption in order of mention: what they are called, and who is meant by "it", "them" or "the dog"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.captions import english
from tasks.captions import english_nouns as nouns
from tasks.captions.caption_phrases import Thing
from tasks.captions.english_verbs import FORMS, KINDS

MOST_ENTITIES = 64
_MOST_WORDS = 5
_MOST_THEY = 4  # who "they" are when several were named one by one
_HE = english.words("man boy father son brother husband uncle grandfather king prince groom gentleman guy dad he")
_SHE = english.words("woman girl lady mother daughter sister wife aunt grandmother queen princess bride mom she actress")
_LIVING = (
    _HE
    | _SHE
    | nouns.HYPERNYMS
    | english.words(
        "child kid baby toddler friend couple family team player rider driver worker chef cook waiter waitress teacher "
        "student doctor nurse dancer singer musician artist soldier policeman fireman police tourist crowd dog cat puppy "
        "kitten horse cow sheep goat pig duck goose chicken hen rooster rabbit fox wolf bear lion tiger elephant monkey "
        "mouse rat squirrel deer zebra giraffe camel donkey frog turtle snake lizard shark whale dolphin eagle owl parrot "
        "penguin bee butterfly robot retriever goalkeeper farmer girlfriend boyfriend teenager athlete runner swimmer"
    )
    - english.words("vehicle object thing item machine craft device shape fruit toy figure")
)
_ANY_OF_KIND = english.words("animal creature vehicle object thing item machine beast being craft device critter")
_STANDS_FOR = {"he": "man", "she": "woman", "they": "people", "it": "thing"}
_CASES = {"him": "he", "himself": "he", "her": "she", "herself": "she", "them": "they", "themselves": "they", "itself": "it"}
_UNSAID = (
    english.LIVELY
    | english.STILL
    | english.SHOWN
    | english.HIDDEN
    | (english.LOOKLESS - {"other", "another", "good", "different", "present"})
    | english.words("very quite so too really extremely rather")
)
_ACTING = english.words("travel stand stir rise sink fall bounce jump act circle")


@dataclass(frozen=True)
class Entity:
    """Somebody or something: its name as in events, and what pronouns and repeated nouns find it by."""

    name: str
    noun: str
    looks: frozenset[str]
    several: bool

    @property
    def pronoun(self) -> str:
        """ "he", "she" or "they" if it can only be that, else "it"."""
        return "he" if self.noun in _HE else "she" if self.noun in _SHE else "they" if self.several else "it"

    @property
    def is_living(self) -> bool:
        """Whether it is known to be a person or an animal."""
        return self.noun in _LIVING


def acting_modifiers(thing: Thing) -> tuple[str, ...]:
    """The verbs before a noun that tell what it does: "two flying birds"."""
    if thing.noun in nouns.SCENERY:  # "a winding road"
        return ()
    return tuple(lemma for lemma in thing.modifiers if KINDS.get(lemma, "") in _ACTING)


def name_of(thing: Thing, count: str = "") -> str:
    """What a thing is called: its adjectives and nouns as in the caption, after a number above one.

    Words that tell what it does, or whether it is seen, are left out; of a long name the last words are kept.
    """
    head, of, tail = thing.surface.partition(" of ")
    acting = set(acting_modifiers(thing))
    words = [
        word
        for word in head.split()
        if word not in _UNSAID and any(map(str.isalnum, word)) and not (acting and FORMS.get(word, ("", ""))[0] in acting)
    ]
    while words and words[0] == "and":
        del words[0]
    if not words or (words[-1] not in (thing.noun, thing.name) and nouns.singular(words[-1]) != thing.noun):
        words += thing.name.split()  # "a red (and a green apple)"
    named = [count] * bool(count and thing.plural) + words[-_MOST_WORDS + bool(count) :]
    return f"{' '.join(named)}{of}{tail}"


class Entities:
    """All entities of a caption; each has a number."""

    def __init__(self) -> None:
        self.all: list[Entity] = []

    def resolve(self, thing: Thing, count: str) -> int | None:
        """The number of the entity that a noun phrase means: the latest that fits, or a new one; none if there are too many.

        "A dog" is new, "the dog" is any dog before, and "the animal" whatever was named before.
        """
        name = name_of(thing, count)
        known = self._known(thing, name)
        if known is not None or len(self.all) >= MOST_ENTITIES:
            return known
        return self._add(Entity(name, thing.noun, frozenset(name.split()), thing.plural))

    def _add(self, entity: Entity) -> int:
        self.all.append(entity)
        return len(self.all) - 1

    def _known(self, thing: Thing, name: str) -> int | None:
        if thing.determiner in english.INDEFINITE or thing.distinguishing:
            return None
        latest = range(len(self.all) - 1, -1, -1)
        same = next((index for index in latest if self.all[index].name == name), None)
        if same is not None or thing.determiner == "" or thing.count:
            return same
        looks = frozenset(thing.attribute.split())
        of_kind = [index for index in latest if self.all[index].noun == thing.noun]
        for index in of_kind:
            if looks <= self.all[index].looks:
                return index
        if thing.noun in _ANY_OF_KIND and thing.determiner in english.DEFINITE and not looks:
            return next((index for index in latest if self.all[index].noun not in _ANY_OF_KIND), None)
        return None

    def meant(self, text: str, subjects: Sequence[int], likely: Sequence[int], *, as_object: bool) -> list[int]:
        """The entities that a pronoun means; somebody new if there is nobody else.

        Args:
            text: the pronoun.
            subjects: of the clause; an object is none of them unless it is reflexive.
            likely: who is meant rather than the latest that fits: subjects of the clause before, or its objects.
            as_object: whether it is an object and not a subject.
        """
        pronoun = _CASES.get(text, text)
        if text.endswith(("self", "selves")) or text == "each other":
            return list(subjects)
        if pronoun == "they" and not as_object and len(likely) > 1:
            return list(likely)
        ordered = [*likely, *range(len(self.all) - 1, -1, -1)]
        found = [index for index in ordered if not (as_object and index in subjects)]
        if text in {"one", "another", "other"} and found:
            return [next((index for index in found if self.all[index].several), found[0])]
        fitting = next((index for index in found if self._fits(self.all[index], pronoun)), None)
        if fitting is not None:
            return [fitting]
        living = [index for index, entity in enumerate(self.all) if entity.is_living][-_MOST_THEY:]
        if pronoun == "they" and not as_object and len(living) > 1:
            return living
        if found and (as_object or pronoun in {"it", "they", "this", "that"}):
            return found[:1]
        if len(self.all) >= MOST_ENTITIES:
            return []
        name = _STANDS_FOR.get(pronoun, text)
        return [self._add(Entity(name, name, frozenset((name,)), pronoun == "they"))]

    def _fits(self, entity: Entity, pronoun: str) -> bool:
        if pronoun in {"he", "she"}:
            return entity.pronoun == pronoun or (entity.pronoun == "it" and entity.is_living)
        return entity.pronoun == ("it" if pronoun in {"this", "that"} else pronoun)
