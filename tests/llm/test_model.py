"""A model behind its cache: each distinct request is asked once, and a full cache needs nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.common.errors import UserError
from tasks.llm.errors import ReplyError
from tasks.llm.model import CachedModel, ask_all, open_model
from tasks.llm.parameters import LanguageModel
from tasks.llm.request import Message, Request
from tests.llm.endpoint_for_tests import KEY, KEY_VARIABLE, after, fails, says, serve, settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)


def question(text: str = "how many?", **more: Any) -> Request:
    return Request(messages=(Message(role="user", content=text),), **more)


def with_model(
    parameters: LanguageModel, path: Path, use: Callable[[CachedModel], Awaitable[Any]]
) -> tuple[Any, CachedModel]:
    async def run() -> tuple[Any, CachedModel]:
        async with open_model(parameters, path) as model:
            return await use(model), model

    return asyncio.run(run())


async def ask_numbers(model: CachedModel, number: int) -> list[str]:
    return await ask_all(model.reply(question(str(n))) for n in range(number))


def test_equal_requests_at_the_same_time_make_one_call(tmp_path: Path) -> None:
    with serve(after(0.1, says("three"))) as server:
        texts, model = with_model(
            settings(server.url, in_flight=20),
            tmp_path / "replies.jsonl",
            lambda model: ask_all(model.reply(question()) for _ in range(20)),
        )
        assert len(server.bodies) == 1
    assert texts == ["three"] * 20
    assert (model.counts.asked, model.counts.cached) == (1, 19)


def test_a_second_run_makes_no_call_and_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "replies.jsonl"
    with serve(lambda server, body: says(f"re {body['messages'][0]['content']}")(server, body)) as server:
        first, _ = with_model(settings(server.url), path, lambda model: ask_numbers(model, 12))
        assert len(server.bodies) == 12
    monkeypatch.delenv(KEY_VARIABLE)
    before = path.read_bytes()
    again, model = with_model(settings("http://127.0.0.1:9"), path, lambda model: ask_numbers(model, 12))
    assert again == first == [f"re {n}" for n in range(12)]
    assert (model.counts.asked, model.counts.cached) == (0, 12)
    assert path.read_bytes() == before


FULL_CACHE_RUN = """
import asyncio, sys
from pathlib import Path
from pydantic import BaseModel
from tasks.llm.model import open_model
from tasks.llm.parameters import LanguageModel
from tasks.llm.request import Message
from tasks.llm.structured import ask

class Number(BaseModel):
    n: int

async def run():
    parameters = LanguageModel.model_validate_json(sys.argv[1])
    async with open_model(parameters, Path(sys.argv[2])) as model:
        return await ask(model, [Message(role="user", content="how many?")], Number)

assert asyncio.run(run()).n == 3
loaded = {"openai", "httpx", "tasks.llm.endpoint", "tasks.llm.local_model"} & set(sys.modules)
assert not loaded, loaded
"""


@pytest.mark.parametrize("backend", ["openai", "local"])
def test_with_a_full_cache_no_client_is_imported(tmp_path: Path, backend: str) -> None:
    from pydantic import BaseModel

    from tasks.llm.structured import ask

    class Number(BaseModel):
        n: int

    path = tmp_path / "replies.jsonl"
    with serve(says('{"n": 3}')) as server:
        parameters = settings(server.url)
        with_model(parameters, path, lambda model: ask(model, [Message(role="user", content="how many?")], Number))
    offline = parameters.model_copy(update={"backend": backend}).model_dump_json()
    done = subprocess.run(
        [sys.executable, "-c", FULL_CACHE_RUN, offline, str(path)],
        cwd=ROOT,
        env={"PATH": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reply_that_cannot_be_used_is_asked_for_once_too(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"

    async def refused(model: CachedModel) -> ReplyError:
        with pytest.raises(ReplyError) as caught:
            await model.reply(question())
        return caught.value

    with serve(says(None, refusal="I will not " * 200)) as server:
        first, _ = with_model(settings(server.url), path, refused)
        again, model = with_model(settings(server.url), path, refused)
        assert len(server.bodies) == 1
    assert first.reason == again.reason == "refusal"
    assert first.detail == again.detail
    assert first.raw == again.raw == "I will not " * 200
    assert model.counts.cached == 1


def test_samples_of_one_question_are_asked_apart(tmp_path: Path) -> None:
    with serve(says("one"), says("two")) as server:
        texts, _ = with_model(
            settings(server.url, in_flight=1, temperature=1.0),
            tmp_path / "replies.jsonl",
            lambda model: ask_all(model.reply(question(sample=sample)) for sample in (0, 1, 0)),
        )
    assert texts == ["one", "two", "one"]


def test_replies_before_an_error_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    with serve(*[says("good")] * 3, fails("402 Payment Required")) as server:
        with pytest.raises(UserError, match="top it up"):
            with_model(settings(server.url, in_flight=1), path, lambda model: ask_numbers(model, 9))
        assert len(server.bodies) == 4
    with serve(says("good")) as server:
        texts, _ = with_model(settings(server.url), path, lambda model: ask_numbers(model, 9))
        assert len(server.bodies) == 6
    assert texts == ["good"] * 9


def test_a_cancelled_asker_leaves_the_question_to_the_next(tmp_path: Path) -> None:
    async def use(model: CachedModel) -> str:
        first = asyncio.ensure_future(model.reply(question()))
        second = asyncio.ensure_future(model.reply(question()))
        await asyncio.sleep(0.15)
        first.cancel()
        return await second

    with serve(after(0.5, says("late")), says("prompt")) as server:
        text, _ = with_model(settings(server.url), tmp_path / "replies.jsonl", use)
    assert text == "prompt"


def test_the_first_error_ends_all_and_is_raised_as_it_is() -> None:
    ended = []

    async def waits(number: int) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(number)

    async def fails_soon() -> None:
        await asyncio.sleep(0.01)
        raise UserError("no key")

    with pytest.raises(UserError, match="no key"):
        asyncio.run(ask_all([waits(0), fails_soon(), waits(1)]))
    assert sorted(ended) == [0, 1]
