"""Calls of a language model: many at once against one after another, and a second run that makes none."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from benchmarks.corpora import ROOT
from benchmarks.result import Result
from tasks.llm.backend import Counts
from tasks.llm.model import ask_all, open_model
from tasks.llm.parameters import LanguageModel
from tasks.llm.request import Message
from tasks.llm.structured import ask

_PROMPTS, _SINGLE, _IN_FLIGHT, _DELAY_S = 500, 10, 16, 0.2


class _Number(BaseModel):
    n: int


@contextmanager
def _endpoint() -> Iterator[str]:
    """The address of an endpoint in a process of its own; nothing answers there after the block."""
    command = [sys.executable, "-m", "benchmarks.slow_endpoint", str(_DELAY_S)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline() if server.stdout else '')}"
        finally:
            server.terminate()


def _parameters(url: str, in_flight: int) -> LanguageModel:
    return LanguageModel(
        backend="openai",
        model="slow",
        base_url=url,
        key_variable=None,
        output="json_schema",
        temperature=0.0,
        max_tokens=100,
        in_flight=in_flight,
        timeout_s=30.0,
        retries=0,
        most_wait_s=1.0,
        most_reply_bytes=100_000,
    )


def _ask_all(parameters: LanguageModel, replies: Path, prompts: int) -> tuple[float, Counts]:
    """Seconds from the first question to the last answer, and what was asked."""

    async def run() -> tuple[float, Counts]:
        async with open_model(parameters, replies) as model:
            start = time.perf_counter()
            await ask_all(ask(model, [Message(role="user", content=f"prompt {n}")], _Number) for n in range(prompts))
            return time.perf_counter() - start, model.counts

    return asyncio.run(run())


def measure_llm_calls(folder: Path) -> list[Result]:
    """An endpoint that needs 200 ms a call; the second run has only the replies of the first."""
    with _endpoint() as url:
        _ask_all(_parameters(url, 1), folder / "warm-up.jsonl", 1)
        single = _ask_all(_parameters(url, 1), folder / "single.jsonl", _SINGLE)[0] / _SINGLE
        at_once, first = _ask_all(_parameters(url, _IN_FLIGHT), folder / "replies.jsonl", _PROMPTS)
    again, second = _ask_all(_parameters(url, _IN_FLIGHT), folder / "replies.jsonl", _PROMPTS)
    if (first.asked, second.cached) != (_PROMPTS, _PROMPTS):
        raise AssertionError("not every prompt was asked once")
    serial = single * _PROMPTS
    detail = f"{at_once:.1f} s against {serial:.0f} s, one call {single * 1000:.0f} ms"
    return [
        Result(f"{_PROMPTS} calls, {_IN_FLIGHT} in flight, speed of one by one", serial / at_once, 8, True, "x", detail),
        Result("calls of the second run", second.asked, 0, False, "calls", f"{again:.2f} s for {_PROMPTS} cached replies"),
    ]
