"""Replies of language models, good, odd and hostile."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.lvd.reply_parser import MOST_CHARACTERS, LayoutReplyError, parse_reply
from tests.lvd.layouts_for_tests import reply

KITE = "[{'id': 0, 'name': 'kite', 'box': [10, 20, 30, 40]}]"
PARSED = [{"id": 0, "name": "kite", "box": [10, 20, 30, 40]}]


def test_a_plain_reply() -> None:
    found = parse_reply(reply(KITE, background=" open field \n"))
    assert found.frames == (PARSED,) * 6
    assert found.background == "open field"
    assert found.after_frames == " open field \n"
    assert found.reasoning == "It drifts."


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("[]", []),
        (f"{KITE} - the kite climbs", PARSED),
        (f"- {KITE}", PARSED),
        (f"-{KITE} - it climbs - and climbs", PARSED),
        (f"`{KITE}`", PARSED),
        (f"\n```\n{KITE}\n```\n", PARSED),
        ("[{'id': 0,\n 'keyword': 'kite', 'box': (1, 2, 3, 4)}]", [{"id": 0, "keyword": "kite", "box": (1, 2, 3, 4)}]),
        ("[{'id': 0, 'name': 'a\\d', 'box': []}]", [{"id": 0, "name": "a\\d", "box": []}]),
        ("--3", -3),
        ("None", None),
    ],
)
def test_frames_may_be_written_oddly(frame: str, expected: object) -> None:
    found = parse_reply(reply(KITE, frame, KITE))
    assert found.frames == (PARSED, expected, *[PARSED] * 4)


def test_objects_may_go_and_come_back() -> None:
    assert parse_reply(reply(KITE, "[]", "[]", KITE)).frames == (PARSED, [], [], PARSED, PARSED, PARSED)


def test_text_after_a_second_beginning_is_dropped() -> None:
    whole = reply(KITE, background=" field\n")
    assert parse_reply(f"{whole}Frame 1: no longer read").background == "field"
    assert parse_reply(f"{whole}{reply('[]')}").frames == (PARSED,) * 6
    with pytest.raises(LayoutReplyError, match="no `Frame 2:` after frame 1"):
        parse_reply(f"I begin with Frame 1: so.\n{whole}")


def test_a_background_is_all_the_rest() -> None:
    assert parse_reply(reply(KITE, background=" `field`\nAll boxes are fine.")).background == "field`\nAll boxes are fine."


@pytest.mark.parametrize("marker", [*(f"Frame {number}:" for number in range(1, 7)), "Background keyword:"])
def test_a_missing_marker_is_an_error(marker: str) -> None:
    with pytest.raises(LayoutReplyError, match=f"no `{marker}`") as caught:
        parse_reply(reply(KITE).replace(marker, "Then:"))
    assert caught.value.reason == "missing_marker"


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ("", "SyntaxError"),
        ("[{'id': 0, 'name': 'box - kite'}]", "SyntaxError"),
        ("- - []", "SyntaxError"),
        ("[kite]", "ValueError"),
        ("__import__('os').getcwd()", "ValueError"),
        ("{[]: 1}", "TypeError"),
        (f"1{'0' * 400} + 1j", "OverflowError"),
        ("-" * 100_000 + "1", "MemoryError"),
        ("+".join("1" * 100_000), "RecursionError"),
        ("[" * 100_000, "SyntaxError"),
        ("9" * 5_000, "SyntaxError"),
        ("'\0'", ""),
        ("'\ud800'", ""),
    ],
)
def test_what_is_no_literal(frame: str, kind: str) -> None:
    with pytest.raises(LayoutReplyError, match=rf"frame 6 is no Python literal \(.*{kind}\)") as caught:
        parse_reply(reply(*[KITE] * 5, frame))
    assert caught.value.reason == "not_a_literal"


def test_a_huge_reply_is_refused_at_once() -> None:
    with pytest.raises(LayoutReplyError, match="more than 1000000") as caught:
        parse_reply("Frame 1:" + "[" * MOST_CHARACTERS)
    assert caught.value.reason == "too_long"


def test_the_longest_bombs_end_soon() -> None:
    begin = time.monotonic()
    for bomb in ("[" * 190 + "1,", "a[0]", "{1:", "not "):
        with pytest.raises(LayoutReplyError):
            parse_reply(f"Frame 1: {bomb * (900_000 // len(bomb))} Frame 2:")
    assert time.monotonic() - begin < 20


PIECES = st.sampled_from(
    [*(f"Frame {number}:" for number in range(1, 7)), "Background keyword:", "[", "]", "{", "}", "'", "-", " - ", "\\", KITE]
)


SHREDS = st.lists(PIECES | st.text(max_size=5)).map("".join)
ODD_FRAMES = st.lists(PIECES | st.text(max_size=9)).map(lambda frames: reply(*frames, ""))


@given(SHREDS | ODD_FRAMES)
def test_nothing_but_its_own_error_is_raised(text: str) -> None:
    with contextlib.suppress(LayoutReplyError):
        assert len(parse_reply(text).frames) == 6
