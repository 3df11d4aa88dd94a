"""Events and graphs for tests: the method's own example, and strategies for random ones."""

from __future__ import annotations

from hypothesis import strategies as st

from tasks.dysen.graphs.dynamic_scene_graph import Attribute, Event, Triplet, as_term, scene_graph

PROMPT = "a lady sitting on the chair and drinking coffee, meeting a friend, greeting them, and then looking out window"
SIT = Triplet(subject="lady", predicate="sitting on", object="chair")
DRINK = Triplet(subject="lady", predicate="drinking", object="coffee")
MEET = Triplet(subject="lady", predicate="meeting", object="friend")
GREET = Triplet(subject="lady", predicate="greeting", object="friend")
LOOK = Triplet(subject="lady", predicate="looking out", object="window")


def lasting(triplet: Triplet, start: int, end: int) -> Event:
    """The event with this triplet."""
    return Event(agent=triplet.subject, predicate=triplet.predicate, target=triplet.object, start=start, end=end)


EVENTS = (lasting(SIT, 0, 5), lasting(DRINK, 1, 2), lasting(MEET, 3, 4), lasting(GREET, 3, 4), lasting(LOOK, 3, 5))


def _term(text: str) -> str | None:
    try:
        return as_term(text)
    except ValueError:
        return None


terms = st.text(min_size=1, max_size=12).map(_term).filter(lambda term: term is not None)
few_terms = st.sampled_from(["lady", "chair", "5v", "cup of tea", "3"])


def triplets_of(names: st.SearchStrategy[str]) -> st.SearchStrategy[Triplet]:
    """Triplets of these terms."""
    return st.builds(Triplet, subject=names, predicate=names, object=names)


def attributes_of(names: st.SearchStrategy[str]) -> st.SearchStrategy[Attribute]:
    """Attributes of these terms."""
    return st.builds(Attribute, object=names, attribute=names)


def events_of_terms(names: st.SearchStrategy[str], latest: int = 64) -> st.SearchStrategy[Event]:
    """Events of these terms."""
    spans = st.tuples(st.integers(0, latest), st.integers(0, latest)).filter(lambda span: span[0] != span[1])
    return st.builds(lambda triplet, span: lasting(triplet, min(span), max(span)), triplets_of(names), spans)


scene_graphs = st.builds(
    scene_graph,
    st.lists(triplets_of(few_terms), max_size=6),
    st.lists(attributes_of(few_terms), max_size=3),
    st.lists(few_terms, max_size=2),
)
