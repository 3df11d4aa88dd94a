"""The stage `graph_view`: a picture for each sequence, with frames where there is a clip of its prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.common.names import safe_name
from tasks.dysen import graph_view
from tasks.dysen.graphs.attributed_ticks import attributed_ticks
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Triplet, scene_graph, write_graphs
from tasks.dysen.graphs.graph_edits import merge
from tests.dysen.graphs_for_tests import EVENTS, PROMPT
from tests.dysen.stages_for_tests import run, write_parameters

PLANNED = DynamicSceneGraph(prompt=PROMPT, events=EVENTS, ticks=attributed_ticks(EVENTS))
CUP = scene_graph([Triplet(subject="lady", predicate="holding", object="cup")])
OTHER = DynamicSceneGraph(prompt="a lady", events=EVENTS[:1], ticks=attributed_ticks(EVENTS[:1]))


def set_up(work: Path, most: int = 4) -> None:
    enriched = PLANNED.model_copy(update={"ticks": tuple(merge(tick, CUP) for tick in PLANNED.ticks)})
    write_graphs(work / "graphs" / "parser" / "mine.jsonl", [OTHER, PLANNED])
    write_graphs(work / "enriched" / "parser" / "mine.jsonl", [enriched])
    (work / "clips").mkdir()
    write_parameters(work, graph_view={"planner": "parser", "sets": ["mine", "none"], "most_per_set": most})


def stage(work: Path) -> int:
    return run(graph_view, "graph_view", graph_view.draw_graph_sequences, work)


def pictures(work: Path) -> list[str]:
    return [file.read_text(encoding="utf-8") for file in sorted((work / "out").iterdir())]


def test_enriched_sequences_come_first_and_show_what_was_added(tmp_path: Path) -> None:
    set_up(tmp_path)
    assert stage(tmp_path) == 0
    first, second = pictures(tmp_path)
    assert "holding cup" in first
    assert "added by enrichment" in first
    assert "added by enrichment" not in second
    assert "data:image" not in first + second


def test_frames_stand_beside_the_graphs_of_their_prompt(tmp_path: Path) -> None:
    set_up(tmp_path, most=1)
    strip = np.zeros((16, 6 * 16, 3), np.uint8)
    Image.fromarray(strip).save(tmp_path / "clips" / f"{safe_name(PROMPT)}.png")
    assert stage(tmp_path) == 0
    (picture,) = pictures(tmp_path)
    assert picture.count("data:image/png") == 6


@pytest.mark.parametrize("width", [90, 0])
def test_a_clip_that_is_none_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], width: int) -> None:
    set_up(tmp_path)
    clip = tmp_path / "clips" / f"{safe_name(PROMPT)}.png"
    if width:
        Image.fromarray(np.zeros((16, width, 3), np.uint8)).save(clip)
    else:
        clip.write_bytes(b"no picture")
    assert stage(tmp_path) == 2
    assert "run the stage `gold` again" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
