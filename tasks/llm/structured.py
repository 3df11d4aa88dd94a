"""Replies as pydantic models: read strictly, else mended once, else asked for once more, else an error with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from tasks.common.quarantine import printable
from tasks.llm.errors import ReplyError
from tasks.llm.likelihood import Comparison, Completion
from tasks.llm.model import CachedModel
from tasks.llm.repair import MOST_TEXT, is_finite, read_json, repair_json
from tasks.llm.request import Message, Request
from tasks.llm.schema import strict_schema

__all__ = ["ask", "choose", "repair_json"]

_MOST_QUOTED = 8_000
_MOST_PROBLEMS = 5
Answer = TypeVar("Answer", bound=BaseModel)


async def ask(
    model: CachedModel,
    messages: Sequence[Message],
    answer_type: type[Answer],
    *,
    sample: int = 0,
    check: Callable[[Answer], list[str]] | None = None,
) -> Answer:
    """The model's answer as `answer_type`; at most two questions.

    Args:
        model: what is asked.
        messages: the conversation; the last message is the question.
        answer_type: what the answer must be. No number in it is NaN or infinite, whatever the type allows.
        sample: tells repeated samples of one question apart.
        check: what is wrong with a well-formed answer, in words that the model understands; nothing if all is well.

    Raises:
        ReplyError: both replies could not be used; it says what is wrong with the second.
        UserError, StageError: see `CachedModel.reply`.
    """
    request = Request(messages=tuple(messages), json_schema=strict_schema(answer_type), sample=sample)
    return await _ask(model, request, answer_type, check)


async def choose(
    model: CachedModel,
    messages: Sequence[Message],
    options: Sequence[str],
    *,
    likelihood: Comparison | Completion | None = None,
) -> str:
    """One of `options`, as the model chooses.

    Args:
        model: what is asked.
        messages: the conversation; the last message is the question.
        options: texts to choose from.
        likelihood: the same question in the form that a small local model answers better.

    Raises:
        ReplyError: neither the first nor the second reply names an option.
        UserError, StageError: see `CachedModel.reply`.
    """
    option: Any = Literal[tuple(options)]
    kind = create_model("Choice", __config__=ConfigDict(extra="forbid"), answer=(option, ...))
    request = Request(
        messages=tuple(messages),
        json_schema=strict_schema(kind),
        likelihood=likelihood,
    )
    answer: Any = await _ask(model, request, kind, None)
    choice: str = answer.answer
    return choice


async def _ask(
    model: CachedModel, request: Request, answer_type: type[Answer], check: Callable[[Answer], list[str]] | None
) -> Answer:
    try:
        return await _attempt(model, request, answer_type, check)
    except ReplyError as error:
        again = request.model_copy(update={"messages": (*request.messages, *_complaint(error))})
    model.counts.re_asked += 1
    return await _attempt(model, again, answer_type, check)


async def _attempt(
    model: CachedModel, request: Request, answer_type: type[Answer], check: Callable[[Answer], list[str]] | None
) -> Answer:
    text = await model.reply(request)
    value = _read(model, text)
    try:
        answer = answer_type.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise ReplyError("invalid", _problems(error), text) from None
    if not is_finite(answer.model_dump()):
        raise ReplyError("invalid", "a number is not finite", text)
    problems = check(answer) if check else []
    if problems:
        raise ReplyError("invalid", "; ".join(problems[:_MOST_PROBLEMS]), text)
    return answer


def _read(model: CachedModel, text: str) -> Any:
    if len(text) > MOST_TEXT:
        raise ReplyError("too_large", f"above {MOST_TEXT} characters", text)
    try:
        return read_json(text)
    except ValueError as error:
        value = repair_json(text)
        if value is None:
            raise ReplyError("not_json", str(error), text) from None
    model.counts.repaired += 1
    return value


def _problems(error: ValidationError) -> str:
    """The first problems of an answer, by place; hostile keys and values are bounded and escaped."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"{printable('.'.join(map(str, problem['loc'])), 100)}: {problem['msg']}" for problem in found[:_MOST_PROBLEMS]]
    more = [f"and {len(found) - _MOST_PROBLEMS} more"] if len(found) > _MOST_PROBLEMS else []
    return printable("; ".join(lines + more), 1_000)


def _complaint(error: ReplyError) -> tuple[Message, Message]:
    wish = f"That reply cannot be used ({error.reason}: {error.detail}). Answer again, with the JSON and nothing else."
    quoted = error.raw[:_MOST_QUOTED].strip() or "(no answer)"
    return Message(role="assistant", content=quoted), Message(role="user", content=wish)
