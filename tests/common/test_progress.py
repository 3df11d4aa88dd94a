"""Progress: plain lines where nobody watches, a bar on a terminal, and what else is to be told at that moment."""

from __future__ import annotations

import pytest

from tasks.common import progress
from tasks.common.progress import track


@pytest.fixture
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", -1.0)


@pytest.mark.usefixtures("without_waiting")
def test_a_line_tells_the_detail_of_its_moment(capsys: pytest.CaptureFixture[str]) -> None:
    failed = []
    for number in track(range(3), "work, [bold]mine{0}", 3, lambda: f"({len(failed)} failed)"):
        if number != 1:
            failed.append(number)
    assert capsys.readouterr().err.splitlines() == [
        "work, [bold]mine{0}: 1 of 3 (1 failed)",
        "work, [bold]mine{0}: 2 of 3 (1 failed)",
        "work, [bold]mine{0}: 3 of 3 (2 failed)",
    ]


@pytest.mark.usefixtures("without_waiting")
def test_without_detail_a_line_ends_with_its_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track("ab", "work", 2)) == ["a", "b"]
    assert capsys.readouterr().err == "work: 1 of 2\nwork: 2 of 2\n"


def test_quick_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(1000), "work", 1000)) == list(range(1000))
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_with_the_detail(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    done: list[str] = []
    for item in track("abc", "layouts: direct/lvd, mine", 3, lambda: f"({len(done)} asked)"):
        done.append(item)
    said = capsys.readouterr().err
    assert done == ["a", "b", "c"]
    assert "layouts: direct/lvd, mine" in said
    assert "3/3" in said
    assert "(3 asked)" in said
