"""`groundreel explain PROMPT`: layout, graphs and claims of a caption; what a run has kept comes first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from groundreel.cli import main
from groundreel.prompt_explanation import is_prompt
from tasks.dysen.explaining.prompt_explanation import ENRICHED, LAYOUTS, PLANNED
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, DynamicSceneGraph, Triplet, scene_graph, write_graphs
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.graphs.graph_edits import merge
from tasks.dysen.pictures.svg_elements import INKS
from tasks.lvd.layout import write_layouts
from tests.dysen.graphs_for_tests import EVENTS, PROMPT
from tests.lvd.layouts_for_tests import along, layout, still

CAPTION = "A red car moves from the left to the right while a dog sits at the top."


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "params.yaml").write_text("profile: toy\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explain(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["explain", *(str(argument) for argument in arguments)])


def sections(result: Result) -> dict[str, list[str]]:
    """Lines of each section by its heading up to the colon."""
    assert result.exit_code == 0, result.output
    found: dict[str, list[str]] = {}
    for part in result.stdout.split("\n\n"):
        heading, *lines = part.splitlines()
        found[heading.split(":")[0]] = [heading.partition(": ")[2], *(line.strip() for line in lines)]
    return found


def test_a_prompt_is_planned_shown_and_checked() -> None:
    found = sections(explain(CAPTION))
    assert list(found) == ["prompt", "graphs", "layout", "what its boxes show", "what the prompt says, in the layout"]
    assert found["prompt"] == [CAPTION]
    assert "not in data/dysen/enriched" in found["graphs"][0]
    assert any(line.split() == ["red", "car", "move", "to", "right", "########"] for line in found["graphs"])
    assert "not in data/lvd/layouts" in found["layout"][0]
    assert any(line.startswith("red car") and "left 0" in line and "right" in line for line in found["layout"])
    assert any(line.split()[:5] == ["red", "car", "move", "to", "right"] for line in found["what its boxes show"])
    claims = found["what the prompt says, in the layout"]
    assert claims[0] == f"{len(claims) - 1} held"
    assert all(line.startswith("held  ") for line in claims[1:])


def test_the_length_follows_the_parameters(project: Path) -> None:
    (project / "params.yaml").write_text("events: {last_tick: 11}\n")
    assert any("############" in line for line in sections(explain(CAPTION))["graphs"])


def test_a_picture_is_drawn_with_the_layout_as_its_film_strip(project: Path) -> None:
    result = explain(CAPTION, "--svg", project / "new" / "picture.svg")
    assert result.stdout.endswith(f"\npicture: {project / 'new' / 'picture.svg'}\n")
    picture = ElementTree.fromstring((project / "new" / "picture.svg").read_text(encoding="utf-8"))  # noqa: S314 - our own
    tags = [element.tag.rpartition("}")[2] for element in picture.iter()]
    assert tags.count("image") == 8
    assert "move to right" in [element.text for element in picture.iter()]


def test_what_a_run_has_kept_is_shown_instead(project: Path) -> None:
    planned = DynamicSceneGraph(prompt=f"{PROMPT}.", events=EVENTS, ticks=graphs_of(EVENTS), source="parser")
    dress = scene_graph(
        [Triplet(subject="lady", predicate="in", object="dress")], [Attribute(object="dress", attribute="red")]
    )
    enriched = planned.model_copy(update={"ticks": tuple(merge(tick, dress) for tick in planned.ticks)})
    for folder, graph in ((PLANNED, planned), (ENRICHED, enriched)):
        for planner in ("llm-none", "parser"):
            write_graphs(project / folder / planner / "mine.jsonl", [graph.model_copy(update={"prompt": "other"}), graph])
    (project / ENRICHED / "parser" / "edits.jsonl").write_text(f'{{"prompt": "{PROMPT}"}}\n')
    item = layout(("lady", along(10, 90, 180, 270, 360, 440)), ("chair", still((200, 300, 50, 50))))
    write_layouts(project / LAYOUTS / "slots-llm" / "mine.jsonl", [item.model_copy(update={"prompt": PROMPT.upper()})])
    found = sections(explain(PROMPT, "--svg", "a.svg"))
    assert found["graphs"][0] == "data/dysen/enriched/parser/mine.jsonl"
    assert found["layout"][0] == "data/lvd/layouts/slots-llm/mine.jsonl"
    assert any(line.split() == ["lady", "in", "dress", "++++++"] for line in found["graphs"])
    assert "dress: red (added)" in found["graphs"]
    assert any(line.split() == ["lady", "sitting", "on", "chair", "######"] for line in found["graphs"])
    assert any(line.startswith("violated") for line in found["what the prompt says, in the layout"])
    assert INKS["added"].fill in Path("a.svg").read_text(encoding="utf-8")


def test_without_the_planned_graphs_the_events_tell_what_was_added(project: Path) -> None:
    ticks = tuple(merge(tick, scene_graph([], [Attribute(object="chair", attribute="old")])) for tick in graphs_of(EVENTS))
    write_graphs(project / ENRICHED / "parser" / "a.jsonl", [DynamicSceneGraph(prompt=PROMPT, events=EVENTS, ticks=ticks)])
    assert "chair: old (added)" in sections(explain(PROMPT))["graphs"]


def test_a_damaged_file_is_named(project: Path) -> None:
    folder = project / LAYOUTS / "slots-parser"
    folder.mkdir(parents=True)
    (folder / "mine.jsonl").write_text(f'{{"prompt": "{CAPTION}"}}\n')
    result = explain(CAPTION)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "mine.jsonl, line 1" in result.stderr


@pytest.mark.parametrize("text", ["", "   ", "\t\n"])
def test_nothing_is_one_line(text: str) -> None:
    result = explain(text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "groundreel: nothing to explain; name a file of the project, or give a caption in quotes\n"


def test_a_prompt_that_is_too_long_is_one_line() -> None:
    for length in (1_100, 100_000):
        result = explain("a dog " * length)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.endswith("give a caption of at most 2000\n")


@pytest.mark.parametrize(
    "text", ["in the beginning", "? ! ,", "\U0001f415 \U0001f408", "the (red) <b>dog</b> 'sits'; --", "a \udcff dog"]
)
def test_odd_prompts_are_explained_all_the_same(text: str) -> None:
    result = explain(text, "--svg", "odd.svg")
    assert result.exit_code == 0, result.output
    ElementTree.fromstring(Path("odd.svg").read_text(encoding="utf-8"))  # noqa: S314 - our own


def test_files_are_no_prompts(project: Path) -> None:
    (project / "my notes.txt").touch()
    (project / "dvc.lock").write_text("stages:\n  a:\n    outs:\n    - path: data/my results\n    - path: 'the end: a'\n")
    for text in (
        "dog",
        "my notes.txt",
        "data/my results",
        "data/my results/part 1",
        "the end: a",
        "/no such file",
        "./a b",
    ):
        assert not is_prompt(project, text), text
    for text in ("my notes", "a dog in data", CAPTION, "a dog " * 10_000, "a \0 b"):
        assert is_prompt(project, text), text


def test_a_picture_of_a_file_is_refused() -> None:
    result = explain("dvc.yaml", "--svg", "a.svg")
    assert result.exit_code == 2
    assert "--svg draws the graphs of a prompt; dvc.yaml is none" in result.stderr


def test_help_names_both_and_loads_nothing() -> None:
    assert "FILE|PROMPT" in explain("--help").stdout
    code = "import sys, groundreel.cli; sys.exit(' '.join(name for name in sys.modules if name.startswith('tasks')) or 0)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
