"""Details of graphs to and from text, with an attribute as "(dog, is, red)"; "(dog, red)" is read too."""

from __future__ import annotations

from typing import NamedTuple

from tasks.captions import english
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, SceneGraph, Triplet
from tasks.dysen.graphs.event_grammar import Problem, format_item, parse_triplets
from tasks.dysen.graphs.graph_edits import Item

NOTHING_TOLD = "nothing"


class Details(NamedTuple):
    """The details of a text, each once, relations and "is" before pairs; and what could not be read."""

    items: tuple[Item, ...]
    problems: tuple[Problem, ...]


def items_of(graph: SceneGraph) -> tuple[Item, ...]:
    """The attributes and triplets of a graph, in order."""
    return (*graph.attributes, *graph.triplets)


def format_detail(item: Item) -> str:
    """A detail as `read_details` reads it."""
    return f"({item.object}, is, {item.attribute})" if isinstance(item, Attribute) else format_item(item)


def format_details(graph: SceneGraph) -> str:
    """The details of a graph in one line."""
    return " ".join(map(format_detail, items_of(graph))) or NOTHING_TOLD


def read_details(text: str) -> Details:
    """Reads details; never raises, in time linear in the length of the text. What relates to itself is left out."""
    found = parse_triplets(text)
    items: dict[Item, None] = {}
    for triplet in found.triplets:
        if triplet.predicate in english.COPULAS:
            items[Attribute(object=triplet.subject, attribute=triplet.object)] = None
        elif triplet.subject != triplet.object:
            items[triplet] = None
    items.update(dict.fromkeys(found.attributes))
    says_nothing = text[:100].strip(" .\n").lower() == NOTHING_TOLD
    return Details(tuple(items), () if says_nothing else found.problems)


def ends_of(item: Item) -> tuple[str, ...]:
    """The objects that a detail is about, its owner first."""
    return (item.subject, item.object) if isinstance(item, Triplet) else (item.object,)
