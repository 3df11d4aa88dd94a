"""Entities by their names: what a name tells of its entity, and which names of a caption mean the same one."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.captions import english
from tasks.captions.english_nouns import FIXED_COMPOUNDS
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, Event, as_term

_MATERIALS = english.words(
    "wooden metal metallic plastic glass leather stone brick steel iron brass cotton woollen woolen paper cardboard rubber "
    "silk concrete marble ceramic clay porcelain velvet straw bamboo denim knitted linen cloth"
)
_LOOKS = english.words(
    "old young new ancient modern elderly round square oval rectangular triangular long short tall high low thin thick fat "
    "slim wide narrow flat curved straight curly striped spotted checkered dotted fluffy furry hairy bald bearded shiny "
    "glowing wet dry muddy dirty clean dusty snowy rusty broken cracked empty full open closed sharp blunt soft hard hot "
    "cold heavy beautiful pretty ugly cute happy sad angry scared tired hungry sleepy naked barefoot masked tame wild ripe "
    "fresh raw cooked colourful colorful patterned plain textured bright dark steep deep shallow"
)
_ATTRIBUTES = english.COLOURS | english.SIZES.keys() | english.STILL | _MATERIALS | _LOOKS
_COMPOUNDS = FIXED_COMPOUNDS | {
    tuple(name.split())
    for name in english.entries(
        "orange juice, orange tree, golden retriever, white board, brown bear, black bear, red wine, white wine, green tea, "
        "black tea, hot chocolate, high school, high heels, full moon, open fire, stone age, paper clip, glass door"
    )
}
_ARTICLES = (english.DEFINITE - {"both", "all", "said"}) | {"a", "an"}
_DISTINGUISHING = english.words("other another second third fourth fifth last next different")
_UNNAMED = english.VECTORS.keys() | english.PRONOUNS.keys() | {"scene"}


class EntityName(NamedTuple):
    """A name in parts.

    Attributes:
        owner: "his" or the like, empty without one; articles are left out.
        looks: the words that describe.
        head: what they describe: a noun, perhaps with a number or "of ..." behind it.
    """

    owner: str
    looks: tuple[str, ...]
    head: str


@functools.lru_cache(maxsize=16_384)
def name_parts(name: str) -> EntityName:
    """A name in parts: "the red dog 2" is "red" and "dog 2"; compounds such as "hot dog" are not cut."""
    words = name.split()
    owner = ""
    while len(words) > 1 and words[0] in _ARTICLES | english.POSSESSIVES:
        owner = words[0] if words[0] in english.POSSESSIVES else owner
        del words[0]
    first = (words.index("of") if "of" in words[1:-1] else len(words)) - 1
    first -= bool(first and words[first].isdecimal())
    while first and (words[first - 1], words[first]) in _COMPOUNDS:
        first -= 1
    return EntityName(owner, tuple(words[:first]), " ".join(words[first:]))


def attributes_of(names: Iterable[str]) -> list[Attribute]:
    """What names tell of their entities: "red dog" is red, "light blue car" light blue, and a "hot dog" is nothing.

    Colours, sizes, materials and looks count, as far as the word lists have them.

    Raises:
        ValidationError: a name is no term.
    """
    return [attribute for name in names for attribute in _attributes(name)]


@functools.lru_cache(maxsize=16_384)
def _attributes(name: str) -> tuple[Attribute, ...]:
    looks = name_parts(name).looks
    found = []
    for index, word in enumerate(looks):
        shade = word in english.SHADES and index + 1 < len(looks) and looks[index + 1] in english.COLOURS
        shaded = index > 0 and looks[index - 1] in english.SHADES and word in english.COLOURS
        if (word in _ATTRIBUTES or shaded) and not shade:
            found.append(f"{looks[index - 1]} {word}" if shaded else word)
    return tuple(Attribute(object=name, attribute=attribute) for attribute in found)


def unify_entities(events: Sequence[Event]) -> tuple[Event, ...]:
    """The same events, each entity under one name; the order of the events does not count.

    Articles go; so does "his" unless somebody else has one as well ("his car", "her car"). A shorter name ("dog") becomes
    the longer one ("red dog") that has all its words and the same noun, if there is but one such, or one that has all words
    of the others. Names that stand in one event mean two entities, so does "other dog" beside "dog"; places and pronouns
    stay. Events that are then the same stand once.
    """
    names = dict.fromkeys(name for event in events for name in (event.agent, event.target))
    heads = {name_parts(name).head for name in names}
    if len(heads) == len(names) and all(_bare(name) == name for name in names):
        return tuple(dict.fromkeys(events))
    apart = {frozenset((event.agent, event.target)) for event in events if event.agent != event.target}
    renamed = _without_articles(names, apart)
    longer = _longest(dict.fromkeys(renamed.values()), {frozenset(renamed[name] for name in pair) for pair in apart})
    final = {name: longer.get(bare, bare) for name, bare in renamed.items()}
    mixed = {final[agent] for agent, target in map(tuple, apart) if final[agent] == final[target]}
    final = {name: name if new in mixed else new for name, new in final.items()}
    return tuple(
        dict.fromkeys(
            _event(final[event.agent], event.predicate, final[event.target], event.start, event.end) for event in events
        )
    )


@functools.lru_cache(maxsize=16_384)
def _event(agent: str, predicate: str, target: str, start: int, end: int) -> Event:
    return Event(agent=agent, predicate=predicate, target=target, start=start, end=end)


@functools.lru_cache(maxsize=16_384)
def _bare(name: str) -> str:
    """A name without article and owner."""
    parts = name_parts(name)
    try:
        return as_term(" ".join((*parts.looks, parts.head)))
    except ValueError:
        return name


def _without_articles(names: Iterable[str], apart: set[frozenset[str]]) -> dict[str, str]:
    """Names to bare ones, but for those that mean different entities and would become the same."""
    same: dict[str, list[str]] = defaultdict(list)
    for name in names:
        same[_bare(name)].append(name)
    found = {}
    for bare, written in same.items():
        owners = {name_parts(name).owner for name in written} - {""}
        mixed = len(owners) > 1 or any(pair <= set(written) for pair in apart)
        found.update({name: name if mixed else bare for name in written})
    return found


def _longest(names: Iterable[str], apart: set[frozenset[str]]) -> dict[str, str]:
    """Shorter names to the one longer name that each can stand for."""
    of_head: dict[str, list[str]] = defaultdict(list)
    for name in names:
        head = name_parts(name).head
        if head not in _UNNAMED and _bare(name) == name:
            of_head[head].append(name)
    words = {name: frozenset(name_parts(name).looks) for same in of_head.values() for name in same}
    found = {}
    for same in of_head.values():
        for name in same:
            fitting = [
                other
                for other in same
                if (words[name] < words[other] or (words[name] == words[other] and other < name))
                and not (words[other] - words[name]) & _DISTINGUISHING
                and frozenset((name, other)) not in apart
            ]
            whole = [other for other in fitting if all(words[each] <= words[other] for each in fitting)]
            if whole:
                found[name] = min(whole)
    return {name: other for name, other in found.items() if other not in found}
