"""Curves of a training become charts; odd files end in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.report.curves import draw_chart, draw_folder, read_curves


def test_columns_are_read_without_their_gaps(tmp_path: Path) -> None:
    (tmp_path / "loss.tsv").write_text("step\tlow\thigh\n1\t0.5\t\n2\tnan\t3\n3\t0.25\tx\n")
    assert read_curves(tmp_path / "loss.tsv") == {"low": [(1, 0.5), (3, 0.25)], "high": [(2, 3)]}


def test_a_chart_has_a_line_and_a_name_per_curve_from_edge_to_edge(tmp_path: Path) -> None:
    chart = draw_chart("loss", {"first": [(0, 1), (10, 3)], "second": [(5, 2)]})
    assert chart.count("<polyline") == 2
    assert "first" in chart
    assert "second" in chart
    assert 'points="56.0,196.0 408.0,30.0"' in chart


@pytest.mark.parametrize("text", ["", "step\tloss\n"])
def test_a_curve_without_points_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "loss.tsv").write_text(text)
    assert "no points" in draw_folder(tmp_path)


def test_a_file_without_steps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loss.tsv").write_text("epoch\tloss\n1\t2\n")
    with pytest.raises(UserError, match="no column `step`"):
        read_curves(tmp_path / "loss.tsv")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_curves(tmp_path / "loss.tsv")


@given(st.text(max_size=30), st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), max_size=5))
def test_names_are_escaped_and_numbers_never_break_a_chart(name: str, points: list[tuple[float, float]]) -> None:
    chart = draw_chart(name + "<script>", {"&": points})
    assert "<script>" not in chart
    assert "nan" not in chart.replace(name, "")
    assert "inf" not in chart.replace(name, "")
