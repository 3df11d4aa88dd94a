"""One question to a language model, and the hash under which its reply is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tasks.llm.likelihood import Comparison, Completion, Lines


def without_half_surrogates(text: str) -> str:
    """The text with U+FFFD for what no encoding can write; two halves that belong together become one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Message(BaseModel):
    """One turn of a conversation. Half surrogates, which no encoding can send, become U+FFFD."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["system", "user", "assistant"]
    content: str

    @field_validator("content")
    @classmethod
    def _can_be_sent(cls, text: str) -> str:
        return without_half_surrogates(text)


class Request(BaseModel):
    """A conversation that waits for its next reply.

    Attributes:
        messages: the conversation so far.
        json_schema: what the reply must be, as JSON schema; None for free text.
        likelihood: the same question in the form that a small local model answers better; an endpoint reads the messages.
        sample: tells repeated samples of one question apart when the temperature is above 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages: tuple[Message, ...] = Field(min_length=1)
    json_schema: dict[str, Any] | None = None
    likelihood: Comparison | Completion | Lines | None = None
    sample: int = Field(default=0, ge=0)


def request_key(model: str, settings: Mapping[str, Any], request: Request) -> str:
    """SHA-256 of all that decides the reply, in hexadecimal.

    Args:
        model: the model's name.
        settings: temperature, most tokens and form of output: `LanguageModel.reply_settings()`.
        request: the question.
    """
    whole = {"model": model, "settings": dict(settings), "request": request.model_dump(mode="python", exclude_none=True)}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
