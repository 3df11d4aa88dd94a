"""The file of replies: append-only, whole after a kill, safe with several writers, and any text comes back."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.errors import StageError, UserError
from tasks.llm.reply_cache import Record, ReplyCache, original_key, read_original_cache
from tasks.llm.request import without_half_surrogates

ROOT = Path(__file__).resolve().parents[2]


def key(number: int) -> str:
    return f"{number:064x}"


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def filled(path: Path, number: int) -> ReplyCache:
    cache = ReplyCache(path)
    for index in range(number):
        cache.add(key(index), "m", f"question {index}", Record(f"reply {index}"))
    cache.close()
    return cache


def test_what_is_added_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "replies.jsonl"
    assert filled(path, 3).get(key(1)) == Record("reply 1")
    again = ReplyCache(path)
    assert len(again) == 3
    assert again.get(key(2)) == Record("reply 2")
    assert again.get(key(3)) is None
    head, first, *_ = lines(path)
    assert head == {"format": "groundreel replies 1"}
    assert first == {"key": key(0), "model": "m", "asked": "question 0", "reply": "reply 0"}


def test_a_reply_that_cannot_be_used_keeps_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    ReplyCache(path).add(key(0), "m", "q", Record("no", "refusal", "it refused"))
    assert ReplyCache(path).get(key(0)) == Record("no", "refusal", "it refused")


def test_reading_makes_and_touches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    assert len(ReplyCache(path)) == 0
    assert not path.exists()
    filled(path, 2)
    path.write_bytes(path.read_bytes() + b'{"torn')
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    cache = ReplyCache(path)
    cache.ensure()
    cache.close()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_cache_without_replies_can_be_made(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    cache = ReplyCache(path)
    cache.ensure()
    made = path.read_bytes()
    cache.ensure()
    assert path.read_bytes() == made
    assert made
    assert len(ReplyCache(path)) == 0
    filled(path, 1)
    assert path.read_bytes().startswith(made)
    assert len(lines(path)) == 2


@pytest.mark.parametrize("left", [1, 5, 60, 100])
def test_a_torn_last_line_is_cut_and_never_glued(tmp_path: Path, left: int) -> None:
    path = tmp_path / "replies.jsonl"
    filled(path, 2)
    whole = path.read_bytes()
    last = whole.split(b"\n")[-2]
    assert len(last) > 101
    path.write_bytes(whole[: len(whole) - len(last) - 1 + left])
    cache = ReplyCache(path)
    assert len(cache) == 1
    cache.add(key(7), "m", "q", Record("seven"))
    assert len(ReplyCache(path)) == 2
    assert [entry.get("reply") for entry in lines(path)] == [None, "reply 0", "seven"]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    filled(path, 2)
    path.write_bytes(path.read_bytes()[:-1])
    cache = ReplyCache(path)
    assert cache.get(key(1)) == Record("reply 1")
    cache.add(key(7), "m", "q", Record("seven"))
    assert [entry.get("reply") for entry in lines(path)] == [None, "reply 0", "reply 1", "seven"]


@pytest.mark.parametrize(
    "line",
    [
        "what",
        "[]",
        "{}",
        '{"key": 1, "model": "m", "asked": "", "reply": ""}',
        '{"key": "a", "model": "m", "asked": "b"}',
        '{"key": "a", "model": "m", "asked": "", "reply": "", "reason": 5}',
        "<<<<<<< HEAD",
        "[" * 100_000,
        "1" * 5_000,
        "\x00",
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "replies.jsonl"
    filled(path, 2)
    first, second, third = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([first, second, line, third, ""]), encoding="utf-8")
    with pytest.raises(UserError, match=r"replies\.jsonl: line 3: .*delete the line") as caught:
        ReplyCache(path)
    assert len(str(caught.value)) < 400


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_bytes(b'{"key": "\xff\xfe\xff"}\n')
    with pytest.raises(UserError, match="line 1"):
        ReplyCache(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="reply cache"):
        ReplyCache(tmp_path)


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    cache = ReplyCache(tmp_path / "missing" / "replies.jsonl")
    (tmp_path / "missing").symlink_to(tmp_path / "file")
    with pytest.raises(StageError, match="cannot write"):
        cache.add(key(0), "m", "q", Record("r"))


def test_the_first_of_two_records_counts(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    filled(path, 1)
    path.write_bytes(path.read_bytes() + path.read_bytes().replace(b"reply 0", b"another"))
    assert ReplyCache(path).get(key(0)) == Record("reply 0")


def test_another_writer_that_came_first_wins(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    one, two = ReplyCache(path), ReplyCache(path)
    assert one.add(key(0), "m", "q", Record("one")) == Record("one")
    assert two.add(key(0), "m", "q", Record("two")) == Record("one")
    assert two.add(key(1), "m", "q", Record("two")) == Record("two")
    assert [entry.get("reply") for entry in lines(path)] == [None, "one", "two"]


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    cache = filled(path, 5)
    other = tmp_path / "other.jsonl"
    filled(other, 1)
    other.replace(path)
    cache.add(key(9), "m", "q", Record("nine"))
    assert [entry.get("reply") for entry in lines(path)] == [None, "reply 0", "nine"]


def test_hostile_questions_do_not_reach_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    ReplyCache(path).add(key(0), "m", "\x1b[31mred\n\u202etfel " + "x" * 9999, Record("\x1b[2J\x9b\u2028\u202e\x7f gone"))
    assert len(path.read_bytes().splitlines()) == len(path.read_text(encoding="utf-8").splitlines()) == 2
    assert path.read_text(encoding="utf-8").replace("\n", "").isprintable()
    assert len(lines(path)[1]["asked"]) == 200
    assert ReplyCache(path).get(key(0)) == Record("\x1b[2J\x9b\u2028\u202e\x7f gone")


ANY_TEXT = st.text(st.characters(), max_size=200)


@settings(max_examples=200)
@given(asked=ANY_TEXT, reply=ANY_TEXT, reason=st.sampled_from(["", "refusal"]), detail=ANY_TEXT)
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, asked: str, reply: str, reason: str, detail: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.unlink(missing_ok=True)
    record = Record(reply, reason, detail if reason else "")
    kept = ReplyCache(path).add(key(0), "m", asked, record)
    assert ReplyCache(path).get(key(0)) == kept == Record(*map(without_half_surrogates, record))


APPENDS = """
import sys
from pathlib import Path
from tasks.llm.reply_cache import Record, ReplyCache
cache = ReplyCache(Path(sys.argv[1]))
for number in range(1_000_000):
    cache.add(f"{number:064x}", "m", "a question", Record(f"{number} " * 5_000))
"""


def test_a_kill_leaves_whole_records(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    for round_number in range(3):
        writer = subprocess.Popen([sys.executable, "-c", APPENDS, str(path)], cwd=ROOT)
        start_size = path.stat().st_size if path.exists() else 0
        deadline = time.monotonic() + 30
        while (path.stat().st_size if path.exists() else 0) < start_size + 2_000_000 and time.monotonic() < deadline:
            time.sleep(0.003)
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        cache = ReplyCache(path)
        assert len(cache) > 10 * (round_number + 1)
        for number in range(len(cache)):
            assert cache.get(key(number)) == Record(f"{number} " * 5_000)
        cache.add(key(10**9 + round_number), "m", "q", Record("after the kill"))
        assert len(ReplyCache(path)) == len(cache)
        path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(keepends=True) if b"after the" not in line))


def _append_many(path: Path, first: int) -> None:
    cache = ReplyCache(path)
    for number in range(first, first + 200):
        cache.add(key(number), "m", "q", Record(f"{number} by {os.getpid()}" * 50))


def test_processes_that_write_at_the_same_time_lose_and_double_nothing(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(path, first)) for first in (0, 0, 100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    keys = [entry["key"] for entry in lines(path)[1:]]
    assert len(ReplyCache(path)) == len(keys) == len(set(keys)) == 400


@pytest.mark.parametrize(("prompt", "name"), [(" A bear walks. ", "A bear walks"), ("a..", "a"), ("a. b", "a. b"), ("", "")])
def test_keys_of_the_original_caches(prompt: str, name: str) -> None:
    assert original_key(prompt) == name


def test_an_original_cache_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    path.write_text(json.dumps({"A bear walks": ["Frame 1: []", "second"], " A cat. ": []}, indent=4))
    assert read_original_cache(path) == {"A bear walks": ["Frame 1: []", "second"], "A cat": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('"text"', "another form"),
        ('["a"]', "another form"),
        ("7", "another form"),
        ('{"a": "reply"}', "prompt 'a' has no list of texts"),
        ('{"a": [1]}', "no list of texts"),
        ('{"a": {"b": "c"}}', "no list of texts"),
        ('{"a": ["x"], "a.": ["y"]}', "'a' is there twice"),
        ('{"\\u001b[31m": 1}', r"x1b\[31m"),
    ],
)
def test_what_is_no_original_cache_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "cache.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_original_cache(path)
    assert str(caught.value).isprintable()


def test_a_missing_original_cache_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_original_cache(tmp_path / "cache.json")
