"""Layouts that a language model writes itself: asked once, and once more if the reply cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tasks.common.quarantine import printable
from tasks.llm.backend import Counts
from tasks.llm.errors import ReplyError
from tasks.llm.request import Message, Request
from tasks.lvd.direct_templates import ReplyFormat, Template, answer_schema, direct_messages
from tasks.lvd.errors import PlanError
from tasks.lvd.layout import DynamicSceneLayout
from tasks.lvd.tolerant_parser import Parsed, parse_reply

_MOST_QUOTED = 4_000


class Model(Protocol):
    """What is asked, such as `tasks.llm.model.CachedModel`."""

    counts: Counts

    async def reply(self, request: Request) -> str:
        """The model's text; ReplyError if it refused or did not finish."""
        ...


class DirectSettings(NamedTuple):
    """How layouts are asked for.

    Attributes:
        template: the wording: "lvd" or "dvd".
        frames: of a layout, 2 to 64.
        frames_per_second: as told to the model.
        reply_format: "text" as in the original, or "json".
        planner: who planned, kept in each layout.
    """

    template: Template = "lvd"
    frames: int = 6
    frames_per_second: float = 2.0
    reply_format: ReplyFormat = "text"
    planner: str = "direct"


@dataclass(frozen=True)
class Planned:
    """A layout, what was mended for it (see `Parsed`), and whether the model was asked again."""

    layout: DynamicSceneLayout
    repairs: tuple[str, ...]
    re_asked: bool


async def plan_direct(model: Model, prompt: str, settings: DirectSettings, sample: int = 0) -> Planned:
    """The layout that the model writes for a caption; at most two questions.

    Args:
        model: what is asked; its counts of mended replies and of second questions grow.
        prompt: the caption; hostile, at most 10,000 characters.
        settings: how it is asked.
        sample: tells repeated samples of one caption apart.

    Raises:
        PlanError: both replies could not be used; it holds the second one.
        UserError, StageError: the model cannot be asked.
    """
    request = Request(
        messages=direct_messages(
            prompt, settings.template, settings.frames, settings.frames_per_second, settings.reply_format
        ),
        json_schema=answer_schema(settings.frames) if settings.reply_format == "json" else None,
        sample=sample,
    )
    try:
        parsed = await _attempt(model, request, prompt, settings)
        return Planned(parsed.layout, parsed.repairs, re_asked=False)
    except ReplyError as error:
        again = request.model_copy(update={"messages": (*request.messages, *_complaint(error, settings.frames))})
    model.counts.re_asked += 1
    try:
        parsed = await _attempt(model, again, prompt, settings)
    except PlanError:
        raise
    except ReplyError as error:
        raise PlanError(error.reason, error.detail, error.raw) from error
    return Planned(parsed.layout, parsed.repairs, re_asked=True)


async def _attempt(model: Model, request: Request, prompt: str, settings: DirectSettings) -> Parsed:
    parsed = parse_reply(await model.reply(request), prompt, settings.frames, settings.planner)
    if parsed.repairs:
        model.counts.repaired += 1
    return parsed


def _complaint(error: ReplyError, frames: int) -> tuple[Message, Message]:
    """The reply as the model's turn, and what is wrong with it as the user's."""
    wish = (
        f"That reply cannot be used ({error.reason}: {printable(error.detail)}). Write the whole answer again: reasoning,"
        f" all {frames} frames and the background, in the format of the examples and with nothing around it."
    )
    quoted = error.raw[:_MOST_QUOTED].strip() or "(no answer)"
    return Message(role="assistant", content=quoted), Message(role="user", content=wish)
