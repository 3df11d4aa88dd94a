"""Any endpoint with OpenAI's protocol, through the official client: one deadline a try, bounded retries, bounded bodies."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any
from urllib.parse import urlsplit

import openai
from pydantic import BaseModel, SecretStr, ValidationError

from tasks.common.errors import StageError, UserError
from tasks.llm.backend import Counts
from tasks.llm.bounded_client import BodyTooLarge, bounded_client
from tasks.llm.endpoint_faults import Fault, asked_wait_s, backoff_s, told
from tasks.llm.errors import ReplyError
from tasks.llm.parameters import LanguageModel
from tasks.llm.request import Request

_RETRIED = {408, 409, 429}
_KEY_PROBLEMS = {
    401: "the key is refused; set {} to a valid one",
    402: "the account of the key in {} has no balance left; top it up",
    403: "the key in {} may not use this model from here; use another key or model",
}
_BAD_REQUESTS = {
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "context_length_exceeded": "too_long",
}
_NO_KEY = "none"  # endpoints without keys ignore it, and the client insists on one


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    choices: tuple[_Choice, ...]


class Endpoint:
    """A `Backend` that keeps at most `in_flight` calls open. After an error that ends the run it calls no more."""

    def __init__(self, parameters: LanguageModel, counts: Counts) -> None:
        """Connects to nothing yet.

        Raises:
            UserError: the key's environment variable is not set, or holds no key.
        """
        self.name = parameters.model
        self._parameters = parameters
        self._counts = counts
        self._where = f"{urlsplit(parameters.base_url or '').hostname} ({parameters.model})"
        self._key = _read_key(parameters.key_variable, self._where)
        self._slots = asyncio.Semaphore(parameters.in_flight)
        self._stopped: UserError | StageError | None = None
        self._client = openai.AsyncOpenAI(
            api_key=self._key.get_secret_value(),
            base_url=parameters.base_url,
            max_retries=0,
            # Every version of the client takes one of httpx; its default is of another library in newer ones.
            http_client=bounded_client(parameters.most_reply_bytes, parameters.in_flight),  # type: ignore[arg-type]
        )

    async def reply(self, request: Request) -> str:
        """See `Backend`; all tries of a request count as one call in flight."""
        async with self._slots:
            try:
                return await self._try_on(request)
            except (UserError, StageError) as error:
                self._stopped = error
                raise

    async def close(self) -> None:
        """Ends all connections."""
        await self._client.close()

    async def _try_on(self, request: Request) -> str:
        body = _body(self._parameters, request)
        for tries in range(1, self._parameters.retries + 2):
            if self._stopped:
                raise type(self._stopped)(str(self._stopped))
            try:
                return await self._try(body)
            except Fault as error:
                fault = error
            wait_s = self._wait_s(tries, fault)
            if tries <= self._parameters.retries:
                self._counts.retried += 1
                await asyncio.sleep(wait_s)
        raise StageError(f"{self._where}: {tries} tries failed, the last with {fault}; run again later, replies are kept")

    def _wait_s(self, tries: int, fault: Fault) -> float:
        most = self._parameters.most_wait_s
        if fault.asked_wait_s > most:
            raise StageError(
                f"{self._where}: {fault}, and asks to wait {fault.asked_wait_s:.0f} s, above most_wait_s {most:g}; "
                "run again after that time, replies are kept"
            )
        return max(fault.asked_wait_s, backoff_s(tries, most))

    async def _try(self, body: dict[str, Any]) -> str:
        try:
            async with asyncio.timeout(self._parameters.timeout_s):
                response = await self._client.chat.completions.with_raw_response.create(**body)
        except TimeoutError:
            raise Fault(f"no whole reply in {self._parameters.timeout_s:g} s") from None
        except openai.APIStatusError as error:
            raise self._meaning(error) from None
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, BodyTooLarge):
                raise ReplyError("too_large", f"above {self._parameters.most_reply_bytes} bytes") from None
            raise Fault(f"a broken connection{told(str(error.__cause__ or error), self._key.get_secret_value())}") from None
        try:
            completion = _Completion.model_validate_json(response.content)
        except ValidationError:
            raise Fault("a page that is no chat completion") from None
        return self._text(completion)

    def _meaning(self, error: openai.APIStatusError) -> Exception:
        status, body = error.status_code, error.body
        if status in _RETRIED or status >= 500:
            return Fault(f"HTTP {status}", asked_wait_s(error.response.headers))
        if status in _KEY_PROBLEMS:
            variable = self._parameters.key_variable or "key_variable (null now) and the variable it names"
            return UserError(f"{self._where}: HTTP {status}: {_KEY_PROBLEMS[status].format(variable)}")
        words = told(body.get("message") if isinstance(body, dict) else None, self._key.get_secret_value())
        reason = _BAD_REQUESTS.get(str(error.code))
        if reason:
            return ReplyError(reason, f"HTTP {status}{words}")
        address = self._parameters.base_url
        return UserError(
            f"{address}: HTTP {status} for model {self.name!r}{words}; mend model, base_url or output in the parameters"
        )

    def _text(self, completion: _Completion) -> str:
        """The reply of the first choice; the key, should it be in there, is taken out."""
        if not completion.choices:
            raise ReplyError("empty", "no choices")
        choice = completion.choices[0]
        if choice.finish_reason == "insufficient_system_resource":
            raise Fault("an overloaded model")
        content, refusal = self._without_key(choice.message.content), self._without_key(choice.message.refusal)
        if choice.finish_reason == "content_filter":
            raise ReplyError("content_filter", "the endpoint's filter stopped the reply", content)
        if refusal:
            raise ReplyError("refusal", refusal, refusal)
        if choice.finish_reason == "length":
            raise ReplyError("length", f"cut off at max_tokens {self._parameters.max_tokens}", content)
        if not content.strip():
            raise ReplyError("empty", "no text")
        return content

    def _without_key(self, text: str | None) -> str:
        key = self._key.get_secret_value()
        return (text or "") if key == _NO_KEY else (text or "").replace(key, "[key]")


def _read_key(variable: str | None, where: str) -> SecretStr:
    if variable is None:
        return SecretStr(_NO_KEY)
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(
            f"{where} must be asked, and the environment variable {variable} is not set; put the endpoint's key there"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UserError(f"the environment variable {variable} holds what cannot be a key; copy the key of {where} anew")
    return SecretStr(key)


def _body(parameters: LanguageModel, request: Request) -> dict[str, Any]:
    """The call's arguments; what the endpoint cannot enforce of a schema is written into the last message."""
    messages = [message.model_dump() for message in request.messages]
    body: dict[str, Any] = {
        "model": parameters.model,
        "messages": messages,
        "temperature": parameters.temperature,
        "max_tokens": parameters.max_tokens,
    }
    if request.json_schema is None:
        return body
    if parameters.output == "json_schema":
        schema = {"name": "reply", "strict": True, "schema": request.json_schema}
        return body | {"response_format": {"type": "json_schema", "json_schema": schema}}
    wish = f"Answer with JSON of this schema and nothing else:\n{json.dumps(request.json_schema)}"
    messages[-1]["content"] += f"\n\n{wish}"
    return body | ({"response_format": {"type": "json_object"}} if parameters.output == "json_object" else {})
