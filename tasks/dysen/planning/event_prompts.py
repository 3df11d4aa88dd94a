"""How a language model is asked for the events of a caption: in words for endpoints, as lines of slots for the local model.

The parts of the conversation are those of Dysen-VDM's action planning: what an event is, examples, the caption.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.captions import english
from tasks.captions.english_verbs import FORMS
from tasks.captions.slot_questions import phrases
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Event, as_term
from tasks.dysen.graphs.event_grammar import format_event
from tasks.llm.errors import ReplyError
from tasks.llm.likelihood import Lines, Slot
from tasks.llm.request import Message, Request

NOWHERE = "scene"
"""The target of an event that has none of its own."""
MOST_CHARACTERS = 600
_MOST_LINES = 8
_MOST_PREDICATES = 200
_LEAST_PREDICATE = "be in"
_ARTICLES = ("a ", "an ", "the ")
_TASK = """You plan the actions of a short video from its caption. List its events, one a line, in the form
(agent, predicate, target, (START, END))
The agent acts; the predicate is what it does, in its base form and with its preposition; the target is to whom, to what or
where it does it ("scene" if there is none). START and END count equal steps of time, written 0v, 1v and so on; the video
lasts from 0v to {last_tick}v. Events may overlap. Choose an order and lengths that are plausible; what the caption leaves
open, imagine. Every caption has at least one event. Answer with the lines alone."""
_HEADING = "Events of captions, as (agent, predicate, target, (from, to)).\n\n"


def planning_request(
    caption: str, demonstrations: Sequence[DynamicSceneGraph], vocabulary: Sequence[str], last_tick: int
) -> Request:
    """The question for the events of a caption.

    Args:
        caption: hostile; its first `MOST_CHARACTERS` are read.
        demonstrations: captions with their events, the best one last.
        vocabulary: predicates that the local model may use beside the caption's own verbs.
        last_tick: at which the video ends.

    Raises:
        ReplyError: no word of the caption can name an agent.
    """
    text = " ".join(caption.split())[:MOST_CHARACTERS]
    turns = []
    for shown in demonstrations:
        turns += [
            Message(role="user", content=_question(shown.prompt)),
            Message(role="assistant", content=_answer(shown)),
        ]
    messages = (
        Message(role="system", content=_TASK.format(last_tick=last_tick)),
        *turns,
        Message(role="user", content=_question(text)),
    )
    return Request(messages=messages, likelihood=_lines(text, demonstrations, vocabulary, last_tick))


def _question(caption: str) -> str:
    return f"Caption: {' '.join(caption.split())}"


def _answer(shown: DynamicSceneGraph) -> str:
    return "\n".join(format_event(event) for event in in_order_of_telling(shown.prompt, shown.events))


def in_order_of_telling(caption: str, events: Sequence[Event]) -> list[Event]:
    """Events by the place of their agent in the caption, then by time: the order that a reader can follow."""
    text = caption.lower()

    def place(event: Event) -> tuple[int | str, ...]:
        told = text.find(event.agent) % (len(text) + 1)
        return (told, event.agent, event.start, event.end, event.predicate, event.target)

    return sorted(events, key=place)


def predicates_of(candidates: Sequence[DynamicSceneGraph]) -> tuple[str, ...]:
    """All predicates of the events of demonstrations, the most frequent first."""
    counts: dict[str, int] = {}
    for shown in candidates:
        for event in shown.events:
            counts[event.predicate] = counts.get(event.predicate, 0) + 1
    return tuple(sorted(counts, key=lambda predicate: (-counts[predicate], predicate)))[:_MOST_PREDICATES]


def _lines(caption: str, demonstrations: Sequence[DynamicSceneGraph], vocabulary: Sequence[str], last_tick: int) -> Lines:
    names = [phrase for phrase in phrases(caption) if not phrase.startswith(_ARTICLES) and _is_term(phrase)]
    if not names:
        raise ReplyError("invalid", "no word of the caption can name an agent")
    shots = "".join(f"{_question(shown.prompt)}\n{_answer(shown)}\n\n" for shown in demonstrations)
    times = [f" ({start}v, {end}v)" for start in range(last_tick) for end in range(start + 1, last_tick + 1)]
    predicates = dict.fromkeys([*vocabulary, *_verbs(caption)]) or (_LEAST_PREDICATE,)
    return Lines(
        prompt=f"{_HEADING}{shots}{_question(caption)}\n",
        slots=(
            Slot(before="(", choices=tuple(names)),
            Slot(before=",", choices=tuple(f" {predicate}" for predicate in predicates)),
            Slot(before=",", choices=tuple(f" {name}" for name in dict.fromkeys([*names, NOWHERE]))),
            Slot(before=",", choices=tuple(times)),
        ),
        after=")\n",
        stop="\n",
        most=_MOST_LINES,
    )


def _is_term(text: str) -> bool:
    try:
        return as_term(text) == text
    except ValueError:
        return False


def _verbs(caption: str) -> list[str]:
    """The caption's verbs in their base form, alone, with "in", and with the preposition that follows."""
    words = [word.strip(".,;:!?()\"'") for word in caption.lower().split()]
    found = []
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word in FORMS and word not in english.AUXILIARIES:
            base = FORMS[word][0]
            found += [base, f"{base} in", *([f"{base} {after}"] if after in english.PREPOSITIONS else [])]
    return found
