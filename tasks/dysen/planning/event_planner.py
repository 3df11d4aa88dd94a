"""Events of captions from a language model: asked once, and once more if nothing in the reply can be used."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Event
from tasks.dysen.graphs.event_grammar import ParsedEvents, parse_events
from tasks.dysen.planning.event_prompts import planning_request
from tasks.llm.errors import ReplyError
from tasks.llm.model import CachedModel
from tasks.llm.request import Message, Request

_MOST_QUOTED = 4_000
_MOST_PROBLEMS = 3


async def plan_events(
    model: CachedModel,
    caption: str,
    demonstrations: Sequence[DynamicSceneGraph],
    vocabulary: Sequence[str],
    last_tick: int,
) -> tuple[Event, ...]:
    """The events that the model reads in a caption, at least one; at most two questions.

    What cannot be read in a reply that has events is left out, and so is what ends after the last tick.

    Args:
        model: what is asked.
        caption: hostile.
        demonstrations: captions with their events, the best one last.
        vocabulary: predicates that the local model may use beside the caption's own verbs.
        last_tick: at which the video ends.

    Raises:
        ReplyError: neither reply has an event that can be used.
        UserError, StageError: see `CachedModel.reply`.
    """
    request = planning_request(caption, demonstrations, vocabulary, last_tick)
    try:
        return await _attempt(model, request, last_tick)
    except ReplyError as error:
        again = request.model_copy(update={"messages": (*request.messages, *_complaint(error))})
    model.counts.re_asked += 1
    return await _attempt(model, again, last_tick)


async def _attempt(model: CachedModel, request: Request, last_tick: int) -> tuple[Event, ...]:
    text = await model.reply(request)
    parsed = parse_events(text)
    events = tuple(event for event in parsed.events if event.end <= last_tick)
    if not events:
        raise ReplyError("invalid", _problems(parsed, last_tick), text)
    return events


def _problems(parsed: ParsedEvents, last_tick: int) -> str:
    if parsed.events:
        return f"no event ends at {last_tick}v or before"
    return "; ".join(problem.detail for problem in parsed.problems[:_MOST_PROBLEMS]) or "there is no event in it"


def _complaint(error: ReplyError) -> tuple[Message, Message]:
    wish = (
        f"That reply cannot be used ({error.reason}: {error.detail}). "
        "Write the events again, one a line as (agent, predicate, target, (START, END)), and nothing else."
    )
    quoted = error.raw[:_MOST_QUOTED].strip() or "(no answer)"
    return Message(role="assistant", content=quoted), Message(role="user", content=wish)
