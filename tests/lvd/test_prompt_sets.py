"""Sets of prompts: the benchmark by name, files of one's own, and one line for what cannot be a set."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.lvd.benchmark_prompts import SUBSETS, benchmark_prompts
from tasks.lvd.prompt_sets import SET_NAME, known_prompts, prompts_of

ROOT = Path(__file__).resolve().parents[2]
OWN = {"task": "numeracy", "prompt": "Two kites.", "expectation": {"kind": "numeracy", "object": "kite", "count": 2}}


def refused(name: str, folder: Path) -> str:
    """The one line that says why there is no such set."""
    with pytest.raises(UserError) as error:
        prompts_of(name, folder)
    line = str(error.value)
    assert line.isprintable()
    return line


def test_the_benchmark_needs_no_file(tmp_path: Path) -> None:
    whole = [prompt.prompt for prompt in benchmark_prompts()]
    assert prompts_of("lvd", tmp_path / "none") == whole
    for name in SUBSETS:
        assert set(prompts_of(name, tmp_path)) <= set(whole)
    assert len(prompts_of("lvd_numeracy", tmp_path)) == 100


def test_the_paraphrases_are_there_with_what_they_want_to_see() -> None:
    known = known_prompts("paraphrases", ROOT / "data" / "prompts")
    assert known is not None
    assert len(known) == 100
    assert prompts_of("paraphrases", ROOT / "data" / "prompts") == [prompt.prompt for prompt in known]


def test_a_text_file_has_one_prompt_a_line(tmp_path: Path) -> None:
    text = "\ufeffA kite rises.\r\n\n  An owl\tsleeps. \rA kite rises.\n\u3000\n# no comment\nÜber \u2028 uns"
    (tmp_path / "mine.txt").write_text(text, encoding="utf-8", newline="")
    expected = ["A kite rises.", "An owl\tsleeps.", "A kite rises.", "# no comment", "Über \u2028 uns"]
    assert prompts_of("mine", tmp_path) == expected
    assert known_prompts("mine", tmp_path) is None


def test_a_file_of_json_lines_says_what_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(f"{json.dumps(OWN)}\n\n{json.dumps(OWN)}\n")
    assert prompts_of("mine", tmp_path) == ["Two kites."] * 2
    known = known_prompts("mine", tmp_path)
    assert known is not None
    assert [prompt.expectation for prompt in known] == [known[0].expectation] * 2


def test_a_set_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    for name in ("yours.txt", "theirs.jsonl", "notes.md", "a b.txt", ".hidden.txt", "a\x1b[31m\n.txt", "x\n.txt"):
        (tmp_path / name).write_text("A kite.\n")
    line = refused("mine", tmp_path)
    assert f"put {tmp_path / 'mine.txt'} there" in line
    assert line.endswith("theirs, yours")
    assert "lvd_static" in line
    assert "no set 'mine'" in refused("mine", tmp_path / "missing")


def test_two_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("A kite.\n")
    (tmp_path / "mine.jsonl").write_text(json.dumps(OWN) + "\n")
    line = refused("mine", tmp_path)
    assert "mine.jsonl" in line
    assert "mine.txt" in line
    assert "another name" in line
    (tmp_path / "lvd.txt").write_text("A kite.\n")
    assert "the benchmark and in" in refused("lvd", tmp_path)


@pytest.mark.parametrize("text", ["", "\n \n\t\n", "\ufeff", "\u00a0\n"])
@pytest.mark.parametrize("ending", ["txt", "jsonl"])
def test_a_file_without_prompts_is_refused(text: str, ending: str, tmp_path: Path) -> None:
    (tmp_path / f"mine.{ending}").write_text(text, encoding="utf-8")
    assert f"mine.{ending}" in refused("mine", tmp_path)


@pytest.mark.parametrize(("length", "fits"), [(10_000, True), (10_001, False)])
def test_a_prompt_has_a_longest_length(length: int, fits: bool, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(f"A kite.\n{'k' * length}\n")
    if fits:
        assert len(prompts_of("mine", tmp_path)) == 2
    else:
        assert "mine.txt, line 2: over 10000 characters" in refused("mine", tmp_path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.txt").write_bytes(b"A kite.\n\xff\xfe\n")
    assert "not UTF-8 text" in refused("bytes", tmp_path)
    (tmp_path / "folder.txt").mkdir()
    assert "Is a directory" in refused("folder", tmp_path)
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    assert "loop.txt" in refused("loop", tmp_path)
    (tmp_path / "broken.jsonl").write_text("{\n")
    assert "broken.jsonl, line 1" in refused("broken", tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(line=st.text(alphabet=st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=80))
def test_any_line_is_a_prompt_or_nothing(line: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(f"first\n{line}\nlast\n", encoding="utf-8", newline="")
    prompts = prompts_of("mine", tmp_path)
    assert prompts == [text for text in ("first", line.strip(), "last") if text]


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "a\\b", ".hidden", "-rf", "_x", "a b", "x.txt", "x\n", "é", "x\x00", "k" * 65, "\u202ex"]
)
def test_odd_names_are_no_names(name: str) -> None:
    assert not re.fullmatch(SET_NAME, name)


def test_a_name_leads_to_a_file_in_the_folder_alone() -> None:
    for name in ("CON", "mine", "my_own-2", "k" * 64, "0"):
        assert re.fullmatch(SET_NAME, name)
        assert Path(f"{name}.txt").name == f"{name}.txt"
