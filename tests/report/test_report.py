"""The report: self-contained, escaped, true to the metrics; the DAG as DVC sees it."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.common import stage
from tasks.common.parameters import read_yaml
from tasks.common.quarantine import Quarantine, join_quarantines
from tasks.common.report_table import Cell, ReportTable, RowGroup, write_table
from tasks.report import report
from tasks.report.dag_picture import draw_dag
from tasks.report.pipeline import PipelineStage, produces, read_pipeline, source_inputs, stage_edges

ROOT = Path(__file__).resolve().parents[2]
TABLE = "reports/tables/boxes.json"
HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}\x1b[31m\u202e"


class Page(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run in miniature, with hostile words everywhere."""
    boxes = {"cmd": "x", "desc": HOSTILE, "deps": ["data/raw"], "meta": {"pool": "gpu"}}
    boxes |= {
        "outs": ["quarantine/boxes.jsonl", {TABLE: {"cache": False}}],
        "metrics": ["boxes.json"],
        "plots": ["boxes.png"],
    }
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"boxes": boxes}}))
    (tmp_path / "params.yaml").write_text((ROOT / "profiles" / "toy.yaml").read_text())
    (tmp_path / "boxes.json").write_text(json.dumps({"recall": 0.9753, "by": {HOSTILE: 1}, "list": [1, 2], "iou": None}))
    Image.new("RGB", (4, 4)).save(tmp_path / "boxes.png")
    quarantine = Quarantine()
    for number in range(30):
        quarantine.add(f"{number} {HOSTILE}", "damaged", HOSTILE)
    quarantine.write(tmp_path / "part.jsonl")
    join_quarantines([tmp_path / "part.jsonl"], tmp_path / "quarantine" / "boxes.jsonl")
    rows: list[tuple[Cell, ...]] = [(HOSTILE, 0.8642, None), ("second", 3, 2), ("third", None, 1)]
    groups = (RowGroup(title=f"here {HOSTILE}", rows=1), RowGroup(title="elsewhere", rows=2))
    columns = (f"who {HOSTILE}", "share", "rank")
    table = ReportTable(title=f"Table {HOSTILE}", note=f"Note {HOSTILE}", columns=columns, rows=tuple(rows), groups=groups)
    write_table(tmp_path / TABLE, table)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run() -> int:
    arguments = ["--params", "params.yaml", "--pipeline", "dvc.yaml", "--out", "index.html"]
    return stage.main("report", report.Paths, report.make_report, arguments=arguments)


def test_the_page_is_self_contained_and_escaped(work: Path) -> None:
    assert run() == 0
    text = (work / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert len(page.links) == 1
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text
    assert "\x1b" not in text
    assert "{{ 7*7 }}" in page.words
    assert "alert(1)" in page.words


def test_numbers_stand_as_measured(work: Path) -> None:
    run()
    words = Page((work / "index.html").read_text(encoding="utf-8")).words
    for part in ("0.9753", "1, 2", "not known", "30 set aside", "and 10 more", "boxes.box_threshold"):
        assert part in words
    for part in ("compute.workers", "compute.engine", "compute.num_gpus"):
        assert part not in words


def test_tables_stand_before_the_metrics(work: Path) -> None:
    run()
    text = (work / "index.html").read_text(encoding="utf-8")
    words = Page(text).words
    parts = (
        "Pipeline",
        "Table <script>",
        "Note <script>",
        "who <script>",
        "here <script>",
        "0.8642",
        "elsewhere",
        "Metrics",
    )
    places = [words.index(part) for part in parts]
    assert places == sorted(places)
    table = text[text.index('<table class="results">') : text.index("<h2>Metrics</h2>")]
    assert (
        re.findall(r"<th scope=\"(?:col|rowgroup)\"([^>]*)>", table)
        == ["", ' class="number"', ' class="number"'] + [' colspan="3"'] * 2
    )
    assert re.findall(r"<td( class=\"number\")?>([^<]*)</td>", table)[1:] == [
        (' class="number"', "0.8642"),
        (' class="number"', "–"),
        ("", "second"),
        (' class="number"', "3"),
        (' class="number"', "2"),
        ("", "third"),
        (' class="number"', "–"),
        (' class="number"', "1"),
    ]
    assert re.findall(r"</?(?:tbody|thead|table)\b", table) == [
        "<table", "<thead", "</thead", *["<tbody", "</tbody"] * 2, "</table"
    ]  # fmt: skip


def test_a_table_without_rows_or_note_is_drawn(work: Path) -> None:
    write_table(work / TABLE, ReportTable(title="Nothing yet", columns=("who",), rows=()))
    assert run() == 0
    assert "Nothing yet" in Page((work / "index.html").read_text(encoding="utf-8")).words


@pytest.mark.parametrize("content", ["{}", "[]", '{"title": "t", "columns": ["a"], "rows": [["a", "b"]]}', "[" * 100_000])
def test_a_damaged_table_is_named(content: str, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / TABLE).write_text(content)
    assert run() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"report: {TABLE}: ")
    assert not (work / "index.html").exists()


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (TABLE, True),
        ("reports/tables/a.csv", False),
        ("data/reports/tables/a.json", False),
        ("reports/tables/x/a.json", False),
    ],
)
def test_tables_are_json_files_in_their_folder(output: str, expected: bool, work: Path) -> None:
    (work / "dvc.yaml").write_text(json.dumps({"stages": {"a": {"cmd": "x", "outs": [output], "metrics": ["m.json"]}}}))
    (item,) = read_pipeline(work / "dvc.yaml", {})
    assert item.tables == ((output,) if expected else ())
    assert item.outputs == (output, "m.json")


def test_the_report_depends_on_every_table() -> None:
    stages = read_pipeline(ROOT / "dvc.yaml", read_yaml(ROOT / "params.yaml"))
    tables = {path for item in stages for path in item.tables}
    (page,) = [item for item in stages if item.name == "report"]
    assert tables
    assert tables <= set(page.inputs)


def test_a_missing_metric_is_named(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "boxes.json").unlink()
    assert run() == 2
    assert "boxes.json" in capsys.readouterr().err
    assert not (work / "index.html").exists()


def test_edges_are_those_that_dvc_derives() -> None:
    dot = subprocess.run(["dvc", "dag", "--dot"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    stages = read_pipeline(ROOT / "dvc.yaml", read_yaml(ROOT / "params.yaml"))
    names = {item.name for item in stages}
    by_dvc = {pair for pair in re.findall(r'"([^"]+)" -> "([^"]+)"', dot) if set(pair) <= names}
    assert by_dvc
    assert stage_edges(stages) == by_dvc


@pytest.mark.parametrize(
    ("output", "needed", "expected"),
    [("a/b", "a/b", True), ("a", "a/b", True), ("a/b", "a", True), ("a/b", "a/bc", False), ("a/b/", "a/b", True)],
)
def test_folders_produce_what_they_hold(output: str, needed: str, expected: bool) -> None:
    assert produces(output, needed) is expected


def test_inputs_that_nobody_makes_are_shown() -> None:
    values = read_yaml(ROOT / "params.yaml")
    values["ingest"]["images"] = "data/raw/mine.tar"
    inputs = source_inputs(read_pipeline(ROOT / "dvc.yaml", values))
    assert inputs["data/raw/mine.tar"] == ["ingest"]
    assert "models/sprite/detector" in inputs


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@given(st.lists(names, min_size=1, max_size=6, unique=True))
def test_any_names_make_a_sound_picture(chain: list[str]) -> None:
    stages = [
        PipelineStage(name, "", "cpu", (f"out{index}",), (f"out{index + 1}",), (), (), (), ())
        for index, name in enumerate(chain)
    ]
    picture = str(draw_dag(stages))
    page = Page(picture)
    assert page.tags.count("rect") == len(chain) + 1
    assert page.tags.count("path") == len(chain) + 1
    assert page.tags.count("script") == 0
