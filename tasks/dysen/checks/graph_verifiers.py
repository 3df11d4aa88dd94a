"""Checks of a dynamic scene graph, all in code; a language model can be shown what they find and asked for a repair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from tasks.captions import english
from tasks.captions.english_verbs import KINDS
from tasks.dysen.checks.predicate_conflicts import conflicts
from tasks.dysen.checks.prompt_clauses import content_words, ordered_clauses, word_keys
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, DynamicSceneGraph, Event, SceneGraph, Triplet
from tasks.dysen.graphs.event_grammar import Problem, format_event, format_item
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.scores.term_matching import lemma_key

_STATES = frozenset({"be", "have", "stand", "hold", "wear", "hide"})


class Limits(NamedTuple):
    """What a graph may have.

    Attributes:
        longest_gap: ticks in a row without any event.
        last_tick: the latest end of an event.
        most_new_triplets: of a tick, beside those of its events.
        most_objects: of a tick.
        most_words: of a term.
    """

    longest_gap: int = 2
    last_tick: int = 16
    most_new_triplets: int = 8
    most_objects: int = 32
    most_words: int = 5


class Violation(NamedTuple):
    """What is wrong, where in the graph or its text, and a line for whoever mends it."""

    kind: str
    where: str
    detail: str


def verify(graph: DynamicSceneGraph, limits: Limits, problems: Iterable[Problem] = ()) -> list[Violation]:
    """Everything that is wrong with a graph, and what its grammar could not read, in a fixed order."""
    return [
        *verify_grammar(problems),
        *verify_times(graph.events, limits),
        *verify_order(graph.prompt, graph.events),
        *verify_coverage(graph),
        *verify_plan(graph),
        *verify_persistence(graph),
        *verify_contradictions(graph.ticks),
        *verify_sizes(graph, limits),
        *verify_vocabulary(graph, limits),
    ]


def verify_grammar(problems: Iterable[Problem]) -> list[Violation]:
    """What `parse_events` or `parse_triplets` could not read."""
    return [Violation("grammar", f"line {problem.line}", f"{problem.kind}: {problem.detail}") for problem in problems]


def verify_times(events: Sequence[Event], limits: Limits) -> list[Violation]:
    """Events that end too late, and gaps in which nothing happens; that start < end is certain of any `Event`."""
    found = [
        Violation("times", format_event(event), f"it ends after tick {limits.last_tick}")
        for event in events
        if event.end > limits.last_tick
    ]
    reached = 0
    for event in sorted(events, key=lambda event: (event.start, event.end)):
        if event.start - reached > limits.longest_gap:
            detail = f"nothing happens for {event.start - reached} ticks, more than {limits.longest_gap}"
            found.append(Violation("times", f"tick {reached} to {event.start}", detail))
        reached = max(reached, event.end)
    return found


def verify_order(prompt: str, events: Sequence[Event]) -> list[Violation]:
    """Events against "then", "before", "after" and "while"; an event belongs to the clause that has its verb.

    Where both clauses have the verb, agent or target decide; an event that fits no clause alone is not checked.
    """
    found = []
    for relation, earlier, later in ordered_clauses(prompt):
        first, second = word_keys(earlier), word_keys(later)
        before = [event for event in events if _belongs(event, first, second)]
        behind = [event for event in events if _belongs(event, second, first)]
        pairs = [(one, other) for one in before for other in behind]
        if relation == "order":
            wrong = [(one, other) for one, other in pairs if other.start < one.start]
            what = "must not begin before"
        else:
            wrong = pairs[:1] if not any(one.start < other.end and other.start < one.end for one, other in pairs) else []
            what = "must overlap in time with"
        found += [Violation("order", format_event(other), f"it {what} {format_event(one)}") for one, other in wrong]
    return found


def _belongs(event: Event, here: frozenset[str], there: frozenset[str]) -> bool:
    verb = _verb(event.predicate)
    names = word_keys([*event.agent.split(), *event.target.split()])
    return verb in here and verb not in english.PREPOSITIONS and (verb not in there or bool(names & (here - there)))


def _verb(predicate: str) -> str:
    return lemma_key(predicate, "predicate").split()[0]


def verify_coverage(graph: DynamicSceneGraph) -> list[Violation]:
    """Verbs and nouns of the prompt that are in no event and no scene graph; other words for them do not count."""
    terms = {term for event in graph.events for term in (event.agent, event.predicate, event.target)}
    for tick in graph.ticks:
        terms.update(tick.objects, (item.attribute for item in tick.attributes), (item.predicate for item in tick.triplets))
    known = word_keys(word for term in terms for word in term.split())
    missing = [word for word in content_words(graph.prompt) if not word_keys([word]) & known]
    return [Violation("coverage", "prompt", f'"{word}" is in no event and no scene graph') for word in missing]


def verify_plan(graph: DynamicSceneGraph) -> list[Violation]:
    """Triplets of events that are missing at a tick at which they must be."""
    found = []
    for tick, planned in enumerate(graphs_of(graph.events)):
        present = frozenset(graph.ticks[tick].triplets) if tick < len(graph.ticks) else frozenset()
        missing = [triplet for triplet in planned.triplets if triplet not in present]
        found += [Violation("plan", f"tick {tick}", f"{format_item(triplet)} of an event is missing") for triplet in missing]
    return found


def verify_persistence(graph: DynamicSceneGraph) -> list[Violation]:
    """Attributes and static relations that end though their object stays and none of its events begins or ends then.

    Static are relations without a verb ("in front of") and states ("holding", "wearing", "sitting on").
    """
    planned = graphs_of(graph.events)
    found = []
    for tick, (now, after) in enumerate(zip(graph.ticks, graph.ticks[1:], strict=False)):
        of_events = frozenset(planned[tick].triplets if tick < len(planned) else ())
        changing = {
            name for event in graph.events if tick + 1 in (event.start, event.end) for name in (event.agent, event.target)
        }
        after_items = frozenset((*after.triplets, *after.attributes))
        static = [item for item in now.triplets if item not in of_events and _is_static(item)]
        candidates: list[Triplet | Attribute] = [*static, *now.attributes]
        for item in candidates:
            owner, ends = _owner_and_ends(item)
            if item not in after_items and owner in after.objects and not ends & changing:
                found.append(
                    Violation("persistence", f"tick {tick + 1}", f"{format_item(item)} ends though nothing changes it")
                )
    return found


def _is_static(triplet: Triplet) -> bool:
    verb = _verb(triplet.predicate)
    return verb in english.PREPOSITIONS or KINDS.get(verb, "") in _STATES


def _owner_and_ends(item: Triplet | Attribute) -> tuple[str, frozenset[str]]:
    if isinstance(item, Triplet):
        return item.subject, frozenset((item.subject, item.object))
    return item.object, frozenset((item.object,))


def verify_contradictions(ticks: Sequence[SceneGraph]) -> list[Violation]:
    """Pairs of triplets of one tick that exclude each other."""
    found = []
    for tick, graph in enumerate(ticks):
        of_pair: dict[frozenset[str], list[Triplet]] = {}
        for triplet in graph.triplets:
            of_pair.setdefault(frozenset((triplet.subject, triplet.object)), []).append(triplet)
        for triplets in of_pair.values():
            found += [
                Violation("contradiction", f"tick {tick}", f"{format_item(one)} and {format_item(other)} exclude each other")
                for one, other in combinations(triplets, 2)
                if conflicts(one, other)
            ]
    return found


def verify_sizes(graph: DynamicSceneGraph, limits: Limits) -> list[Violation]:
    """Ticks with too many triplets beside those of the events, or too many objects."""
    planned = graphs_of(graph.events)
    found = []
    for tick, now in enumerate(graph.ticks):
        of_events = frozenset(planned[tick].triplets if tick < len(planned) else ())
        counts = (
            ("new triplets", len(frozenset(now.triplets) - of_events), limits.most_new_triplets),
            ("objects", len(now.objects), limits.most_objects),
        )
        found += [
            Violation("size", f"tick {tick}", f"{count} {what}, more than {most}")
            for what, count, most in counts
            if count > most
        ]
    return found


def verify_vocabulary(graph: DynamicSceneGraph, limits: Limits) -> list[Violation]:
    """Terms as long as sentences, pronouns and articles in names of objects, and predicates written in several forms."""
    relations = {item for tick in graph.ticks for item in tick.triplets} | {event.triplet for event in graph.events}
    predicates = {item.predicate for item in relations}
    names = {name for tick in graph.ticks for name in tick.objects} | {
        name for item in relations for name in (item.subject, item.object)
    }
    attributes = {item.attribute for tick in graph.ticks for item in tick.attributes}
    found = [
        Violation("vocabulary", term, f"it has more than {limits.most_words} words")
        for term in sorted(names | predicates | attributes)
        if len(term.split()) > limits.most_words
    ]
    for name in sorted(names):
        if name in english.PRONOUNS:
            found.append(Violation("vocabulary", name, "a pronoun; name the object"))
        elif " " in name and name.split()[0] in english.DETERMINERS | english.POSSESSIVES:
            found.append(Violation("vocabulary", name, f'write it without "{name.split()[0]}"'))
    forms: dict[str, list[str]] = {}
    for predicate in sorted(predicates):
        forms.setdefault(lemma_key(predicate, "predicate"), []).append(predicate)
    found += [
        Violation("vocabulary", same[0], f"the same as {', '.join(same[1:])}; use one form")
        for same in forms.values()
        if len(same) > 1
    ]
    return found
