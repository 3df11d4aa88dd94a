"""JSON among prose and slips: what is found, and that no text breaks the search or keeps it busy."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.llm.repair import MOST_DEPTH, MOST_TEXT, is_finite, read_json, repair_json

BOX = {"name": "a cat", "box": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('Sure! Here it is: {"a": 1} Anything else?', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ("```\n[1, 2]\n``` as wished", [1, 2]),
        ('Use {"a": 0} so:\n```json\n{"a": 1,}\n```', {"a": 1}),
        ('```json\n{"a": 1,\n"b": [2', {"a": 1, "b": [2]}),
        ('{"a": "```no fence``` here"}', {"a": "```no fence``` here"}),
        ('{"a": 1,}', {"a": 1}),
        ('{"a": 1, "list": [1, 2, 3],}', {"a": 1, "list": [1, 2, 3]}),
        ("{'name': 'a cat', 'box': [1, 2, 3, 4]}", BOX),
        ("{name: 'a cat', box: [1, 2, 3, 4]}", BOX),
        ('{"name": "a cat" "box": [1, 2, 3, 4]}', BOX),
        ('{"a": True, "b": None}', {"a": True, "b": None}),
        ('{"a": 1 // first\n}', {"a": 1}),
        ('{"a": {"b": [1, 2', {"a": {"b": [1, 2]}}),
        ('The form is {x, y}. Answer: {"x": 1, "y": 2}', {"x": 1, "y": 2}),
        ('a [1] and {"longer": "value"}', {"longer": "value"}),
        ('<think>{"a": 0, "b": 0, "c": 0}</think>\n{"a": 1}', {"a": 1}),
        ('} ] {"a": 1}', {"a": 1}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"答": "猫"} 好', {"答": "猫"}),
    ],
)
def test_what_is_found(text: str, value: Any) -> None:
    assert repair_json(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "no JSON here",
        "42",
        '"text"',
        "null",
        "I'm sorry, I can't help with that.",
        "Désolé, je ne peux pas.",
        "{}",
        "[]",
        '{"a": 1e309}',
        '{"a": ' + "9" * 400 + "}",
        "[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1),
        '{"a":' * 100_000,
        "]" * 100_000 + "[" * 100_000,
        '{"a": "' + "x" * MOST_TEXT + '"}',
    ],
)
def test_where_nothing_is_found(text: str) -> None:
    assert repair_json(text) is None


def test_depth_up_to_the_limit_is_read() -> None:
    deep = "[" * (MOST_DEPTH - 1) + "1" + "]" * (MOST_DEPTH - 1)
    assert repair_json(f"so: {deep}") == json.loads(deep)


@pytest.mark.parametrize(
    "text", ["1e309", "NaN", "[Infinity]", "{", "", "9" * 400, "[" * 100_000, '"\\ud800"', "{'a': 1}", "1,"]
)
def test_strict_reading_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


def test_strict_reading() -> None:
    assert read_json(' {"a": [1, 2.5, "x", null, true]}\n') == {"a": [1, 2.5, "x", None, True]}


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": (1, -float("inf"))}, 10**400, {"b": {10**400}}])
def test_what_is_not_finite(value: Any) -> None:
    assert not is_finite(value)
    assert is_finite([1, 2.0, True, "inf", None, {"a": 10**300}])


HOSTILE = {
    "spaces in an open fence": "```" + " " * 999_000,
    "an open language name": "```" + "a" * 999_000,
    "fences only": "```" * 333_000,
    "many fences": ('```["' + 'a"' * 20_000) * 20,
    "open quotes": '["' + 'a"' * 24_000,
    "quotes and brackets": "[{'a':" + "\"\u201c1)]'" * 8_000,
    "slashes": "[{'a':" + "-//]1 ```json" * 3_000,
    "parentheses": "[" + "(" * 20_000,
    "braces": '{"a":"' + "}}{(\u201c]" * 7_000,
    "open thoughts": "<think>" * 140_000,
    "objects without content": "{x}" * 300_000,
    "a long list with a slip": "[" + "1," * 400_000 + "x",
    "backslashes": '{"a": "' + "\\" * 40_000,
    "bare words": "{" + "b c" * 16_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_takes_no_long_time(text: str) -> None:
    start = time.process_time()
    repair_json(text)
    assert time.process_time() - start < 5


def test_where_the_mender_is_stopped_does_not_depend_on_time() -> None:
    text = HOSTILE["braces"]
    assert repair_json(text) == repair_json(text)


PIECES = st.sampled_from(
    [
        '"',
        "'",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "a",
        " ",
        "\\",
        "\n",
        "`",
        "```",
        "```json",
        "1",
        "1e309",
        "NaN",
        "//",
        "/*",
        "*/",
        "#",
        "\u201c",
        "\u201d",
        "true",
        "None",
        "(",
        ")",
        "-",
        "...",
        "\ud800",
        "\x00",
        "<think>",
        "</think>",
        "{}",
        '{"a": 1}',
    ]
)


@settings(max_examples=400)
@given(text=st.one_of(st.text(st.characters(), max_size=300), st.lists(PIECES, max_size=80).map("".join)))
def test_any_text_gives_a_finite_object_or_array_or_nothing(text: str) -> None:
    start = time.process_time()
    value = repair_json(text)
    assert time.process_time() - start < 5
    assert value is None or (isinstance(value, dict | list) and value and is_finite(value))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200)
@given(value=st.dictionaries(st.text(max_size=5), VALUES, min_size=1, max_size=4), before=st.text("abc .\n", max_size=20))
def test_whole_json_among_prose_is_found_unchanged(value: Any, before: str) -> None:
    text = json.dumps(value)
    assert read_json(text) == value
    if "```" not in text:
        assert repair_json(f"{before}{text} {before}") == value
