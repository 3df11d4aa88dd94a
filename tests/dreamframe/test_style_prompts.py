"""Prompts with the style's token in place of its keyword, and without any style."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dreamframe.style_prompts import plain_prompt, styled_prompt

TOKEN = "<dramatic>"  # noqa: S105 - a word of the vocabulary
TEXT = "generate an image in Dramatic style: mill, a man in Dramatic style is sitting"
LEADING = [
    (TEXT, "Dramatic", "generate an image in <dramatic> style: mill, a man in Dramatic style is sitting"),
    ("generate an image on Dramatic style: mill", "Dramatic", "generate an image on <dramatic> style: mill"),
    ("Generate an image in DRAMATIC style: mill", "dramatic", "Generate an image in <dramatic> style: mill"),
    ("in old  film style, a mill", "Old Film", "in <dramatic> style, a mill"),
    ("in c++ (a) style: a", "c++ (a)", "in <dramatic> style: a"),
]
OTHERS = [
    ("a mill in Dramatic style", "Dramatic"),
    ("generate an image in Dramatic stylee: mill", "Dramatic"),
    ("generate an image in Melodramatic style: mill", "dramatic"),
    ("generate an image in  style: mill", ""),
    ("a mill", " "),
    ("", "Dramatic"),
]
WORDS = st.text(st.sampled_from("ab \\1(*+<>:\u00e9\u732b"), min_size=1, max_size=10).filter(lambda text: text.strip())


@pytest.mark.parametrize(("text", "keyword", "expected"), LEADING)
def test_the_leading_keyword_is_replaced(text: str, keyword: str, expected: str) -> None:
    assert styled_prompt(text, keyword, TOKEN) == expected


@pytest.mark.parametrize(("text", "keyword"), OTHERS)
def test_other_texts_get_a_prefix(text: str, keyword: str) -> None:
    assert styled_prompt(text, keyword, TOKEN) == f"in {TOKEN} style: {text}"
    assert plain_prompt(text, keyword) == text


@given(keyword=WORDS, text=WORDS, token=st.sampled_from([TOKEN, "<\\1>", "s*"]))
def test_any_keyword_and_text(keyword: str, text: str, token: str) -> None:
    prompt = f"generate an image in {keyword} style: {text}"
    styled = styled_prompt(prompt, keyword, token)
    assert styled == f"generate an image in {token} style: {text}"
    assert styled_prompt(styled, keyword, token) == styled, "a second time changes nothing"
    assert plain_prompt(prompt, keyword).strip(" :") == text.strip(" :") or plain_prompt(prompt, keyword) == prompt


@given(keyword=WORDS, text=WORDS)
def test_nothing_of_a_text_is_lost(keyword: str, text: str) -> None:
    styled = styled_prompt(text, keyword, TOKEN)
    assert styled.count(TOKEN) == 1 + text.count(TOKEN)
    assert styled.endswith(text) or plain_prompt(text, keyword) != text


def test_a_prompt_of_the_style_alone_stays() -> None:
    assert plain_prompt("in Dramatic style: ", "Dramatic") == "in Dramatic style: "
