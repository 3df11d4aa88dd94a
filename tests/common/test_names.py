"""Any text to a file name."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.names import safe_name

ANY_TEXT = st.text(st.characters(), max_size=400)


@given(ANY_TEXT)
def test_every_text_gives_a_portable_name(text: str) -> None:
    name = safe_name(text)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", name)
    assert len(name.encode()) <= 80
    assert name == safe_name(text)


@given(ANY_TEXT, ANY_TEXT)
def test_only_texts_that_unicode_calls_equal_share_a_name(one: str, other: str) -> None:
    same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    assert (safe_name(one) == safe_name(other)) == same


@given(ANY_TEXT)
def test_composed_and_decomposed_twins_share_a_name(text: str) -> None:
    assert len({safe_name(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}) == 1


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("A red cat walks.", "a-red-cat-walks-"),
        ("Café", "cafe-"),
        ("../../etc/passwd", "etc-passwd-"),
        ("C:\\con\\nul", "c-con-nul-"),
        ("CON", "con-"),
        ("-rf *", "rf-"),
        ("x" * 300, "x" * 60 + "-"),
        ("a " * 300, "a-" * 30),
        ("", ""),
        ("🐶🐱", ""),
        ("כלב רץ", ""),
        ("\u202egnp.exe\0", "gnp-exe-"),
        ("\ud800", ""),
    ],
)
def test_the_slug_says_what_the_text_says(text: str, slug: str, tmp_path: Path) -> None:
    name = safe_name(text)
    assert re.fullmatch(re.escape(slug) + "[0-9a-f]{12}", name)
    (tmp_path / name).write_text("fits on this file system")


def test_long_texts_that_begin_alike_differ() -> None:
    assert safe_name("x" * 5000 + "a") != safe_name("x" * 5000 + "b")
    assert safe_name("A cat") != safe_name("a cat")
