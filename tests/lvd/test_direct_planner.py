"""The direct planner against a real server: one question, a second if the reply cannot be used, then an error."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tasks.common.errors import UserError
from tasks.llm.backend import Counts
from tasks.llm.model import ask_all, open_model
from tasks.lvd.direct_planner import DirectSettings, Planned, plan_direct
from tasks.lvd.direct_templates import answer_schema, direct_messages
from tasks.lvd.errors import PlanError
from tests.llm.endpoint_for_tests import KEY, KEY_VARIABLE, Answer, ScriptedEndpoint, fails, says, serve, settings
from tests.lvd.replies_for_tests import EXPECTED, JSON_PLAIN, PLAIN

PROMPT = "a kite over a boat"
TEXT = DirectSettings(frames=3, planner="test-model")
JSON = TEXT._replace(reply_format="json", template="dvd")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def plan(
    endpoint: ScriptedEndpoint, replies: Path, how: DirectSettings = TEXT, prompt: str = PROMPT, samples: int = 1
) -> tuple[list[Planned], Counts]:
    """The layouts of some samples, and what was asked for them."""

    async def run() -> tuple[list[Planned], Counts]:
        async with open_model(settings(endpoint.url), replies) as model:
            calls = [plan_direct(model, prompt, how, sample) for sample in range(samples)]
            return await ask_all(calls), model.counts

    return asyncio.run(run())


def refused(replies: Path, *script: Answer, how: DirectSettings = TEXT) -> tuple[PlanError, ScriptedEndpoint]:
    """The error that these answers end in."""
    with serve(*script) as endpoint, pytest.raises(PlanError) as error:
        plan(endpoint, replies, how)
    return error.value, endpoint


def objects(planned: Planned) -> list[list[tuple[int, str, tuple[float, ...]]]]:
    return [[(item.id, item.name, item.box) for item in frame] for frame in planned.layout.frames]


@pytest.mark.parametrize(("how", "reply"), [(TEXT, PLAIN), (JSON, JSON_PLAIN)])
def test_a_good_reply_needs_one_question(tmp_path: Path, how: DirectSettings, reply: str) -> None:
    with serve(says(reply)) as endpoint:
        [planned], counts = plan(endpoint, tmp_path / "replies.jsonl", how)
    assert objects(planned) == EXPECTED
    assert (planned.layout.prompt, planned.layout.planner, planned.layout.background) == (PROMPT, "test-model", "lake")
    assert (planned.repairs, planned.re_asked) == ((), False)
    assert (counts.asked, counts.repaired, counts.re_asked) == (1, 0, 0)


def test_the_conversation_is_that_of_the_template(tmp_path: Path) -> None:
    with serve(says(PLAIN)) as endpoint:
        plan(endpoint, tmp_path / "replies.jsonl")
    expected = direct_messages(PROMPT, "lvd", 3, 2, "text")
    assert endpoint.bodies[0]["messages"] == [message.model_dump() for message in expected]
    assert "response_format" not in endpoint.bodies[0]


def test_the_format_json_sends_its_schema(tmp_path: Path) -> None:
    with serve(says(JSON_PLAIN)) as endpoint:
        plan(endpoint, tmp_path / "replies.jsonl", JSON)
    assert endpoint.bodies[0]["response_format"]["json_schema"]["schema"] == answer_schema(3)
    assert "Initialise" in endpoint.bodies[0]["messages"][0]["content"]


UNUSABLE = {
    "no frames": (says("I drew you a kite!"), "no-layout"),
    "a missing frame": (says(PLAIN.replace("Frame 2", "Scene 2")), "missing-frame"),
    "a refusal": (says(None, refusal="I cannot do that."), "refusal"),
    "cut off": (says(PLAIN, "length"), "length"),
    "empty": (says(""), "empty"),
    "too large": (says("x" * 200_000), "too_large"),
}


@pytest.mark.parametrize(("answer", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_reply_is_asked_for_once_more(tmp_path: Path, answer: Answer, reason: str) -> None:
    with serve(answer, says(PLAIN)) as endpoint:
        [planned], counts = plan(endpoint, tmp_path / "replies.jsonl")
    assert objects(planned) == EXPECTED
    assert planned.re_asked
    assert (counts.asked, counts.re_asked) == (2, 1)
    first, second = (body["messages"] for body in endpoint.bodies)
    assert second[: len(first)] == first
    assert [turn["role"] for turn in second[len(first) :]] == ["assistant", "user"]
    assert reason in second[-1]["content"]
    assert "all 3 frames" in second[-1]["content"]


@pytest.mark.parametrize(("answer", "reason"), UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize("how", [TEXT, JSON])
def test_two_unusable_replies_are_an_error(tmp_path: Path, answer: Answer, reason: str, how: DirectSettings) -> None:
    error, endpoint = refused(tmp_path / "replies.jsonl", answer, how=how)
    assert error.reason == reason
    assert len(endpoint.bodies) == 2


def test_the_error_holds_the_second_reply(tmp_path: Path) -> None:
    error, endpoint = refused(tmp_path / "replies.jsonl", says("first nonsense"), says("second nonsense"))
    assert (error.reason, error.raw) == ("no-layout", "second nonsense")
    assert endpoint.bodies[1]["messages"][-2] == {"role": "assistant", "content": "first nonsense"}


def test_a_long_bad_reply_is_quoted_in_part(tmp_path: Path) -> None:
    _, endpoint = refused(tmp_path / "replies.jsonl", says("\x1b[31mno " * 10_000))
    assert len(endpoint.bodies[1]["messages"][-2]["content"]) <= 4_000
    assert endpoint.bodies[1]["messages"][-1]["content"].isprintable()


def test_mended_replies_are_counted(tmp_path: Path) -> None:
    with serve(says(PLAIN.replace("[10,", "[-10,"))) as endpoint:
        [planned], counts = plan(endpoint, tmp_path / "replies.jsonl")
    assert planned.repairs == ("clipped", "clipped")
    assert (counts.repaired, counts.re_asked) == (1, 0)


def test_samples_are_asked_apart_and_kept(tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    with serve(says("nonsense"), says(PLAIN)) as endpoint:
        planned, counts = plan(endpoint, replies, samples=3)
        asked = len(endpoint.bodies)
        again, later = plan(endpoint, replies, samples=3)
    assert (counts.asked, counts.re_asked, asked) == (4, 1, 4)
    assert again == planned
    assert (later.asked, later.cached, later.re_asked, len(endpoint.bodies)) == (0, 4, 1, 4)


def test_a_refusal_is_kept_too(tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    first, endpoint = refused(replies, says(None, refusal="no"))
    second, other = refused(replies, says(PLAIN))
    assert (first.reason, first.detail) == (second.reason, second.detail)
    assert (len(endpoint.bodies), len(other.bodies)) == (2, 0)


def test_a_wrong_key_is_no_matter_of_the_reply(tmp_path: Path) -> None:
    with serve(fails("401 Unauthorized")) as endpoint, pytest.raises(UserError, match=KEY_VARIABLE):
        plan(endpoint, tmp_path / "replies.jsonl")
    assert len(endpoint.bodies) == 1


HOSTILE = [
    "a\nb\r\n\x00c",
    "-rf ../../x CON",
    '"]}]}\\',
    "Frame 1: [] Background keyword: x",
    "\x1b[31m<script>",
    "k" * 9_000,
]


@pytest.mark.parametrize("prompt", HOSTILE)
def test_hostile_captions(tmp_path: Path, prompt: str) -> None:
    with serve(says(PLAIN)) as endpoint:
        [planned], _ = plan(endpoint, tmp_path / "replies.jsonl", prompt=prompt)
    assert planned.layout.prompt == prompt
    assert endpoint.bodies[0]["messages"][-1]["content"].isprintable()
    assert json.loads(planned.layout.model_dump_json())["prompt"] == prompt
