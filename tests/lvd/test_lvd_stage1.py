"""The stage that scores layouts: what it counts, what it leaves out and says so, and published rows beside its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tasks.common import stage
from tasks.common.report_table import read_table
from tasks.lvd import lvd_stage1
from tasks.lvd.benchmark_prompts import BenchmarkPrompt, benchmark_prompts, read_prompts, select_prompts
from tasks.lvd.expectations import TASKS, Numeracy
from tasks.lvd.layout import DynamicSceneLayout, write_layouts
from tasks.lvd.original_replies import read_original_replies
from tasks.lvd.published_scores import DISTINCT_PROMPTS, PROMPTS, PUBLISHED_SCORES
from tasks.lvd.scoring import MODES, score
from tests.lvd.layouts_for_tests import layout, still
from tests.lvd.test_reference_replies import FOLDER

ROOT = Path(__file__).resolve().parents[2]
PROMPT_FOLDER = ROOT / "data" / "prompts"
NUMERACY = select_prompts("lvd_numeracy")
HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"


def counted(prompt: BenchmarkPrompt, name: str = "", x: int = 0) -> DynamicSceneLayout:
    """As many objects as a prompt asks for, the first of them at `x`."""
    assert isinstance(prompt.expectation, Numeracy)
    noun, number = name or prompt.expectation.object, prompt.expectation.count
    boxes = [still((x + 100 * place, 100, 50, 50)) for place in range(number)]
    return layout(*[(noun, box) for box in boxes], prompt=prompt.prompt)


def put(work: Path, planner: str, name: str, layouts: Iterable[DynamicSceneLayout]) -> None:
    write_layouts(work / "layouts" / planner / f"{name}.jsonl", layouts)


def arguments(work: Path) -> list[str]:
    (work / "params.yaml").write_text((ROOT / "profiles" / "toy.yaml").read_text())
    options = {"prompts": PROMPT_FOLDER, **{name: work / name for name in ("layouts", "table", "metrics")}}
    return ["--params", str(work / "params.yaml"), *[word for name in options for word in (f"--{name}", str(options[name]))]]


def run(work: Path) -> int:
    return stage.main("lvd_stage1", lvd_stage1.Paths, lvd_stage1.make_scores, arguments=arguments(work))


def metrics(work: Path) -> dict[str, Any]:
    assert run(work) == 0
    found: dict[str, Any] = json.loads((work / "metrics").read_text(encoding="utf-8"))
    return found


def refused(work: Path, capsys: pytest.CaptureFixture[str], code: int) -> str:
    """The one line that says why nothing was scored."""
    assert run(work) == code
    assert not (work / "table").exists()
    assert not (work / "metrics").exists()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_part_of_the_benchmark_is_scored_by_its_name(tmp_path: Path) -> None:
    put(tmp_path, "slots-parser", "lvd_numeracy", map(counted, NUMERACY))
    all_pass = {"numeracy": 100, "total": 100, "share": 1.0}
    assert metrics(tmp_path) == {
        "slots-parser": {
            "lvd_numeracy": {
                "prompts": 100,
                "compatible": all_pass,
                "strict": all_pass,
                "distinct_prompts": 20,
                "distinct_compatible": 20,
                "distinct_strict": 20,
                "failed_plans": 0,
                "too_short": 0,
                "not_asked_for": 0,
                "out_of_frame": 0,
                "overlapping": 0,
            }
        },
        "not_scored": [],
    }


def test_a_prompt_without_a_layout_fails_and_is_counted(tmp_path: Path) -> None:
    put(tmp_path, "direct-lvd", "lvd_numeracy", map(counted, [*NUMERACY[:2], *NUMERACY[4:50], *NUMERACY[60:]]))
    put(tmp_path, "slots-llm", "lvd", [])
    found = metrics(tmp_path)
    direct, slots = found["direct-lvd"]["lvd_numeracy"], found["slots-llm"]["lvd"]
    assert direct["strict"] == {"numeracy": 88, "total": 88, "share": 0.88}
    assert (direct["distinct_strict"], direct["failed_plans"], direct["prompts"]) == (17, 12, 100)
    assert slots["compatible"] == {**dict.fromkeys(TASKS, 0), "total": 0, "share": 0.0}
    assert (slots["failed_plans"], slots["prompts"], slots["distinct_prompts"]) == (500, 500, 184)


def test_the_two_modes_differ_where_boxes_cannot_be_seen(tmp_path: Path) -> None:
    layouts = [counted(prompt, x=600 if number < 10 else 0) for number, prompt in enumerate(NUMERACY)]
    layouts[10:20] = [counted(prompt, name="submarine") for prompt in NUMERACY[10:20]]
    put(tmp_path, "slots-parser", "lvd_numeracy", layouts)
    found = metrics(tmp_path)["slots-parser"]["lvd_numeracy"]
    assert [found[mode]["total"] for mode in MODES] == [100, 80]
    assert [found[f"distinct_{mode}"] for mode in MODES] == [20, 16]
    assert found["out_of_frame"] == 10


def test_layouts_that_are_too_short_or_not_asked_for_are_counted(tmp_path: Path) -> None:
    short = layout(("car", still(frames=5)), prompt=NUMERACY[0].prompt)
    extra = layout(("car", still((0, 0, 90, 90))), ("cat", still((50, 50, 90, 90))), prompt="Something else")
    put(tmp_path, "slots-parser", "lvd_numeracy", [short, *map(counted, NUMERACY[1:]), counted(NUMERACY[0]), extra])
    found = metrics(tmp_path)["slots-parser"]["lvd_numeracy"]
    assert found["strict"]["total"] == 99
    assert (found["failed_plans"], found["too_short"], found["not_asked_for"], found["overlapping"]) == (0, 1, 2, 0)


def test_paraphrases_are_scored_by_what_they_say_themselves(tmp_path: Path) -> None:
    prompts = read_prompts(PROMPT_FOLDER / "paraphrases.jsonl")
    put(tmp_path, "slots-parser", "paraphrases", [counted(prompt) for prompt in prompts if prompt.task == "numeracy"])
    found = metrics(tmp_path)["slots-parser"]["paraphrases"]
    assert found["prompts"] == len(prompts) == 100
    assert found["strict"] == {**dict.fromkeys(TASKS, 0), "numeracy": 20, "total": 20, "share": 0.2}
    assert found["failed_plans"] == 80


def test_sets_without_expectations_are_named(tmp_path: Path) -> None:
    for name in ("my prompts", "lvd_else", f"{HOSTILE.replace('/', '')}\x1b[31m\n\u202e"):
        put(tmp_path, "direct-lvd", name, [layout(("owl", still()))])
    put(tmp_path, "slots-parser", "lvd_numeracy", map(counted, NUMERACY))
    (tmp_path / "layouts" / "README").write_text("no layouts")
    (tmp_path / "layouts" / "slots-parser" / "lvd.txt").write_text("no layouts")
    found = metrics(tmp_path)
    assert set(found) == {"slots-parser", "not_scored"}
    assert list(found["slots-parser"]) == ["lvd_numeracy"]
    assert len(found["not_scored"]) == 3
    assert found["not_scored"][1:] == ["direct-lvd/lvd_else", "direct-lvd/my prompts"]
    assert all(name.isprintable() for name in found["not_scored"])


def test_with_nothing_but_own_prompts_published_rows_stand_alone(tmp_path: Path) -> None:
    put(tmp_path, "direct-lvd", "my_prompts", [layout(("owl", still()))])
    assert metrics(tmp_path) == {"not_scored": ["direct-lvd/my_prompts"]}
    assert [group.title for group in read_table(tmp_path / "table").groups] == ["published"]


def test_without_any_layouts_the_stage_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such folder" in refused(tmp_path, capsys, 2)
    (tmp_path / "layouts").mkdir()
    assert "run the stage `layouts`" in refused(tmp_path, capsys, 1)


@pytest.mark.parametrize("planner", ["a\x1b[31mb", "a\nb", "\u202eb", os.fsdecode(b"a\xff"), "not_scored"])
def test_planners_that_cannot_be_shown_are_refused(planner: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, planner, "lvd_numeracy", map(counted, NUMERACY))
    line = refused(tmp_path, capsys, 2)
    assert line.isprintable()
    assert "cannot be a planner's name; rename the folder" in line


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    planner = HOSTILE.replace("/", "")
    words = {"background": HOSTILE, "reasoning": f"{HOSTILE}\x1b[31m", "planner": "somebody else"}
    layouts = [counted(prompt, name=f"{HOSTILE}\x1b[31m\u202e").model_copy(update=words) for prompt in NUMERACY]
    put(tmp_path, planner, "lvd_numeracy", layouts)
    found = metrics(tmp_path)
    assert [found[planner]["lvd_numeracy"][mode]["total"] for mode in MODES] == [100, 0]
    for name in ("table", "metrics"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert all(character.isprintable() or character == "\n" for character in text)
        assert "somebody else" not in text
    assert read_table(tmp_path / "table").rows[0][0] == planner


@pytest.mark.parametrize("line", ["{", '{"prompt": 1, "frames": []}', '{"prompt": "a", "frames": ' + "[" * 100_000, "\x00"])
def test_a_damaged_file_is_one_line(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "slots-parser", "lvd_numeracy", map(counted, NUMERACY))
    with (tmp_path / "layouts" / "slots-parser" / "lvd_numeracy.jsonl").open("a") as file:
        file.write(line + "\n")
    told = refused(tmp_path, capsys, 2)
    assert "lvd_numeracy.jsonl, line 101: " in told
    assert len(told) < 600


def test_the_table_tells_measured_from_published(tmp_path: Path) -> None:
    put(tmp_path, "slots-parser", "lvd", map(counted, NUMERACY[1:]))
    put(tmp_path, "slots-parser", "lvd_numeracy", map(counted, NUMERACY[1:]))
    put(tmp_path, "direct-lvd", "lvd_numeracy", map(counted, NUMERACY))
    assert run(tmp_path) == 0
    table = read_table(tmp_path / "table")
    (measured_title, measured), (published_title, published) = table.grouped()
    assert (measured_title, published_title) == ("measured in this run", "published")
    nothing, by_model = (None,) * 4, "this run, SmolLM2-135M-Instruct"
    assert measured == (
        (
            "direct-lvd",
            "lvd_numeracy",
            100,
            100,
            *nothing,
            100,
            100.0,
            100,
            100.0,
            20,
            20,
            20,
            by_model,
        ),
        ("slots-parser", "lvd", 500, 99, 0, 0, 0, 0, 99, 19.8, 99, 19.8, 184, 19, 19, "this run"),
        ("slots-parser", "lvd_numeracy", 100, 99, *nothing, 99, 99.0, 99, 99.0, 20, 19, 19, "this run"),
    )
    assert [row[0] for row in published] == ["GPT-3.5", "GPT-3.5*", "GPT-4", "DeepSeek-V3", "DeepSeek-V3*"]
    assert all(str(row[-1]).startswith("published: README of ") for row in published)
    totals, strict = table.columns.index("total"), table.columns.index("strict")
    assert [(row[totals], row[totals + 1]) for row in published] == [
        (387, 77.4), (388, 77.6), (488, 97.6), (421, 84.2), (432, 86.4)
    ]  # fmt: skip
    assert [row[strict] for row in published] == [None, None, 469, None, 431]
    assert ["recounted" in str(row[-1]) for row in published] == [False, True, True, True, True]
    assert "Published rows were not made by this run" in table.note


@pytest.mark.parametrize(
    ("planner", "file"), [("GPT-4", "gpt-4-1106-preview"), ("DeepSeek-V3*", "deepseek-chat")], ids=["GPT-4", "DeepSeek-V3*"]
)
def test_published_rows_are_what_shipped_replies_give(planner: str, file: str) -> None:
    path = FOLDER / f"cache_lvd_v0.1_{file}.json"
    if not path.is_file():
        pytest.skip(f"the original replies are not in {FOLDER}; set GROUNDREEL_LVD_REPLIES to a folder with {path.name}")
    (row,) = [row for row in PUBLISHED_SCORES if row.planner == planner]
    found = score(benchmark_prompts(), read_original_replies(path).attempts)
    passed = found.counts("compatible")
    assert row.passed == tuple(passed[task] for task in TASKS)
    assert (row.total, row.strict_total) == (passed["total"], found.counts("strict")["total"])
    assert row.distinct == tuple(found.distinct_counts(mode)["total"] for mode in MODES)
    assert (found.prompts()["total"], found.distinct_prompts()["total"]) == (PROMPTS, DISTINCT_PROMPTS)


def test_the_gate_names_what_the_stage_writes(tmp_path: Path) -> None:
    gate = YAML(typ="safe").load((ROOT / "reports" / "gate.yaml").read_text(encoding="utf-8"))["reports/lvd_stage1.json"]
    for planner in ("slots-parser", "slots-llm"):
        for name in ("lvd", "paraphrases"):
            put(tmp_path, planner, name, [])
    found = metrics(tmp_path)
    for key in gate:
        assert isinstance(value(found, key.split(".")), int | float), key
    for planner in ("slots-parser", "slots-llm"):
        for name in ("lvd", "paraphrases"):
            assert {f"{planner}.{name}.{mode}.share" for mode in MODES} <= set(gate)


def value(found: Any, keys: Sequence[str]) -> Any:
    return value(found[keys[0]], keys[1:]) if keys else found


def test_same_layouts_same_bytes(tmp_path: Path) -> None:
    for planner in ("slots-parser", "direct-lvd", "slots-llm"):
        for name in ("lvd_numeracy", "mine", "yours"):
            put(tmp_path, planner, name, map(counted, NUMERACY[:50]))
    made = []
    for salt in ("0", "1"):
        command = [sys.executable, "-m", "tasks.lvd.lvd_stage1", *arguments(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        made.append([(tmp_path / name).read_bytes() for name in ("table", "metrics")])
    assert made[0] == made[1]
