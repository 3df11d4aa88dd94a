"""The stage that scores videos: right verdicts on videos whose content is known, and what it does with damaged input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
from PIL import Image

from benchmarks.true_videos import clip_of_layout, true_clip, write_method
from tasks.common.report_table import read_table
from tasks.lvd.benchmark_prompts import BenchmarkPrompt, read_prompts
from tasks.lvd.expectations import TASKS
from tasks.lvd.published_scores import PUBLISHED_VIDEO_SCORES
from tasks.lvd.scoring import MODES
from tests.lvd.stage2_for_tests import ROOT, metrics, one_of_each_task, planned_layouts, put, run

PROMPTS = one_of_each_task()
EVERY = dict.fromkeys((*TASKS, "total"), 1.0)
NONE = dict.fromkeys((*TASKS, "total"), 0.0)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: a baseline that gets all wrong, adapters that get all right, and another maker of videos."""
    work = tmp_path_factory.mktemp("judged")
    put(work, "my_model", PROMPTS, frames=16)
    put(work, "adapters", PROMPTS)
    put(work, "baseline", PROMPTS, right=False)
    metrics(work)
    return work


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A folder with one video of one method, to be damaged."""
    put(tmp_path, "baseline", PROMPTS[:1])
    return tmp_path


def read_metrics(work: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / "metrics").read_text(encoding="utf-8"))
    return found


def change_line(work: Path, **changes: Any) -> None:
    path = work / "videos" / "baseline" / "index.jsonl"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}) + "\n")


def refused(work: Path, capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """The one line that says why nothing was scored."""
    capsys.readouterr()
    assert run(work) == code
    assert not (work / "metrics").exists()
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("lvd_stage2: videos: ")]
    assert len(lines) == 1
    assert lines[0].isprintable()
    return lines[0]


def set_aside(work: Path, **changes: Any) -> dict[str, Any]:
    """What the quarantine list says of the only video in it, which fails both ways."""
    found = metrics(work, max_bad_fraction=1.0, **changes)["methods"]["baseline"]
    count, line = (json.loads(line) for line in (work / "quarantine").read_text(encoding="utf-8").splitlines())
    assert count == {"quarantined": 1}
    assert found["quarantined"] == {line["reason"]: 1}
    assert [found[mode]["passed"]["total"] for mode in MODES] == [found["videos"] - 1] * 2
    verdicts = parquet.read_table(work / "verdicts").to_pylist()
    assert [row["problem"].split(" ")[0] for row in verdicts if row["problem"]] == [line["reason"]]
    return line


def test_videos_get_the_verdict_that_they_deserve(judged: Path) -> None:
    found = read_metrics(judged)
    assert list(found["methods"]) == ["baseline", "adapters", "my_model"]
    for method, shares in (("baseline", NONE), ("adapters", EVERY), ("my_model", EVERY)):
        assert found["methods"][method]["videos"] == 5
        assert found["methods"][method]["videos_by_task"] == dict.fromkeys(TASKS, 1)
        assert found["methods"][method]["quarantined"] == {}
        for mode in MODES:
            assert found["methods"][method][mode]["share"] == shares
            assert found["methods"][method][mode]["share_by_repeat"] == {"0": shares["total"]}
    assert found["methods"]["baseline"]["gap_to_baseline"] is None
    assert found["methods"]["adapters"]["gap_to_baseline"] == {
        mode: {"points": 100.0, "error": 0.0, "videos": 5} for mode in MODES
    }
    assert found["not_scored"] == {}
    assert found["not_listed"] == 0


def test_every_video_has_its_verdict(judged: Path) -> None:
    rows = parquet.read_table(judged / "verdicts").to_pylist()
    assert [(row["method"], row["task"]) for row in rows] == [
        (method, task) for method in ("baseline", "adapters", "my_model") for task in TASKS
    ]
    for row, prompt in zip(rows[5:10], PROMPTS, strict=True):
        assert (row["prompt_set"], row["prompt_index"], row["prompt"]) == ("lvd", prompt.index, prompt.prompt)
        assert (row["repeat"], row["seed"], row["problem"]) == (0, 0, "")
        assert row["compatible"]
        assert row["strict"]
        assert row["detections"] >= 3
        assert 0 <= row["layout_iou"] <= 1


def test_the_table_stands_beside_published_rows(judged: Path) -> None:
    (measured_title, measured), (published_title, published) = read_table(judged / "table").grouped()
    assert (measured_title, published_title) == ("measured in this run", "published")
    assert [row[:9] for row in measured] == [
        ("baseline", 5, 1, *[0.0] * 6),
        ("adapters", 5, 1, *[100.0] * 6),
        ("my_model", 5, 1, *[100.0] * 6),
    ]
    assert [row[9] for row in measured] == [None, 100.0, 100.0]
    assert [(row[0], row[1], row[2], row[8], row[9]) for row in published] == [
        ("ModelScope", 1000, 2, 23.0, None),
        ("LVD (GPT-3.5)", 1000, 2, 46.4, 23.4),
        ("LVD (GPT-4)", 1000, 2, 49.4, 26.4),
    ]
    for row in PUBLISHED_VIDEO_SCORES:
        assert np.mean(row.percent) == pytest.approx(row.overall, abs=0.5)


def test_figures_show_the_methods_side_by_side(judged: Path) -> None:
    with Image.open(judged / "figure") as figure:
        assert figure.format == "PNG"
        assert figure.width > 6 * 140
        assert figure.height > 2 * 3 * 140
    with Image.open(judged / "animation") as animation:
        assert animation.format == "GIF"
        assert animation.n_frames == 6
        assert animation.width > 3 * 140


def test_captions_of_figures_say_the_seed(judged: Path, tmp_path: Path) -> None:
    """Another seed is another picture, and nothing else of it changes."""
    shutil.copytree(judged / "videos", tmp_path / "videos")
    for method in ("adapters", "baseline", "my_model"):
        index = tmp_path / "videos" / method / "index.jsonl"
        index.write_text(index.read_text().replace('"seed":0', '"seed":6789'))
    assert run(tmp_path) == 0
    pictures = []
    for work in (judged, tmp_path):
        with Image.open(work / "figure") as figure:
            pictures.append(np.asarray(figure))
    changed = (pictures[0] != pictures[1]).any((1, 2)).sum()
    assert 0 < changed < 2 * 20, "one line of text for each prompt that is drawn"


def test_the_same_videos_give_the_same_bytes(judged: Path, tmp_path: Path) -> None:
    shutil.copytree(judged / "videos", tmp_path / "videos")
    assert run(tmp_path) == 0
    for name in ("verdicts", "table", "figure", "animation", "metrics", "quarantine", "provenance"):
        assert (tmp_path / name).read_bytes() == (judged / name).read_bytes(), name


def test_a_video_that_follows_its_layout_has_a_high_layout_iou(tmp_path: Path) -> None:
    layouts = [planned_layouts()[prompt.index] for prompt in PROMPTS[:2]]
    draws = [clip_of_layout(layout, np.random.default_rng(0)) for layout in layouts]
    clips = [(prompt, 0, clip) for prompt, clip in zip(PROMPTS[:2], draws, strict=True)]
    write_method(tmp_path / "videos", "adapters", clips)
    put(tmp_path, "baseline", PROMPTS[:2], right=False)
    found = metrics(tmp_path, preview_prompts=0)
    assert found["methods"]["adapters"]["layout_iou"] > 0.6
    assert found["methods"]["baseline"]["layout_iou"] < 0.2


def test_repeats_are_told_apart_and_gaps_are_between_equals(tmp_path: Path) -> None:
    """The baseline has other prompts as well: the gap is of those that both have."""
    prompt = PROMPTS[3]
    clips = [
        (prompt, repeat, true_clip(prompt.expectation, np.random.default_rng(repeat), right=repeat == 0))
        for repeat in range(2)
    ]
    other = (PROMPTS[4], 0, true_clip(PROMPTS[4].expectation, np.random.default_rng(0)))
    write_method(tmp_path / "videos", "adapters", [*clips, other])
    write_method(tmp_path / "videos", "guidance", clips)
    put(tmp_path, "baseline", PROMPTS[2:5])
    found = metrics(tmp_path, preview_prompts=0)
    assert {name: method["seeds"] for name, method in found["methods"].items()} == {
        "baseline": [0, 0], "guidance": [0, 1], "adapters": [0, 1],
    }  # fmt: skip
    (_, measured), _ = read_table(tmp_path / "table").grouped()
    assert [(row[0], row[2]) for row in measured] == [("baseline", 1), ("guidance", 2), ("adapters", "1-2")]
    assert found["methods"]["guidance"]["strict"]["share_by_repeat"] == {"0": 1.0, "1": 0.0}
    assert found["methods"]["guidance"]["gap_to_baseline"]["strict"] == {"points": 0.0, "error": 0.0, "videos": 1}
    assert found["methods"]["baseline"]["strict"]["share"] == dict.fromkeys((*TASKS[2:], "total"), 1.0)


def test_paraphrases_are_judged_by_what_they_say(tmp_path: Path) -> None:
    prompts: list[BenchmarkPrompt] = read_prompts(ROOT / "data" / "prompts" / "paraphrases.jsonl")
    asked = next(item for item in prompts if "bird" in str(item.expectation) and item.task == "visibility")
    clip = true_clip(asked.expectation, np.random.default_rng(0))
    write_method(tmp_path / "videos", "baseline", [(asked, 0, clip)], prompt_set="paraphrases")
    write_method(tmp_path / "videos", "guidance", [(asked, 0, clip)], prompt_set="my_prompts")
    found = metrics(tmp_path)
    assert found["methods"]["baseline"]["strict"]["passed"] == {"visibility": 1, "total": 1}
    assert found["not_scored"] == {"my_prompts": 1}
    assert list(found["methods"]) == ["baseline"]


def test_a_damaged_video_is_set_aside(one: Path) -> None:
    file = one / "videos" / "baseline" / f"{PROMPTS[0].index:03d}-0.mp4"
    file.write_bytes(file.read_bytes()[:-400])
    line = set_aside(one)
    assert (line["item"], line["reason"]) == (f"baseline/{file.name}", "unreadable")


def test_a_missing_video_is_set_aside(tmp_path: Path) -> None:
    put(tmp_path, "baseline", PROMPTS[:2])
    (tmp_path / "videos" / "baseline" / f"{PROMPTS[0].index:03d}-0.mp4").unlink()
    assert set_aside(tmp_path)["reason"] == "missing"


def test_a_video_of_too_few_frames_is_set_aside(tmp_path: Path) -> None:
    put(tmp_path, "baseline", PROMPTS[:1], frames=5)
    line = set_aside(tmp_path)
    assert line["reason"] == "too_short"
    assert "5 frames cannot be judged" in line["detail"]


@pytest.mark.parametrize(("changes", "reason"), [({"frames": 9}, "frames_differ"), ({"prompt": "another"}, "other_prompt")])
def test_a_video_that_is_not_what_the_index_says_is_set_aside(one: Path, changes: dict[str, Any], reason: str) -> None:
    change_line(one, **changes)
    assert set_aside(one)["reason"] == reason


def test_videos_that_no_index_names_are_counted(one: Path) -> None:
    file = next((one / "videos" / "baseline").glob("*.mp4"))
    shutil.copy(file, file.with_name("another.mp4"))
    found = metrics(one, preview_prompts=0)
    assert (found["not_listed"], found["methods"]["baseline"]["videos"]) == (1, 1)


def test_too_many_bad_videos_stop_the_stage(one: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next((one / "videos" / "baseline").glob("*.mp4")).unlink()
    assert "1 of 1 items are bad" in refused(one, capsys, code=1)
    assert "missing" in (one / "quarantine").read_text()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"file": "../../../etc/passwd.mp4"}, "file: "),
        ({"file": "/etc/x.mp4"}, "file: "),
        ({"method": "guidance"}, "the method is guidance"),
        ({"method": "<script>"}, "method: "),
        ({"prompt_set": "../lvd"}, "prompt_set: "),
        ({"prompt_index": -1}, "prompt_index: "),
        ({"frames": 10**9}, "frames: "),
        ({"seed": None}, "seed: "),
    ],
)
def test_a_wrong_index_is_one_line(
    one: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], told: str
) -> None:
    change_line(one, **changes)
    line = refused(one, capsys)
    assert "index.jsonl, line 1: " in line
    assert told in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "lists no videos"),
        ("{\n", "line 1: "),
        ("[" * 100_000, "line 1: "),
        ("\x00", "line 1: "),
    ],
)
def test_an_index_that_cannot_be_read_is_one_line(
    one: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    (one / "videos" / "baseline" / "index.jsonl").write_text(text)
    assert told in refused(one, capsys)


def test_a_video_that_is_listed_twice_is_refused(one: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = one / "videos" / "baseline" / "index.jsonl"
    path.write_text(path.read_text() * 2)
    assert "line 2: that prompt and repeat were listed before" in refused(one, capsys)


def test_without_videos_the_stage_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such folder; the stage `lvd_generate` makes it" in refused(tmp_path, capsys)
    (tmp_path / "videos").mkdir()
    assert "no folder of videos in it" in refused(tmp_path, capsys)
    (tmp_path / "videos" / "guid\x1b[31mance").mkdir()
    assert "has no index.jsonl" in refused(tmp_path, capsys)
