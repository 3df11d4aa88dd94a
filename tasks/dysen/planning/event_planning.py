"""Planners of events by name, and how a language model plans for many captions at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.common.progress import track
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Event
from tasks.dysen.planning.demonstrations import Choose
from tasks.dysen.planning.event_planner import plan_events
from tasks.llm.errors import ReplyError
from tasks.llm.model import CachedModel, ask_all

_AT_A_TIME = 1_000


class Planning(NamedTuple):
    """What a plan depends on besides caption and model.

    Attributes:
        choose: the demonstrations of captions.
        vocabulary: predicates that the local model may use beside a caption's own verbs.
        last_tick: at which videos end.
    """

    choose: Choose
    vocabulary: tuple[str, ...]
    last_tick: int


async def plan_captions(
    model: CachedModel, captions: Sequence[str], planning: Planning, what: str
) -> dict[str, tuple[Event, ...] | ReplyError]:
    """The events of each distinct caption, or why there are none. The model bounds the calls in flight.

    Args:
        model: what is asked.
        captions: repetitions included.
        planning: how it is asked.
        what: name of the work in progress lines.

    Raises:
        UserError, StageError: see `CachedModel.reply`.
    """
    distinct = list(dict.fromkeys(captions))
    shown = planning.choose(distinct)

    async def one(caption: str, demonstrations: tuple[DynamicSceneGraph, ...]) -> tuple[Event, ...] | ReplyError:
        try:
            return await plan_events(model, caption, demonstrations, planning.vocabulary, planning.last_tick)
        except ReplyError as error:
            return error

    def detail() -> str:
        return f"(replies: {model.counts.cached} cached, {model.counts.asked} asked, {model.counts.re_asked} asked again)"

    found: dict[str, tuple[Event, ...] | ReplyError] = {}
    for start in range(0, len(distinct), _AT_A_TIME):
        group = list(zip(distinct, shown, strict=True))[start : start + _AT_A_TIME]
        calls = [one(*job) for job in group]
        planned = await ask_all(calls, lambda ended: track(ended, what, len(calls), detail))  # noqa: B023 - run at once
        found.update(zip([caption for caption, _ in group], planned, strict=True))
    return found
