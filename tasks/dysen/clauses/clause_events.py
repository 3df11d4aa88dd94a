"""A deterministic parser of captions to events: who does what to whom, from which tick to which.

Words come from a tagger, phrases from `tasks.captions`; clauses are read from left to right (`clause_reader`), their verbs
become predicates (`clause_predicates`), and their order and times become ticks (`clause_steps`, `clause_times`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from pydantic import ValidationError

from tasks.captions.caption_reader import read_phrases
from tasks.dysen.clauses.caption_tagging import TaggedCaption, tagged_captions
from tasks.dysen.clauses.clause_reader import ClauseReader
from tasks.dysen.clauses.clause_times import timed_parts
from tasks.dysen.clauses.clause_words import CountWords, joined, mended
from tasks.dysen.graphs.dynamic_scene_graph import LAST_TICK, MOST_EVENTS, Event, as_term


class ClauseEventParser:
    """Captions to events, the same for the same text and length.

    Any text gives events or none. Not known: who is meant beyond the next fitting entity, what words mean, and how long
    anything lasts; actions share the time of a video equally.
    """

    def events_of(self, caption: str, last_tick: int) -> tuple[Event, ...]:
        """The events of one caption.

        Raises:
            UserError: spaCy's English pipeline is not installed.
            ValueError: `last_tick` is out of range.
        """
        return self.events_of_all([caption], last_tick)[0]

    def events_of_all(self, captions: Sequence[str], last_tick: int) -> list[tuple[Event, ...]]:
        """The events of captions, in order; faster than one by one.

        Args:
            captions: any texts.
            last_tick: the length of the video, 1 to `LAST_TICK`: events start at 0 or later and end there at the latest.

        Raises:
            UserError: spaCy's English pipeline is not installed.
            ValueError: `last_tick` is out of range.
        """
        if not 1 <= last_tick <= LAST_TICK:
            raise ValueError(f"last_tick = {last_tick} is not between 1 and {LAST_TICK}")
        distinct = list(dict.fromkeys(captions))
        found = zip(distinct, tagged_captions(distinct), strict=True)
        events = {caption: _events(caption, tagged, last_tick) for caption, tagged in found}
        return [events[caption] for caption in captions]


def _events(caption: str, tagged: TaggedCaption, last_tick: int) -> tuple[Event, ...]:
    kept = mended(tagged, caption)
    phrases = joined(read_phrases(kept))
    reader = ClauseReader(phrases, CountWords(kept))
    reader.read(phrases)
    found = {
        event: None
        for agent, part, start, end in timed_parts(reader.statements(), reader.entities.all, last_tick)
        if (event := _event(agent, part.predicate, part.target, start, end)) is not None
    }
    return tuple(sorted(found, key=lambda event: (event.start, event.end))[:MOST_EVENTS])


@functools.lru_cache(maxsize=16_384)
def _event(agent: str, predicate: str, target: str, start: int, end: int) -> Event | None:
    """An event of these terms; none if one of them is no term."""
    try:
        terms = [as_term(text) for text in (agent, predicate, target)]
        return Event(agent=terms[0], predicate=terms[1], target=terms[2], start=start, end=end)
    except (ValueError, ValidationError):
        return None
