"""Lines of slots filled by the local model for real: only allowed text, one reply for one question, and no line twice."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tasks.common.errors import UserError
from tasks.llm.continuation import Continuation
from tasks.llm.likelihood import Lines, Slot
from tasks.llm.line_filling import fill_lines
from tasks.llm.llama_runtime import LlamaRuntime
from tasks.llm.local_model import LOCAL_MODELS, LocalModel, weights_of
from tasks.llm.request import Message, Request, request_key
from tests.llm.test_local_model import local

(NAME,) = LOCAL_MODELS
SHOWN = ("a red car goes left", "a blue dog goes up", "a green bird goes right", "a white cat goes down")
PROMPT = "Who goes where.\n\n" + "".join(
    f"{text}\n({' '.join(text.split()[1:3])}, {text.split()[-1]})\n\n" for text in SHOWN
)
ASKED = "a black ball goes right\n"


@pytest.fixture(scope="module")
def runtime() -> LlamaRuntime:
    return LlamaRuntime(weights_of(NAME))


def question(**changes: Any) -> Lines:
    names = ("ball", "black", "black ball", "right")
    slots = (Slot(before="(", choices=names), Slot(before=",", choices=(" down", " left", " right", " up")))
    return Lines(**{"prompt": PROMPT + ASKED, "slots": slots, "after": ")\n", "stop": "\n", "most": 4, **changes})


def test_examples_are_followed(runtime: LlamaRuntime) -> None:
    assert fill_lines(runtime, question()) == "(black ball, right)\n"


def test_the_same_question_has_the_same_reply_whatever_was_asked_before(runtime: LlamaRuntime) -> None:
    first = fill_lines(runtime, question())
    fill_lines(runtime, question(prompt="Something else:\n"))
    assert fill_lines(runtime, question()) == first
    assert fill_lines(LlamaRuntime(weights_of(NAME)), question()) == first


def test_a_line_that_would_come_again_ends_the_text(runtime: LlamaRuntime) -> None:
    one = (Slot(before="(", choices=("fig",)), Slot(before=",", choices=(" blue",)))
    assert fill_lines(runtime, question(slots=one, most=9)) == "(fig, blue)\n"


def test_there_are_no_more_lines_than_asked_for(runtime: LlamaRuntime) -> None:
    assert fill_lines(runtime, question(most=1)).count("\n") == 1


class Scores:
    """Stands for a runtime whose model always likes one token best."""

    def __init__(self, best: int) -> None:
        self.best = best
        self.said: list[int] = []

    def read(self, tokens: Sequence[int], position: int, place: int) -> None:
        self.said += tokens

    def scores(self, row: int) -> NDArray[np.float64]:
        return np.eye(10)[self.best]


@pytest.mark.parametrize(("best", "option", "said"), [(2, 0, 1), (3, 1, 1), (4, 2, 0)])
def test_a_choice_that_begins_another_one_can_be_reached(best: int, option: int, said: int) -> None:
    scores = Scores(best)
    text = Continuation(cast(LlamaRuntime, scores), 0, [9, 9])
    # of the first token only 4 or 1; then 2, which ends the first option, or 3, which goes on
    assert text.pick([[1, 2], [1, 3, 2], [4, 2]]) == (option, said)
    assert scores.said == ([9] if said == 0 else [9, 1])


words = st.lists(
    st.sampled_from(["a", "ab", "b", "red", "red car", "é", "12", "  ", "\n"]), min_size=1, max_size=4, unique=True
)


@settings(max_examples=15, deadline=None)
@given(words, words, st.integers(1, 3))
def test_whatever_the_choices_only_they_are_said(
    runtime: LlamaRuntime, first: list[str], second: list[str], most: int
) -> None:
    slots = (Slot(before="<", choices=tuple(first)), Slot(before="|", choices=tuple(second)))
    text = fill_lines(runtime, question(slots=slots, after=">\n", most=most))
    allowed = [f"<{one}|{other}>\n" for one, other in itertools.product(first, second)]
    pattern = "|".join(map(re.escape, allowed))
    lines = re.findall(pattern, text)
    assert "".join(lines) == text
    assert 1 <= len(lines) == len(set(lines)) <= most


def test_what_does_not_fit_into_memory_is_refused_in_one_line(runtime: LlamaRuntime) -> None:
    with pytest.raises(UserError, match="shorten the prompt"):
        fill_lines(runtime, question(prompt="word " * 20_000))


def test_the_local_model_answers_requests_of_lines() -> None:
    request = Request(messages=(Message(role="user", content="Colours?"),), likelihood=question())
    assert asyncio.run(LocalModel(local()).reply(request)) == "(black ball, right)\n"


def test_another_choice_is_another_question() -> None:
    keys = {
        request_key(NAME, {}, Request(messages=(Message(role="user", content="?"),), likelihood=question(most=most)))
        for most in (1, 2)
    }
    assert len(keys) == 2
