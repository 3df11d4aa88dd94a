"""Objects in damaged text: the same value as before the damage, or the place where reading ends; in bounded time."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dreamframe.tolerant_json import MOST_DEPTH, UnreadableError, find_object

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def find(text: str) -> Any:
    return find_object(text, lambda found: "a" in found)


@given(VALUES)
def test_json_and_python_literals_are_read_as_they_are(value: Any) -> None:
    for written in (json.dumps, lambda value: json.dumps(value, indent=2, ensure_ascii=False), repr, ascii):
        assert find(f"before {written({'a': value})} behind") == {"a": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "b" "c": ["d" "e"]}', {"a": "b", "c": ["d", "e"]}),
        ('{"a": [,"b",,],}', {"a": ["b"]}),
        ("{'a': 'the smith's \"own\" shop', 'b': 'it\\'s'}", {"a": 'the smith\'s "own" shop', "b": "it's"}),
        ('{"a": "He said "hi" to me"}', {"a": 'He said "hi" to me'}),
        ('{"a": "two\nlines\x00"}', {"a": "two\nlines\x00"}),
        ("{a: 'bare', }", {"a": "bare"}),
        ('{"a": (None, True, false, 1e3, -2)}', {"a": [None, True, False, 1000.0, -2.0]}),
        ('{"a": "\\ud83d\\ude00 \\/ \\q"}', {"a": "\U0001f600 / q"}),
        ('{"a": "\\U0001f600 \\x41 \\Uffffffff"}', {"a": "\U0001f600 A Uffffffff"}),
        ('{"b": {"a": 1}} {"a": 2}', {"a": 2}),
        ('{x} {"a": ""}', {"a": ""}),
        ('{"a": 1} {"a": 2', {"a": 1}),
        ("no object", None),
        ('{"b": 1}', None),
    ],
)
def test_what_is_found(text: str, value: Any) -> None:
    assert find(text) == value


@pytest.mark.parametrize(
    ("text", "problem", "place"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' comes twice", 9),
        ('{"a": [1}', "expected ], not }", 8),
        ('{"a": [1', "ends before", 8),
        ('{"a": "b', "closing quote", 6),
        ('{"a": }', "expected a value", 6),
        ('{"a", "b"}', "a key without a colon", 1),
        ('{"a": ["b": 1]}', "a colon too many", 7),
        ('{"a": b}', "'b' is no number", 6),
        ('{"a": 1 = 2}', "'= 2}' is no text", 8),
        ('{"a": ' + "[" * MOST_DEPTH + "]" * MOST_DEPTH + "}", "nested", 5 + MOST_DEPTH),
    ],
)
def test_the_place_of_other_damage_is_told(text: str, problem: str, place: int) -> None:
    with pytest.raises(UnreadableError) as error:
        find(text)
    assert problem in str(error.value)
    assert error.value.place == place


HOSTILE = {
    "open braces": "{" * 1_000_000,
    "open objects": '{"a":' * 200_000,
    "open texts": '{"x' * 300_000,
    "open texts with a wide end": ('{"x' + " " * 50 + "y") * 20_000,
    "words": "{x" * 300_000,
    "backslashes": '{"a": "' + "\\" * 1_000_001 + '"',
    "spaces": '{"a": "' + ('"' + " " * 1000 + "x") * 1000,
    "quotes": '{"a": ' + '"' * 1_000_001,
    "digits": '{"a": ' + "9" * 1_000_000 + "}",
    "colons": '{"a"' + ":" * 1_000_000,
    "keys": '{"b' + '":1,"b' * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_takes_no_long_time(text: str) -> None:
    start = time.process_time()
    with pytest.raises(UnreadableError):
        find(text)
    assert time.process_time() - start < 5


@given(
    st.lists(
        st.sampled_from(
            ['"', "'", "{", "}", "[", "]", "(", ")", ":", ",", "\\", "a", " ", "\n", "1", '"a"', "#", "\\u", "\\x"]
        )
    )
)
def test_whatever_the_text_there_is_a_value_or_a_place(pieces: list[str]) -> None:
    text = '{"a":' + "".join(pieces)
    try:
        found = find(text)
    except UnreadableError as error:
        place, found = error.place, None
    else:
        place = 0
    assert 0 <= place <= len(text)
    assert found is None or "a" in found
