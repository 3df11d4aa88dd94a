"""What is true of a tick because it was true of the one before: details that last until something changes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.captions import english
from tasks.captions.english_verbs import KINDS
from tasks.dysen.checks.predicate_conflicts import conflicts
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, DynamicSceneGraph, Event, SceneGraph, Triplet
from tasks.dysen.graphs.events_to_graphs import is_active
from tasks.dysen.graphs.graph_edits import Item
from tasks.dysen.imagining.detail_grammar import ends_of, items_of
from tasks.dysen.scores.term_matching import lemma_key

# relations of places, true for as long as neither end moves; other prepositions hold on ("lady" "in" "dress")
_POSITIONS = frozenset(
    lemma_key(predicate, "predicate")
    for predicate in english.entries(
        "left of, right of, to the left of, to the right of, above, below, over, under, beneath, underneath, near, next to, "
        "beside, by, close to, far from, in front of, ahead of, behind, opposite, around, between, among, against"
    )
)
_STATES = frozenset({"be", "have", "stand", "hold", "wear", "hide"})
_TURNS = english.words(
    "become get grow turn shrink dwindle swell enlarge expand paint open close melt burn break clean dry fold light dress "
    "explode blossom bloom slice chop tear"
)
_RESTS = _STATES | {"wait", "stop", "appear", "vanish", "show", "act", "become"}
_PUTS_IN_MOTION = frozenset({"travel", "throw", "send", "chase", "rise", "sink"})


def lasting(graph: DynamicSceneGraph, tick: int, previous: SceneGraph) -> list[Item]:
    """What lasts from the tick before into this one, in order.

    Attributes last until an event of their object begins or ends that changes looks ("paint"). Relations without a verb
    ("in") and states ("holding") last until any event of their objects begins or ends, and relations of places ("left of")
    only while both stay where they are. Nothing lasts of what is planned elsewhere and not here: it has left.

    Args:
        graph: as planned.
        tick: 1 or more.
        previous: the graph of the tick before, enriched.
    """
    planned = frozenset(items_of(graph.ticks[tick - 1]))
    gone = frozenset(name for now in graph.ticks for name in now.objects) - frozenset(graph.ticks[tick].objects)
    return [
        item
        for item in items_of(previous)
        if item not in planned and not gone.intersection(ends_of(item)) and _lasts(item, graph.events, tick)
    ]


def without_conflicts(items: Iterable[Item], others: Iterable[Item]) -> list[Item]:
    """The items that contradict none of the others."""
    relations = [other for other in others if isinstance(other, Triplet)]
    return [item for item in items if isinstance(item, Attribute) or not any(conflicts(item, other) for other in relations)]


def _lasts(item: Item, events: Sequence[Event], tick: int) -> bool:
    ends = ends_of(item)
    last = max((event.end for event in events), default=0)
    turning = [
        event
        for event in events
        if (event.agent in ends or event.target in ends) and is_active(event, tick - 1, last) != is_active(event, tick, last)
    ]
    if isinstance(item, Attribute):
        return not any(_verb(event.predicate) in _TURNS for event in turning)
    predicate = lemma_key(item.predicate, "predicate")
    if predicate in _POSITIONS:
        return not turning and not any(_moves(event, end) for event in events for end in ends if _spans(event, tick))
    first = predicate.split()[0]
    return not turning and (first in english.PREPOSITIONS or KINDS.get(first, "") in _STATES)


def _spans(event: Event, tick: int) -> bool:
    """Whether it goes on from the tick before up to this one."""
    return event.start < tick <= event.end


def _moves(event: Event, name: str) -> bool:
    """Whether an event may change where something is; verbs that no list has may."""
    words = lemma_key(event.predicate, "predicate").split()
    kind = KINDS.get(words[0], "")
    if name == event.agent:
        return kind not in _RESTS
    return name == event.target and len(words) == 1 and (kind in _PUTS_IN_MOTION or not kind)


def _verb(predicate: str) -> str:
    return lemma_key(predicate, "predicate").split()[0]
