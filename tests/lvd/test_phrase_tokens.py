"""Names of objects among the tokens of a prompt."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

from tasks.lvd.phrase_tokens import PhraseError, place_phrases, plural

PROMPT = "A red car passes two dogs and a brown bear, street background"
WORDS = st.sampled_from(
    ["car", "red car", "car 1", "dog", "Dog", "2 dogs", "mouse", "fox", "c(ar", "ear", "brown bear", "s"]
)


@functools.cache
def tokenizer(most: int = 77) -> Any:
    """CLIP's tokenizer with the 256 bytes and a few merged words, for a model that reads `most` tokens."""
    alphabet = sorted(ByteLevel.alphabet())
    merges = [("c", "a"), ("ca", "r</w>"), ("d", "o"), ("do", "g</w>"), ("e", "a"), ("ea", "r</w>"), ("'", "s</w>")]
    tokens = [*alphabet, *(letter + "</w>" for letter in alphabet), *(a + b for a, b in merges)]
    numbered = {token: number for number, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=numbered, merges=merges, model_max_length=most)


def text_at(prompt: str, positions: tuple[int, ...]) -> str:
    ids = tokenizer()(prompt)["input_ids"]
    return str(tokenizer().decode([ids[position] for position in positions])).strip()


def placed(prompt: str, *phrases: str) -> tuple[str, list[str]]:
    found = place_phrases(prompt, phrases, tokenizer())
    return found.prompt, [text_at(found.prompt, positions) for positions in found.positions]


@pytest.mark.parametrize(
    ("phrase", "found"),
    [
        ("red car", "red car"),
        (" car ", "car"),
        ("car 1", "car"),
        ("12 brown bear", "brown bear"),
        ("black bear", "bear"),
        ("dog", "dogs"),
        ("small dog 2", "dogs"),
        ("street", "street"),
    ],
)
def test_what_comes_nearest_to_a_phrase_is_found(phrase: str, found: str) -> None:
    assert placed(PROMPT, phrase) == (PROMPT, [found])


@pytest.mark.parametrize(
    "phrase", ["Car", "ear", "cat", "3", "c.r", "red  car!", "(car", "*", "back|ground", "chat 猫", "e\u0301"]
)
def test_what_is_not_there_is_appended(phrase: str) -> None:
    prompt, _ = placed(PROMPT, phrase)
    assert prompt == f"{PROMPT} | {phrase}"


def test_positions_count_the_token_that_begins_the_prompt() -> None:
    assert place_phrases("car", ["car"], tokenizer()).positions == ((1,),)
    assert place_phrases("a car, a car", ["car", "car 2"], tokenizer()).positions == ((2,), (2,))


def test_a_phrase_is_appended_once_and_shared() -> None:
    found = place_phrases("a dog.", ["cat", "cat", "cat 2"], tokenizer())
    assert found.prompt == "a dog. | cat"
    assert len(set(found.positions)) == 1
    assert text_at(found.prompt, found.positions[0]) == "cat"


def test_a_phrase_that_ends_a_prompt_with_a_full_stop_stays_where_it_was() -> None:
    assert placed("see the st.", "st.", "cat") == ("see the st. | cat", ["st .", "cat"])


def test_words_that_are_no_tokens_of_their_own_are_appended() -> None:
    assert placed("the dog's bone", "s") == ("the dog's bone | s", ["s"])
    assert placed("stop!!", "stop!") == ("stop!! | stop!", ["stop !"])


@pytest.mark.parametrize("phrase", ["", "  ", "\n"])
def test_a_phrase_without_words_is_refused(phrase: str) -> None:
    with pytest.raises(PhraseError, match="finds no words in it") as caught:
        place_phrases(PROMPT, ["car", phrase], tokenizer())
    assert caught.value.reason == "no-tokens"


def test_what_the_model_does_not_read_is_refused() -> None:
    last = "car " * 73 + "dog dog"
    assert place_phrases(last, ["dog dog"], tokenizer()).positions == ((74, 75),)
    for prompt, phrase in (("car " + last, "dog dog"), (last, "cat")):
        with pytest.raises(PhraseError, match="of at most 75; shorten the prompt") as caught:
            place_phrases(prompt, [phrase], tokenizer())
        assert caught.value.reason == "too-long"


def test_hostile_phrases_are_shown_without_their_control_characters() -> None:
    with pytest.raises(PhraseError) as caught:
        place_phrases("car " * 80, ["\x1b[2J" + "x" * 10_000], tokenizer())
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_plurals() -> None:
    singulars = "car dog fox bus wish pony boy mouse person box"
    assert (
        " ".join(plural(word) for word in singulars.split()) == "cars dogs foxes buses wishes ponies boys mice people boxes"
    )


@given(st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=5), st.one_of(st.just(PROMPT), st.text(max_size=20)))
@settings(max_examples=100)
def test_every_phrase_has_positions_that_hold_its_words(phrases: list[str], prompt: str) -> None:
    try:
        found = place_phrases(prompt, phrases, tokenizer(1000))
    except PhraseError as error:
        assert error.reason == "no-tokens"  # noqa: PT017
        return
    assert found.prompt.startswith(prompt)
    tokens = ["", *tokenizer().tokenize(found.prompt)]
    assert len(found.positions) == len(phrases)
    for phrase, positions in zip(phrases, found.positions, strict=True):
        bare = phrase.strip("0123456789 ")
        last = (bare.split() or [""])[-1]
        wanted = [tokenizer().tokenize(text) for text in (phrase, bare, last, plural(last))]
        assert [tokens[position] for position in positions] in wanted
        assert positions == tuple(range(positions[0], positions[0] + len(positions)))
