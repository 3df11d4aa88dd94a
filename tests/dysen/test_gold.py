"""The stage `gold` as a whole: sets, checks against exact graphs, annotated videos, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.common.names import safe_name
from tasks.dysen.gold_sources.gold_annotations import evenly, path_below
from tasks.dysen.gold_sources.gold_origins import Origin
from tasks.dysen.gold_sources.gold_sprites import sprite_golds
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, read_graphs
from tasks.spriteworld.clips import render_clip
from tasks.video.mp4 import write_mp4
from tests.dysen.annotations_for_tests import put_all, webvid
from tests.dysen.gold_for_tests import GOLD, metrics, run

_NOTHING: dict[str, Any] = {"frames_checked": 0, "preview_clips": 0, "heldout": 1, "candidates": 1, "train": 1}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("gold")
    assert run(work) == 0
    return work


def _graphs(work: Path, name: str) -> list[DynamicSceneGraph]:
    return list(read_graphs(work / "out" / f"{name}.jsonl"))


def _annotations(kind: str, path: Path, **changes: Any) -> dict[str, Any]:
    return {"name": "mine", "format": kind, "path": str(path), "split": None, "most": 100, "videos": None, **changes}


def _refused(work: Path, capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    capsys.readouterr()
    assert run(work, **{**_NOTHING, **changes}) == 2
    assert not (work / "metrics").exists()
    assert not (work / "out").exists()
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_sets_are_as_large_as_asked_and_exact(done: Path) -> None:
    for name in ("heldout", "candidates", "train"):
        graphs = _graphs(done, name)
        assert len(graphs) == GOLD[name] == metrics(done)["sets"][name]["graphs"]
        assert {graph.source for graph in graphs} == {"spriteworld"}
        assert {len(graph.ticks) for graph in graphs} == {8}
    golds = sprite_golds({"heldout": 12}, seed=0, last_tick=7, most_actors=2)["heldout"]
    assert _graphs(done, "heldout") == [gold.graph for gold in golds]


def test_captions_and_frames_are_measured_against_exact_graphs(done: Path) -> None:
    checked = metrics(done)["checked"]
    assert list(checked) == ["captions", "frames", "captions+frames"]
    assert checked["captions"]["event_triplets_precision"] > 0.9
    assert checked["captions"]["spatial_triplets_recall"] == 0.0
    for source in ("frames", "captions+frames"):
        assert checked[source]["triplets_recall"] > 0.9
        assert checked[source]["planning_reliability"] > 0.9


def test_merged_graphs_say_where_their_items_come_from(done: Path) -> None:
    merged = _graphs(done, "merged")
    assert [graph.prompt for graph in merged] == [graph.prompt for graph in _graphs(done, "heldout")[:3]]
    assert {graph.source for graph in merged} == {"captions+frames"}
    lines = (done / "out" / "origins.jsonl").read_text(encoding="utf-8").splitlines()
    origins = [Origin.model_validate_json(line) for line in lines]
    for graph in merged:
        kept = [origin for origin in origins if origin.prompt == graph.prompt and origin.outcome == "kept"]
        items = sum(len(tick.triplets) + len(tick.attributes) for tick in graph.ticks)
        assert len(kept) == items + len(graph.events)


def test_clips_are_drawn_side_by_side(done: Path) -> None:
    files = sorted((done / "clips").iterdir())
    prompts = [graph.prompt for graph in read_graphs(done / "out" / "heldout.jsonl")]
    assert [file.stem for file in files] == sorted(map(safe_name, prompts[:2]))
    with Image.open(files[0]) as picture:
        assert picture.size == (8 * 64, 64)


def test_a_second_run_writes_the_same_bytes(done: Path, tmp_path: Path) -> None:
    assert run(tmp_path) == 0
    for file in sorted(item for item in done.rglob("*") if item.is_file() and item.name != "params.yaml"):
        assert (tmp_path / file.relative_to(done)).read_bytes() == file.read_bytes(), file


def test_another_seed_draws_other_clips(done: Path, tmp_path: Path) -> None:
    assert run(tmp_path, seed=1, frames_checked=0) == 0
    assert _graphs(tmp_path, "heldout") != _graphs(done, "heldout")
    assert metrics(tmp_path)["checked"] == {}


def test_annotation_files_of_all_formats_become_sets(tmp_path: Path) -> None:
    annotations = [_annotations(kind, path, name=kind) for kind, path in put_all(tmp_path).items()]
    assert run(tmp_path, **{**_NOTHING, "annotations": annotations, "least_actions": 2}) == 0
    sizes = metrics(tmp_path)["sets"]
    assert {name: sizes[name]["graphs"] for name in ("webvid", "msrvtt", "activitynet", "ucf101")} == {
        "webvid": 3,
        "msrvtt": 3,
        "activitynet": 2,
        "ucf101": 3,
    }
    timed = _graphs(tmp_path, "activitynet")[1]
    assert timed.prompt == "A dog runs. Then a cat sleeps."
    assert [(event.agent, event.start, event.end) for event in timed.events] == [("dog", 0, 3), ("cat", 3, 7)]
    listed = (tmp_path / "out" / "msrvtt.videos.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in listed] == ["video0", "video7010", "video7010"]
    origins = (tmp_path / "out" / "ucf101.origins.jsonl").read_text(encoding="utf-8").splitlines()
    assert {Origin.model_validate_json(line).sources for line in origins} == {("captions",)}


def test_videos_with_few_actions_are_left_out_and_counted(tmp_path: Path) -> None:
    path = put_all(tmp_path)["activitynet"]
    assert run(tmp_path, **{**_NOTHING, "annotations": [_annotations("activitynet", path)]}) == 0
    assert (metrics(tmp_path)["sets"]["mine"]["graphs"], metrics(tmp_path)["sets"]["mine"]["left_out"]) == (1, 1)


def test_videos_at_hand_are_looked_at(tmp_path: Path) -> None:
    """One that is there, one that is missing, one that is damaged, and one outside of the folder."""
    gold = sprite_golds({"heldout": 2}, seed=0, last_tick=7, most_actors=2)["heldout"][1]
    frames_FHWC = np.repeat(render_clip(gold.clip), 3, axis=0)
    (tmp_path / "videos/a").mkdir(parents=True)
    write_mp4(frames_FHWC, tmp_path / "videos/a/1.mp4", 8)
    (tmp_path / "videos/a/3.mp4").write_bytes(b"no video")
    rows = [
        (str(number), "", "3", folder, gold.graph.prompt) for number, folder in enumerate(["a", "a", "a", "../.."], start=1)
    ]
    table = tmp_path / "mine.csv"
    table.write_text(webvid(rows))
    annotations = [_annotations("webvid", table, videos=str(tmp_path / "videos"))]
    assert run(tmp_path, **{**_NOTHING, "annotations": annotations, "max_bad_fraction": 0.5}) == 0
    seen, *others = _graphs(tmp_path, "mine")
    assert (seen.source, {graph.source for graph in others}) == ("captions+frames", {"captions"})
    assert seen.events == gold.graph.events
    assert any(item.predicate in ("above", "below", "left of", "right of") for item in seen.ticks[0].triplets)
    lines = (tmp_path / "quarantine").read_text(encoding="utf-8").splitlines()[1:]
    assert [(json.loads(line)["item"], json.loads(line)["reason"]) for line in lines] == [
        ("2", "no-video"),
        ("3", "no-video"),
        ("4", "outside"),
    ]


def test_too_many_bad_rows_fail_the_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(webvid([("1", "", "", "", "a dog"), ("2", "", "", "", "")]))
    assert run(tmp_path, **{**_NOTHING, "annotations": [_annotations("webvid", table)]}) == 1
    assert "1 of 2 items are bad (50.0%)" in capsys.readouterr().err
    assert "no-caption" in (tmp_path / "quarantine").read_text(encoding="utf-8")
    assert not (tmp_path / "out").exists()


def test_wrong_annotations_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(webvid([("1", "", "", "", "a dog")]))
    named = _annotations("webvid", table, name="train")
    assert "the name train is taken" in _refused(tmp_path, capsys, annotations=[named])
    missing = _annotations("webvid", tmp_path / "missing.csv")
    assert "missing.csv: No such file or directory" in _refused(tmp_path, capsys, annotations=[missing])
    videos = _annotations("webvid", table, videos=str(tmp_path / "nowhere"))
    assert "nowhere: no such folder" in _refused(tmp_path, capsys, annotations=[videos])
    unknown = _annotations("coco", table)
    assert "annotations.0.format" in _refused(tmp_path, capsys, annotations=[unknown])
    few = _annotations("activitynet", put_all(tmp_path)["activitynet"])
    assert "lower gold.least_actions" in _refused(tmp_path, capsys, annotations=[few], least_actions=9)


@pytest.mark.parametrize(
    ("told", "inside"),
    [
        ("a/b.mp4", True),
        ("a b.mp4", True),
        ("a\\b.mp4", True),
        ("../b.mp4", False),
        ("a/../../b.mp4", False),
        ("/etc/passwd", False),
        ("\\\\host\\b.mp4", False),
        ("", False),
        ("a\0b", False),
        ("\ud800", False),
    ],
)
def test_paths_of_videos_stay_below_their_folder(told: str, inside: bool, tmp_path: Path) -> None:
    found = path_below(tmp_path, told)
    assert (found is not None) == inside
    if found:
        assert found.is_relative_to(tmp_path)


def test_frames_are_taken_from_the_first_to_the_last() -> None:
    frames_FHWC = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    assert evenly(frames_FHWC, 3).ravel().tolist() == [0, 10, 19]
    assert evenly(frames_FHWC[:2], 4).ravel().tolist() == [0, 0, 1, 1]
