"""Questions for slots: mirrored captions, named corners, phrases to choose from, and examples that give nothing away."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.captions import slot_examples
from tasks.captions.scene import Region
from tasks.captions.slot_questions import (
    _ASKED_OF_HALVES,
    _FUNCTION_WORDS,
    _SIDES,
    _TIMES,
    direction,
    half,
    kinds,
    messages,
    mirror,
    motion,
    noun,
    one_thing,
    phrases,
    places_named,
    region_of,
    route,
    seen,
    two_things,
)
from tasks.llm.likelihood import Comparison, Completion
from tasks.lvd.benchmark_prompts import benchmark_prompts

PAIRED = [word for pair in _SIDES for word in pair]
NEUTRAL = ["a", "kite", "lefty", "bright", "upright-piano", "Ünder", "12", ",", "rıght", "ſ"]


@given(st.lists(st.sampled_from([*PAIRED, *map(str.capitalize, PAIRED), *NEUTRAL]) | st.text(max_size=8)))
def test_a_mirror_seen_in_a_mirror_is_the_text(words: list[str]) -> None:
    text = " ".join(word for word in words if word.lower() not in PAIRED or word in (word.lower(), word.capitalize()))
    assert mirror(mirror(text, _SIDES), _SIDES) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from the Left, rightwards to the left.", "from the Right, leftwards to the right."),
        ("left-to-right", "right-to-left"),
        ("lefty is bright", "lefty is bright"),
        ("RIGHT", "Left"),
        ("the first LEFT half", "the first Right half"),
        ("rıght and leftwardſ", "rıght and leftwardſ"),
        ("", ""),
    ],
)
def test_sides_are_exchanged_as_whole_words(text: str, expected: str) -> None:
    assert mirror(text, _SIDES) == expected


def test_times_are_exchanged() -> None:
    assert mirror("Only in the second half", _TIMES) == "Only in the first half"
    assert mirror("it shows up before the end", _TIMES) == "it vanishes after the beginning"
    for one, other in _TIMES:
        assert mirror(one, _TIMES) == other


@given(st.text(max_size=300))
def test_a_mirror_takes_any_text(text: str) -> None:
    mirror(text, _TIMES)


CORNERS: dict[str, Region] = {
    "top left": "upper left",
    "bottom-right": "lower right",
    "Upper Right-hand corner": "upper right",
    "lower left hand corner": "lower left",
    "left top": "upper left",
    "right-bottom": "lower right",
    "upperright": "upper right",
    "lower-left": "lower left",
}


@pytest.mark.parametrize(("words", "region"), CORNERS.items())
def test_corners_are_found_in_all_their_forms(words: str, region: Region) -> None:
    (place,) = places_named(f"First a kite is in the {words} of the picture.")
    assert place in words.lower()
    assert region_of(place) == region


def test_each_corner_is_named_once_in_the_order_of_the_caption() -> None:
    caption = "From the upper left to the bottom right, over the top left, to the bottom left, the top right and back."
    assert places_named(caption) == ("upper left", "bottom right", "bottom left", "top right")
    assert places_named("top left, upper left, left top") == ("top left",)


@pytest.mark.parametrize("text", ["", "left", "a stop left of it", "on top of the left one", "desktop leftovers", "upper"])
def test_what_names_no_corner(text: str) -> None:
    assert places_named(text) == ()


def test_only_a_corner_has_a_region() -> None:
    with pytest.raises(ValueError, match="no corner"):
        region_of("on the left")


WORDS = ["a", "the", "red", "kite", "and", "boat's", "fire-engine", "of", "two", ",", ".", "(", '"', "-", "'", "—", "left"]
captions = st.lists(st.sampled_from(WORDS) | st.text(max_size=10), max_size=30).map(" ".join)


@given(captions, captions)
def test_phrases_come_from_the_caption_and_hold_no_taken_word(caption: str, beside: str) -> None:
    said = [word for part in re.split(r"[.,;:!?()\"]", caption.lower()) for word in re.findall(r"\w[\w'-]*", part)]
    told = f" {' '.join(said)} "
    found = phrases(caption, beside)
    assert len(set(found)) == len(found)
    for phrase in found:
        words = phrase.split()
        assert f" {phrase} " in told
        assert 1 <= len(words) <= 4
        assert words[-1] not in _FUNCTION_WORDS
        assert not set(beside.split()) - _FUNCTION_WORDS & set(words)
        assert noun(phrase).choices


def test_phrases_of_a_caption() -> None:
    caption = "The red kite, high up, passes a boat."
    assert {"the red kite", "kite", "a boat", "passes a boat"} & set(phrases(caption)) == {"the red kite", "kite", "a boat"}
    assert not any("kite" in phrase or "red" in phrase for phrase in phrases(caption, beside="the red kite"))
    assert "a boat" in phrases(caption, beside="the red kite")
    assert phrases("- -- ' . of the") == phrases("") == ()


HOSTILE = [
    "b " * 5_000,
    "b," * 5_000,
    " ".join(f"w{number}" for number in range(2_000)),
    ".".join(f"w{number} x{number} y{number} z{number}" for number in range(400)),
    "top left to right bottom, " * 400,
    "left " * 2_000,
    "'" * 10_000,
    "((" * 5_000,
    "\U0010ffff" * 10_000,
    "a" * 10_000,
    "\x00\x1b[31m\u202e" * 2_000,
]
QUESTIONS: list[Callable[[str], Comparison]] = [kinds, motion, seen, half, direction]


@pytest.mark.parametrize("caption", HOSTILE, ids=range(len(HOSTILE)))
def test_questions_about_a_hostile_caption_stay_small(caption: str) -> None:
    start = time.monotonic()
    choices = phrases(caption)
    assert len(choices) <= 240
    assert sum(map(len, choices)) <= 20 * len(caption)
    corners = places_named(caption)
    assert len(corners) <= 4
    if corners:
        assert len(route(caption, corners).contexts) <= 48
    for question in QUESTIONS:
        assert len(question(caption).contexts) <= 40
    if choices:
        assert one_thing(caption).choices == choices
    if phrases(caption, beside="w0"):
        assert set(two_things(caption, "w0").choices) <= set(choices)
    assert time.monotonic() - start < 2


def test_an_answer_has_as_many_contexts_as_any_other() -> None:
    caption = "A kite rises over a boat."
    corners = ("top left", "top right", "bottom left")
    for question in [*(ask(caption) for ask in QUESTIONS), route(caption, corners)]:
        counted = {answer: sum(context.answer == answer for context in question.contexts) for answer in question.answers}
        assert len(set(counted.values())) == 1
        assert max(context.text for context in question.contexts) == len(question.texts) - 1


def test_the_order_of_places_is_one_of_all_orders() -> None:
    answers = route("a caption", ("top left", "top right", "bottom left")).answers
    assert len(answers) == 6
    assert "bottom left, top left, top right" in answers
    assert route("a caption", ("upper left", "top right")).answers == ("upper left, top right", "top right, upper left")


def test_the_question_is_asked_in_words_too() -> None:
    system, user = messages("A kite rises.", "How many?")
    assert (system.role, user.role, user.content) == ("system", "user", "Caption: A kite rises.\nHow many?")


def texts_in(value: Any) -> Iterator[str]:
    """All texts of the examples."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts_in(list(value.items()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)


def all_examples() -> list[str]:
    """Every text that a question about an empty caption holds."""
    public = [value for name, value in vars(slot_examples).items() if name.isupper()]
    asked = [question("") for question in QUESTIONS]
    comparisons = [*asked, route("", ("top left", "top right"))]
    completions: list[Completion] = [one_thing("x"), two_things("x"), noun("x")]
    contexts = [context.prompt for comparison in comparisons for context in comparison.contexts]
    shown = [*contexts, *(completion.prompt for completion in completions)]
    return [*texts_in(public), *(line for text in shown for line in text.splitlines()), *_ASKED_OF_HALVES]


def runs_of(text: str, length: int) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z]+", text.lower())
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def test_no_example_names_a_thing_of_the_benchmark() -> None:
    words = {word for text in all_examples() for word in re.findall(r"[a-z]+", text.lower())}
    assert len(words) > 200
    assert words & {form for noun in ("car", "cat", "bird", "ball", "dog") for form in (noun, f"{noun}s")} == set()


NAMES_OF_SIDES = {"a", "from", "half", "in", "left", "lower", "of", "right", "second", "the", "to", "upper"}


def test_examples_share_with_the_benchmark_only_the_names_of_sides() -> None:
    asked = {run for prompt in benchmark_prompts() for run in runs_of(prompt.prompt, 4)}
    assert len(asked) > 300
    shared = {run for text in all_examples() for run in runs_of(text, 4) & asked}
    assert {word for run in shared for word in run} <= NAMES_OF_SIDES
