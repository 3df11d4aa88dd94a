"""Quarantine: every bad item counted with a reason, hostile text harmless, too many refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import StageError
from tasks.common.quarantine import Quarantine, check_bad_share, join_quarantines, printable, write_quarantine


@given(st.text())
def test_printable_text_has_no_control_characters(text: str) -> None:
    cleaned = printable(text)
    assert all(character.isprintable() for character in cleaned)
    cleaned.encode("utf-8")


def test_joined_lists_keep_order_and_count(tmp_path: Path) -> None:
    files = []
    for number in range(3):
        quarantine = Quarantine()
        for item in range(number):
            quarantine.add(f"{number}-{item}\x1b[31m\udcff", "damaged", "why\n")
        quarantine.write(tmp_path / f"{number}.jsonl")
        files.append(tmp_path / f"{number}.jsonl")
    join_quarantines(files, tmp_path / "all.jsonl")
    head, *lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text("utf-8").splitlines()]
    assert head == {"quarantined": 3}
    assert [line["item"][:3] for line in lines] == ["1-0", "2-0", "2-1"]
    assert {line["reason"] for line in lines} == {"damaged"}
    assert "\x1b" not in lines[0]["item"]


@given(st.text(min_size=1, max_size=200) | st.sampled_from(["\u2028" * 30_000, "k" * 100_000, "\x1b]0;x\x07\udcff\n"]))
def test_the_text_that_could_not_be_used_is_kept_harmless_and_bounded(text: str) -> None:
    quarantine = Quarantine()
    quarantine.add("item", "not_json", text, text)
    (line,) = quarantine.lines
    assert line.isprintable()
    entry = json.loads(line)
    assert entry["raw"] == printable(text, 20_000)
    assert entry["detail"] == printable(text)
    assert entry["raw"].startswith(text[:100] if text.isprintable() else "")
    assert len(entry["raw"]) <= 10 * 20_000


def test_without_a_text_there_is_no_raw() -> None:
    quarantine = Quarantine()
    quarantine.add("item", "damaged")
    assert json.loads(quarantine.lines[0]) == {"item": "item", "reason": "damaged", "detail": ""}
    assert quarantine.reasons == {"damaged": 1}


@pytest.mark.parametrize("lines", [[], ['{"item": "a"}'], ['{"item": "a"}', '{"item": "b"}']])
def test_a_list_begins_with_its_count(lines: list[str], tmp_path: Path) -> None:
    write_quarantine(lines, tmp_path / "new" / "list.jsonl")
    head, *rest = (tmp_path / "new" / "list.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(head) == {"quarantined": len(lines)}
    assert rest == lines


def test_too_many_bad_items_fail_with_the_place_to_look(tmp_path: Path) -> None:
    check_bad_share(1, 10, 0.1, tmp_path)
    check_bad_share(0, 0, 0.0, tmp_path)
    with pytest.raises(StageError, match=r"2 of 10 items are bad \(20.0%\).*q.jsonl.*max_bad_fraction"):
        check_bad_share(2, 10, 0.1, tmp_path / "q.jsonl")
