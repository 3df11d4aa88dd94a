"""Graphs on the page: SVGs of a folder as images, in order, and nothing that could run, load or grow."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tasks.common import stage
from tasks.common.errors import UserError
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.pictures.graph_picture import GraphPicture, draw_graphs, save_pictures
from tasks.report import report
from tasks.report.graph_pictures import read_pictures
from tests.dysen.graphs_for_tests import EVENTS
from tests.report.test_report import HOSTILE, ROOT, Page

PROMPTS = ("z, the first", HOSTILE, "a, the last")
GRAPHS = [DynamicSceneGraph(prompt=prompt, events=EVENTS, ticks=graphs_of(EVENTS)) for prompt in PROMPTS]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_pictures(Path("reports/graphs"), map(GraphPicture, GRAPHS))
    return Path("reports/graphs")


def page_with(*plots: str) -> str:
    Path("dvc.yaml").write_text(json.dumps({"stages": {"enrich": {"cmd": "x", "desc": "graphs", "plots": list(plots)}}}))
    Path("params.yaml").write_text((ROOT / "profiles" / "toy.yaml").read_text())
    arguments = ["--params", "params.yaml", "--pipeline", "dvc.yaml", "--out", "index.html"]
    assert stage.main("report", report.Paths, report.make_report, arguments=arguments) == 0
    return Path("index.html").read_text(encoding="utf-8")


def decoded(address: str) -> str:
    kind, _, data = address.partition(";base64,")
    assert kind == "data:image/svg+xml"
    return base64.b64decode(data).decode()


def test_a_folder_of_pictures_is_read_in_order(folder: Path) -> None:
    pictures = read_pictures(folder)
    assert [decoded(picture.address) for picture in pictures] == list(map(draw_graphs, GRAPHS))
    assert (pictures[0].title, pictures[2].title) == (PROMPTS[0], PROMPTS[2])
    assert "<script>" in pictures[1].title


def test_the_page_shows_them_as_images(folder: Path) -> None:
    text = page_with("reports/graphs")
    page = Page(text)
    assert [decoded(link) for link in page.links] == list(map(draw_graphs, GRAPHS))
    assert "script" not in page.tags
    assert page.tags.count("svg") == 1  # the DAG
    assert f'alt="{PROMPTS[0]}"' in text
    assert "enrich: graphs" in page.words
    assert page_with("reports/graphs") == text


def test_a_single_picture_and_an_empty_folder_are_shown_too(folder: Path) -> None:
    Path("reports/one.svg").write_text(draw_graphs(GRAPHS[0]), encoding="utf-8")
    Path("reports/none").mkdir()
    page = Page(page_with("reports/one.svg", "reports/none"))
    assert [decoded(link) for link in page.links] == [draw_graphs(GRAPHS[0])]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no xml",
        b"<html/>",
        b'<svg xmlns="http://www.w3.org/2000/svg">',
        b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>',
        b'<svg xmlns="http://www.w3.org/2000/svg">' + b" " * 5_000_000 + b"</svg>",
        '<svg xmlns="http://www.w3.org/2000/svg">\udcff</svg>'.encode("utf-8", "surrogateescape"),
        "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE svg []><svg xmlns='http://www.w3.org/2000/svg'/>".encode("utf-16"),
    ],
    ids=range(8),
)
def test_what_is_no_picture_is_named(folder: Path, content: bytes) -> None:
    (folder / "002.svg").write_bytes(content)
    with pytest.raises(UserError, match=r"reports/graphs/002\.svg: .*`dvc repro` makes it"):
        read_pictures(folder)
