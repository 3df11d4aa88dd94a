"""Events and scene graphs over time: what they are made of, and how they are kept in JSON Lines.

An event lasts from one tick to another; a tick is an abstract step of time. A dynamic scene graph has one scene graph
for each tick. Method: Fei et al., "Dysen-VDM", CVPR 2024.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.common.errors import UserError
from tasks.common.files import complete

LONGEST_TERM = 100
MOST_EVENTS = 64
LAST_TICK = 64
MOST_ITEMS = 512  # objects, attributes or triplets of one scene graph

_FORBIDDEN = re.compile(r"""[()\[\]{}<>,;|"]|' ?:""")
_EDGES = " \"'`*_.:!?#=~^-/\\"
_PLAIN_QUOTES = str.maketrans("‘’‚‛“”„‟«»", '\'\'\'\'""""""')


def as_term(text: str) -> str:
    """A text as a term: lower case, single spaces, and no quotes or punctuation around it.

    Raises:
        ValueError: nothing is left, it is longer than `LONGEST_TERM`, or it has a bracket, separator, double quote or
            unprintable character in it.
    """
    if len(text) > 4 * LONGEST_TERM:
        raise ValueError(f"a term has more than {LONGEST_TERM} characters")
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.translate(_PLAIN_QUOTES)).lower())
    term = " ".join(plain.split()).strip(_EDGES)
    if not any(character.isalnum() for character in term):
        raise ValueError("a term has no letter or digit")
    if len(term) > LONGEST_TERM:
        raise ValueError(f"a term has more than {LONGEST_TERM} characters")
    if _FORBIDDEN.search(term) or not term.isprintable():
        raise ValueError("a term has a bracket, separator, quote or unprintable character in it")
    return term


@functools.lru_cache(maxsize=65_536)  # graphs repeat their terms from tick to tick
def _is_a_term(text: str) -> str:
    if as_term(text) != text:
        raise ValueError("a term is lower case, with single spaces, and no quotes or punctuation around it")
    return text


Term = Annotated[str, AfterValidator(_is_a_term)]
Tick = Annotated[int, Field(ge=0, le=LAST_TICK)]


class Triplet(BaseModel):
    """A relation that joins two objects: "lady" "sitting on" "chair"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: Term
    predicate: Term
    object: Term


class Attribute(BaseModel):
    """What an object is like: "bag" "cloth"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    object: Term
    attribute: Term


class Event(BaseModel):
    """Who does what to whom, from tick `start` up to tick `end`; both count basic time intervals, not seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent: Term
    predicate: Term
    target: Term
    start: Tick
    end: Tick

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.start >= self.end:
            raise ValueError("start must be before end")
        return self

    @property
    def triplet(self) -> Triplet:
        """The event without its times."""
        return Triplet(subject=self.agent, predicate=self.predicate, object=self.target)


def triplet_key(triplet: Triplet) -> tuple[str, str, str]:
    """The order of triplets."""
    return (triplet.subject, triplet.predicate, triplet.object)


def attribute_key(attribute: Attribute) -> tuple[str, str]:
    """The order of attributes."""
    return (attribute.object, attribute.attribute)


class SceneGraph(BaseModel):
    """What there is at one tick; made by `scene_graph`. The same term is the same object, at other ticks too.

    Everything is sorted and stands once, and `objects` has every object of the attributes and triplets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    objects: Annotated[tuple[Term, ...], Field(max_length=MOST_ITEMS)] = ()
    attributes: Annotated[tuple[Attribute, ...], Field(max_length=MOST_ITEMS)] = ()
    triplets: Annotated[tuple[Triplet, ...], Field(max_length=MOST_ITEMS)] = ()

    @model_validator(mode="after")
    def _is_canonical(self) -> Self:
        relations, looks = [triplet_key(item) for item in self.triplets], [attribute_key(item) for item in self.attributes]
        ends = {end for subject, _, target in relations for end in (subject, target)} | {owner for owner, _ in looks}
        if not (_rises(relations) and _rises(looks) and _rises(self.objects) and ends.issubset(self.objects)):
            raise ValueError(
                "objects, attributes and triplets must be sorted and distinct, with every object among the objects"
            )
        return self


def _rises(items: Sequence[Any]) -> bool:
    return all(first < second for first, second in pairwise(items))


def _canonical(
    triplets: Iterable[Triplet], attributes: Iterable[Attribute], objects: Iterable[str]
) -> tuple[tuple[str, ...], tuple[Attribute, ...], tuple[Triplet, ...]]:
    relations = tuple(sorted(set(triplets), key=triplet_key))
    looks = tuple(sorted(set(attributes), key=attribute_key))
    ends = {end for triplet in relations for end in (triplet.subject, triplet.object)}
    return tuple(sorted({*objects, *ends, *(item.object for item in looks)})), looks, relations


def scene_graph(
    triplets: Iterable[Triplet], attributes: Iterable[Attribute] = (), objects: Iterable[str] = ()
) -> SceneGraph:
    """The scene graph of these triplets and attributes, of their objects, and of `objects` that have no relation.

    Raises:
        ValidationError: an object is no term, or there are more than `MOST_ITEMS` of a kind.
    """
    nodes, looks, relations = _canonical(triplets, attributes, objects)
    return SceneGraph(objects=nodes, attributes=looks, triplets=relations)


class DynamicSceneGraph(BaseModel):
    """The events of a prompt and a scene graph for each tick, the first at tick 0; `source` tells what made it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(max_length=10_000)
    events: Annotated[tuple[Event, ...], Field(max_length=MOST_EVENTS)] = ()
    ticks: Annotated[tuple[SceneGraph, ...], Field(max_length=LAST_TICK + 1)] = ()
    source: str = Field(default="", max_length=200)


def write_graphs(path: Path, graphs: Iterable[DynamicSceneGraph]) -> None:
    """One JSON object a line, whole or not at all."""
    with complete(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(graph.model_dump_json() + "\n" for graph in graphs)


def read_graphs(path: Path) -> Iterator[DynamicSceneGraph]:
    """The dynamic scene graphs of a file, in order.

    Raises:
        UserError: no such file, or the first line that is no dynamic scene graph, with what is wrong in it.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _read_line(line, f"{path}, line {number}")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: {reason}; expected JSON Lines of dynamic scene graphs") from None


def _read_line(line: str, where: str) -> DynamicSceneGraph:
    try:
        return DynamicSceneGraph.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors()[0]
        place = "".join(f"{part}." for part in problem["loc"]).rstrip(".")
        what = f"{place}: {problem['msg']}" if place else problem["msg"]
        raise UserError(f"{where}: {what}; mend or remove that line") from None
