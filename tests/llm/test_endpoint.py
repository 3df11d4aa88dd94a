"""The endpoint's client against a real server: patience with passing faults, none with a wrong key, and no secret told."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.common.errors import StageError, UserError
from tasks.llm.backend import Counts
from tasks.llm.endpoint import Endpoint
from tasks.llm.endpoint_faults import asked_wait_s, told
from tasks.llm.errors import ReplyError
from tasks.llm.model import ask_all, open_model
from tasks.llm.parameters import LanguageModel
from tasks.llm.request import Message, Request
from tests.llm.endpoint_for_tests import (
    KEY,
    KEY_VARIABLE,
    Answer,
    ScriptedEndpoint,
    after,
    completion,
    fails,
    hangs,
    http,
    says,
    sends,
    serve,
    settings,
)

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def question(text: str = "how many?", **more: Any) -> Request:
    return Request(messages=(Message(role="user", content=text),), **more)


def replies(parameters: LanguageModel, requests: list[Request], counts: Counts) -> list[str]:
    async def run() -> list[str]:
        endpoint = Endpoint(parameters, counts)
        try:
            return await ask_all(endpoint.reply(request) for request in requests)
        finally:
            await endpoint.close()

    return asyncio.run(run())


def reply(server: ScriptedEndpoint, request: Request | None = None, **changes: Any) -> tuple[str, Counts]:
    counts = Counts()
    return replies(settings(server.url, **changes), [request or question()], counts)[0], counts


def test_a_good_endpoint_is_asked_once() -> None:
    with serve(says('{"n": 3}')) as server:
        text, counts = reply(server, question(json_schema=SCHEMA))
    assert (text, counts.retried) == ('{"n": 3}', 0)
    assert server.keys == [f"Bearer {KEY}"]
    (body,) = server.bodies
    assert body["model"] == "test-model"
    assert (body["temperature"], body["max_tokens"]) == (0.0, 500)
    assert body["messages"] == [{"role": "user", "content": "how many?"}]
    assert body["response_format"]["json_schema"] == {"name": "reply", "strict": True, "schema": SCHEMA}


@pytest.mark.parametrize("output", ["json_object", "text"])
def test_a_schema_that_cannot_be_enforced_is_written_into_the_question(output: str) -> None:
    with serve(says("{}")) as server:
        reply(server, question(json_schema=SCHEMA), output=output)
    (body,) = server.bodies
    assert body.get("response_format") == ({"type": "json_object"} if output == "json_object" else None)
    last = body["messages"][-1]["content"]
    assert last.startswith("how many?\n\n")
    assert "JSON" in last
    assert json.dumps(SCHEMA) in last


def test_without_schema_text_is_free() -> None:
    with serve(says("as you like")) as server:
        assert reply(server, output="json_object")[0] == "as you like"
    assert "response_format" not in server.bodies[0]


def half_closed(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
    return completion("cut")[:-10]


PASSING = {
    "429 without a wait": fails("429 Too Many Requests"),
    "429 with a useless wait": fails("429 Too Many Requests", {"Retry-After": "soon"}),
    "429 with a wait in the past": fails("429 Too Many Requests", {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    "429 with no number": fails("429 Too Many Requests", {"Retry-After": "nan"}),
    "408": fails("408 Request Timeout"),
    "409": fails("409 Conflict"),
    "500": fails("500 Internal Server Error"),
    "503 with a huge page": sends(b"<html>" + b"x" * 3_000_000, "503 Service Unavailable"),
    "half closed": half_closed,
    "hung up": lambda server, body: b"",
    "no HTTP": lambda server, body: b"\x00\xff what\r\n\r\n",
    "a page of HTML": sends(b"<html>sign in</html>", headers={"Content-Type": "text/html"}),
    "an error that says 200": sends(b'{"error": {"message": "upstream"}}'),
    "another JSON": sends(b"[1, 2, 3]"),
    "nesting": sends(b'{"choices": ' + b"[" * 50_000),
    "no JSON": sends(b"\xff\xfe{"),
    "nothing": sends(b""),
    "packed": sends(gzip.compress(b'{"choices": []}'), headers={"Content-Encoding": "gzip"}),
    "overloaded": says("half a rep", "insufficient_system_resource"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_passing_fault_is_retried(fault: Answer) -> None:
    with serve(fault, fault, says("good")) as server:
        text, counts = reply(server)
    assert (text, counts.retried, len(server.bodies)) == ("good", 2, 3)


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_lasting_fault_ends_the_run_after_its_retries(fault: Answer) -> None:
    with serve(fault) as server, pytest.raises(StageError) as caught:
        reply(server)
    assert len(server.bodies) == 3
    assert "127.0.0.1 (test-model): 3 tries failed" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_refused_connection_is_retried_and_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    counts = Counts()
    with pytest.raises(StageError, match="3 tries failed, the last with a broken connection"):
        replies(settings(url), [question()], counts)
    assert counts.retried == 2


def drips(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
    whole = completion("slow " * 500)
    return whole.replace(b"\r\n", b"\r\nX-Drip: yes\r\n", 1)


@pytest.mark.parametrize("slow", [hangs, drips], ids=["hangs", "drips"])
def test_the_deadline_holds_for_the_whole_call(slow: Answer) -> None:
    with serve(slow, says("good")) as server:
        start = time.monotonic()
        text, counts = reply(server, timeout_s=0.3)
        assert 0.3 <= time.monotonic() - start < 3
    assert (text, counts.retried) == ("good", 1)


def in_two_seconds() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        (lambda: {"Retry-After": "0.4"}, 0.4),
        (lambda: {"Retry-After-Ms": "300"}, 0.3),
        (lambda: {"Retry-After-Ms": "what", "Retry-After": "0.3"}, 0.3),
        (lambda: {"Retry-After": in_two_seconds()}, 0.9),
    ],
    ids=["seconds", "milliseconds", "both", "date"],
)
def test_the_wait_that_an_endpoint_asks_for_is_kept(headers: Callable[[], dict[str, str]], least: float) -> None:
    def limited(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
        return http(b"{}", "429 Too Many Requests", headers())

    with serve(limited, says("good")) as server:
        start = time.monotonic()
        text, counts = reply(server, most_wait_s=5.0)
        assert least <= time.monotonic() - start < 4
    assert (text, counts.retried) == ("good", 1)


@pytest.mark.parametrize("wait", ["3600", "inf", "1e400", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_wait_above_the_limit_gives_up_and_calls_no_more(wait: str) -> None:
    with serve(fails("429 Too Many Requests", {"Retry-After": wait})) as server:
        with pytest.raises(StageError, match=r"asks to wait .* above most_wait_s 0\.02"):
            replies(settings(server.url, in_flight=1), [question(str(n)) for n in range(5)], Counts())
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "text", ["", "nan", "-5", "Wed, 99 Oct", "Mon, 01 Jan 0001 00:00:00 +9999", "\u0664", "\udcff", "9" * 5000 + "x"]
)
def test_waits_that_say_nothing_useful(text: str) -> None:
    assert asked_wait_s({"retry-after": text}) in (0.0, 4.0)


@pytest.mark.parametrize(
    ("status", "mend"), [("401 No", "set GROUNDREEL_TEST_KEY"), ("402 No", "top it up"), ("403 No", "GROUNDREEL_TEST_KEY")]
)
def test_a_key_problem_ends_all_calls_at_once(status: str, mend: str) -> None:
    def refuses(server: ScriptedEndpoint, body: dict[str, Any]) -> bytes:
        server.wait_for_calls(4)
        return http(b"{}", status)

    with serve(refuses, hangs) as server:
        with pytest.raises(UserError) as caught:
            replies(settings(server.url, in_flight=4), [question(str(n)) for n in range(40)], Counts())
        time.sleep(0.1)
        assert len(server.bodies) == 4
    for part in ("127.0.0.1", "test-model", status[:3], mend):
        assert part in str(caught.value)


def test_callers_that_do_not_cancel_get_the_same_error_without_calls() -> None:
    async def run(endpoint: Endpoint) -> list[object]:
        try:
            return await asyncio.gather(*(endpoint.reply(question(str(n))) for n in range(9)), return_exceptions=True)
        finally:
            await endpoint.close()

    with serve(fails("401 Unauthorized")) as server:
        errors = asyncio.run(run(Endpoint(settings(server.url, in_flight=1), Counts())))
    assert len(server.bodies) == 1
    assert len({str(error) for error in errors}) == 1
    assert all(isinstance(error, UserError) for error in errors)


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "422 Unprocessable", "301 Moved", "418 Teapot"])
def test_a_request_that_cannot_work_is_one_line_without_retry(status: str) -> None:
    with serve(fails(status, {"Location": "/elsewhere"}, message="no such\nmodel \x1b[31m here")) as server:
        with pytest.raises(UserError) as caught:
            reply(server)
        message = str(caught.value)
        assert len(server.bodies) == 1
        assert server.url in message
    assert "'test-model'" in message
    assert status[:3] in message
    assert "no such model \\x1b[31m here" in message
    assert message.isprintable()


@pytest.mark.parametrize(
    ("code", "reason"), [("context_length_exceeded", "too_long"), ("content_filter", "content_filter"), (["x"], None)]
)
def test_a_request_that_only_this_item_makes_bad_is_a_bad_reply(code: object, reason: str | None) -> None:
    page = json.dumps({"error": {"message": "it is about this text", "code": code}}).encode()
    with serve(sends(page, "400 Bad Request")) as server, pytest.raises((ReplyError, UserError)) as caught:
        reply(server)
    assert getattr(caught.value, "reason", None) == reason
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("answer", "reason", "raw"),
    [
        (says("I canno", "length"), "length", "I canno"),
        (says(None, refusal="I cannot help with that"), "refusal", "I cannot help with that"),
        (says("", "content_filter"), "content_filter", ""),
        (says(None), "empty", ""),
        (says(" \n"), "empty", ""),
        (sends(b'{"choices": []}'), "empty", ""),
        (says("x" * 200_000), "too_large", ""),
        (sends(b" " * 5_000_000), "too_large", ""),
    ],
    ids=["length", "refusal", "filter", "no content", "blank", "no choices", "large text", "5 MB"],
)
def test_replies_that_cannot_be_used_are_told_apart_and_not_retried(answer: Answer, reason: str, raw: str) -> None:
    with serve(answer) as server, pytest.raises(ReplyError) as caught:
        reply(server)
    assert (caught.value.reason, caught.value.raw.strip()) == (reason, raw)
    assert caught.value.detail
    assert len(server.bodies) == 1


def test_no_more_calls_at_once_than_in_flight() -> None:
    with serve(after(0.02, says("good"))) as server:
        texts = replies(settings(server.url, in_flight=5), [question(str(n)) for n in range(30)], Counts())
    assert texts == ["good"] * 30
    assert server.most_at_once == 5


LEAKS = {
    "401 with the key": fails("401 Unauthorized", message=f"Incorrect API key provided: {KEY}"),
    "401 with a part": fails("401 Unauthorized", message=f"key ****{KEY[-8:]} is invalid"),
    "400 with the key": fails("400 Bad Request", message=f"bad header Authorization: Bearer {KEY}"),
    "400 with a part": fails("400 Bad Request", message=f"{KEY[:11]}****"),
    "500 with the key": fails("500 Oops", message=KEY),
    "429 with the key": fails("429 Wait", {"Retry-After": "60"}, message=KEY),
    "200 with the key": sends(json.dumps({"error": KEY}).encode()),
    "HTML with the key": sends(f"<p>{KEY}</p>".encode(), headers={"Content-Type": "text/html"}),
    "refusal with the key": says(None, refusal=f"your key {KEY}"),
    "reply with the key": says(f"your key is {KEY}"),
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
def test_the_key_shows_nowhere(leak: Answer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []

    async def run(url: str) -> None:
        parameters = settings(url)
        async with open_model(parameters, tmp_path / "replies.jsonl") as model:
            try:
                shown.append(await model.reply(question()))
            except (UserError, StageError, ReplyError) as error:
                shown.extend([str(error), repr(error), str(vars(error)), traceback.format_exc()])
            backend = model._backend
            shown.extend([repr(model), repr(vars(model)), repr(backend), repr(vars(backend)), repr(parameters)])

    with serve(leak) as server:
        asyncio.run(run(server.url))
        assert server.keys[0] == f"Bearer {KEY}"
    cached = "".join(path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
    for text in [*shown, caplog.text, cached]:
        for part in (KEY, KEY[-8:], KEY[:11]):
            assert part not in text
    assert len(shown) > 5
    assert caplog.records


def test_words_without_a_key_are_told() -> None:
    assert told("no such model", KEY) == ": no such model"
    assert told({"a": 1}, KEY) == told(None, KEY) == told("", KEY) == ""
    assert told("anything", "any") == ""
    assert told("the key sk-0123 of somebody else", KEY) == ""
    assert len(told("word " * 1000, KEY)) < 210


def test_an_endpoint_without_key_needs_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-endpoint")
    with serve(says("none of your business")) as server:
        assert reply(server, key_variable=None)[0] == "none of your business"
    assert "another" not in server.keys[0]


@pytest.mark.parametrize("value", [None, "", "  \n", "two words", "kéy", "line\nbreak", "\x1b[31m"])
def test_a_missing_or_broken_key_is_one_line_without_a_call(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    if value is not None:
        monkeypatch.setenv(KEY_VARIABLE, value)
    with serve(says("never")) as server:
        with pytest.raises(UserError, match=KEY_VARIABLE) as caught:
            reply(server)
        assert server.bodies == []
    assert not value or not value.strip() or value not in str(caught.value)
