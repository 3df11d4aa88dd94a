"""Short noun phrases: how many, which, what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.captions.noun_phrases import split_phrase
from tasks.captions.scene import MOST_COUNT, SceneObject

PHRASES = {
    ("a kite", "kite"): (1, "", "kite"),
    ("the red kite", "kite"): (1, "red", "kite"),
    ("one tall sailor", "sailor"): (1, "tall", "sailor"),
    ("three red kites", "kites"): (3, "red", "kite"),
    ("the two old women", "women"): (2, "old", "woman"),
    ("twelve mice", "mice"): (12, "", "mouse"),
    ("both glasses", "glasses"): (2, "", "glass"),
    ("six foxes asleep", "foxes"): (6, "", "fox"),
    ("several copper bells", "bells"): (3, "copper", "bell"),
    ("5 kites", "kites"): (5, "", "kite"),
    ("0 kites", "kites"): (1, "", "kites"),
    ("9000 kites", "kites"): (MOST_COUNT, "", "kite"),
    ("١٢ kites", "kites"): (12, "", "kite"),
    ("kites", "kites"): (1, "", "kites"),
    ("two two", "two"): (1, "", "two"),
    ("two s", "s"): (2, "", "s"),
    ("a bus", "bus"): (1, "", "bus"),
    ("the flag falls down", "flag"): (1, "", "flag"),
    ("a fire engine", "boat"): (1, "", "boat"),
    ("", "boat"): (1, "", "boat"),
}


@pytest.mark.parametrize(("asked", "expected"), PHRASES.items(), ids=[phrase or "nothing" for phrase, _ in PHRASES])
def test_a_phrase_is_split(asked: tuple[str, str], expected: tuple[int, str, str]) -> None:
    assert split_phrase(*asked) == expected


words = st.text(min_size=1, max_size=12).filter(lambda text: text.split() == [text])
odd_words = words | st.sampled_from(["two", "a", "one", "both", "s", "es", "ss", "99999999999999999999", "²", "٣"])


@given(st.lists(odd_words, min_size=1, max_size=6), st.data())
def test_any_phrase_gives_an_object_of_its_own_words(phrase: list[str], data: st.DataObject) -> None:
    noun = data.draw(st.sampled_from(phrase))
    count, attribute, name = split_phrase(" ".join(phrase), noun)
    SceneObject(name=name, attribute=attribute, count=count)
    assert set(attribute.split()) <= set(phrase)
    assert name == noun or (count > 1 and name[0] == noun[0])
