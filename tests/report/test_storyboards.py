"""Storyboards of the report: what is written is read, shown in order, and escaped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from jinja2 import Environment, FileSystemLoader
from PIL import Image

from tasks.common.errors import UserError
from tasks.common.report_storyboard import (
    COLUMNS,
    Asked,
    Card,
    SaidLine,
    Scene,
    Storyboard,
    read_storyboard,
    write_storyboard,
)
from tasks.report import report
from tasks.report.storyboards import read_storyboards

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}\x1b[31m"


def board_of(cells: list[int | None], side: int = 8) -> Storyboard:
    cards = tuple(
        Card(frame=f"01-01-{number:02}", cell=cell, caption=f"caption {number} {HOSTILE}", lines=())
        for number, cell in enumerate(cells, start=1)
    )
    said = cards[0].model_copy(update={"lines": (SaidLine(speaker="Mia", text=f"Hello {HOSTILE}"),)})
    choice = Asked(kind="colour", question="What colour?", answer="red", options=("blue", "red"))
    scene = Scene(title=f"scene {HOSTILE}", cards=(said, *cards[1:]), asked=(choice,))
    whole = Asked(kind="overview", question="What happens?", answer=f"All {HOSTILE}", options=())
    return Storyboard(title="T", overview="O", style="S", note="N", side=side, scenes=(scene,), asked=(whole,))


def pictures(count: int, side: int = 8) -> list[np.ndarray]:
    return [np.full((side, side, 3), 10 * number, np.uint8) for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, COLUMNS, COLUMNS + 2])
def test_pictures_come_back_in_their_cells(tmp_path: Path, count: int) -> None:
    board = board_of(list(range(count)))
    write_storyboard(tmp_path, "one", board, pictures(count))
    read, cells = read_storyboard(tmp_path / "one.json")
    assert read == board
    for cell, picture in enumerate(pictures(count)):
        assert np.array_equal(cells[cell], picture)


def test_the_same_board_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_storyboard(tmp_path, name, board_of([0, 1]), pictures(2))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_board_without_pictures_is_written_too(tmp_path: Path) -> None:
    write_storyboard(tmp_path, "one", board_of([None]), [])
    assert read_storyboard(tmp_path / "one.json")[0].scenes[0].cards[0].cell is None
    assert read_storyboards(tmp_path)[0]["addresses"] == {}


def test_faults_are_one_line(tmp_path: Path) -> None:
    write_storyboard(tmp_path, "one", board_of([0, 5]), pictures(2))
    with pytest.raises(UserError, match="only 2 pictures"):
        read_storyboard(tmp_path / "one.json")
    write_storyboard(tmp_path, "two", board_of([0]), pictures(1))
    (tmp_path / "two.png").write_bytes((tmp_path / "two.png").read_bytes()[:40])
    with pytest.raises(UserError, match=r"two\.png.*run the stage storyboard again"):
        read_storyboard(tmp_path / "two.json")
    (tmp_path / "two.json").write_text('{"title": 3}')
    with pytest.raises(UserError, match=r"two\.json"):
        read_storyboard(tmp_path / "two.json")
    (tmp_path / "two.png").unlink()
    with pytest.raises(UserError, match="No such file"):
        read_storyboard(tmp_path / "two.json")


def test_the_page_shows_pictures_words_and_questions_in_order_and_escaped(tmp_path: Path) -> None:
    write_storyboard(tmp_path, "one", board_of([0, None, 1]), pictures(2))
    environment = Environment(loader=FileSystemLoader(Path(report.__file__).parent), autoescape=True, finalize=report._clean)
    values = {"tables": [], "metrics": [], "figures": [], "quarantines": [], "parameters": [], "stages": []}
    page = environment.get_template(report.TEMPLATE).render(
        title="t", profile="toy", seed=0, dag="", storyboards=read_storyboards(tmp_path), **values
    )
    assert "<script>" not in page
    places = [
        page.index(words) for words in ("caption 1", "Hello", "caption 2", "caption 3", "What colour?", "What happens?")
    ]
    assert places == sorted(places)
    assert page.count("<img") == 2
    assert "01-01-02: no picture" in page
    assert "<li><b>red</b></li>" in page
    with Image.open(tmp_path / "one.png") as strip:
        assert strip.size == (16, 8)
