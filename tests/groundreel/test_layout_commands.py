"""`groundreel lvd score` and `groundreel import layouts`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from groundreel.cli import main
from tasks.lvd.benchmark_prompts import select_prompts
from tasks.lvd.layout import read_layouts, write_layouts
from tests.lvd.layouts_for_tests import along, layout, reply

TASKS = ("numeracy", "attribution", "visibility", "dynamic_spatial", "sequential")
CAR_AT_RIGHT = "[{'id': 0, 'name': 'car', 'box': [450, 20, 60, 40]}]"
CAR_AT_LEFT = "[{'id': 0, 'name': 'car', 'box': [10, 20, 60, 40]}]"
CAR_OUTSIDE = "[{'id': 0, 'name': 'car', 'box': [600, 20, 60, 40]}]"
ONE_CAR, CAR_TO_THE_RIGHT = select_prompts("lvd_numeracy")[0].cache_key, select_prompts("lvd_dynamic_spatial")[0].cache_key


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def replies(tmp_path: Path) -> Path:
    path = tmp_path / "cache_lvd_v0.1_some-model.json"
    entries = {
        ONE_CAR: [reply(CAR_AT_LEFT), "Sorry.", reply(CAR_OUTSIDE)],
        CAR_TO_THE_RIGHT: [reply(CAR_AT_LEFT, CAR_AT_RIGHT), reply(CAR_AT_LEFT, CAR_OUTSIDE)],
        "Something else": [reply(CAR_AT_LEFT, "[]", background=" mea")],
    }
    path.write_text(json.dumps(entries))
    return path


def counts(**given: int) -> dict[str, int]:
    return {**dict.fromkeys(TASKS, 0), **given, "total": sum(given.values())}


def test_scores_as_json_are_all_there_is_on_standard_output(replies: Path) -> None:
    result = call("lvd", "score", "--replies", replies, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "compatible": counts(numeracy=2, dynamic_spatial=2),
        "strict": counts(numeracy=1, dynamic_spatial=1),
    }
    assert list(json.loads(result.stdout)["strict"]) == [*TASKS, "total"]
    warnings = result.stderr.splitlines()
    assert f"groundreel: counted as failed, 2x missing: {ONE_CAR}" in warnings
    assert f"groundreel: counted as failed, 1x missing_marker (there is no `Frame 1:`): {ONE_CAR}" in warnings
    assert warnings[-1].endswith("1 entries that the benchmark does not ask for, such as: Something else")
    assert len(warnings) == 182 + 3 + 1


def test_scores_as_a_table(replies: Path) -> None:
    result = call("lvd", "score", "--replies", replies)
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line}
    assert rows["numeracy"] == ["100", "2", "1", "20", "0", "0"]
    assert rows["total"] == ["500", "4", "2", "184", "0", "0"]
    assert "of 4 layouts: 2 leave the canvas, 2 have a box wholly outside, 0 have overlapping" in result.stdout


def test_layouts_are_scored_and_the_only_one_serves_every_time(tmp_path: Path) -> None:
    path = tmp_path / "layouts.jsonl"
    car = layout(("car", along(0, 80, 160, 240, 320, 400)))
    write_layouts(path, [car.model_copy(update={"prompt": f"{key}."}) for key in (ONE_CAR, CAR_TO_THE_RIGHT)])
    result = call("lvd", "score", "--layouts", path, "--json")
    expected = counts(numeracy=5, dynamic_spatial=5)
    assert json.loads(result.stdout) == {"compatible": expected, "strict": expected}
    assert len(result.stderr.splitlines()) == 182
    table = call("lvd", "score", "--layouts", path).stdout
    assert re.search(r"^total +500 +10 +10 +184 +2 +2$", table, re.MULTILINE)


@pytest.mark.parametrize("both", [False, True])
def test_one_of_the_two_kinds_of_files_is_wanted(replies: Path, both: bool) -> None:
    result = call("lvd", "score", *(("--replies", replies, "--layouts", replies) if both else ()))
    assert result.exit_code == 2
    assert "give one of --replies FILE and --layouts FILE" in result.output


def test_wrong_files_are_one_line(replies: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text('{"a": 1}')
    for arguments in (
        ("lvd", "score", "--replies", tmp_path / "none.json"),
        ("lvd", "score", "--replies", tmp_path / "odd.json"),
        ("lvd", "score", "--layouts", replies),
        ("lvd", "score", "--layouts", tmp_path),
        ("import", "layouts", tmp_path / "odd.json", "--out", tmp_path / "out.jsonl"),
        ("import", "layouts", replies, "--out", replies),
    ):
        result = call(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("groundreel: ")
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out.jsonl").exists()


def test_replies_are_imported_and_what_is_not_is_told(replies: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "layouts.jsonl"
    result = call("import", "layouts", replies, "--out", out)
    assert result.exit_code == 0
    aside = out.with_name("layouts.jsonl.quarantine.jsonl")
    assert result.stdout == f"{out}: 5 layouts\n{aside}: 1 background_cut, 1 missing_marker\n"
    found = list(read_layouts(out))
    assert [item.prompt for item in found] == [ONE_CAR] * 2 + [CAR_TO_THE_RIGHT] * 2 + ["Something else"]
    assert [item.background for item in found] == [*["meadow"] * 4, ""]
    entries: list[dict[str, Any]] = [json.loads(line) for line in aside.read_text().splitlines()]
    assert [(entry["item"], entry["reason"]) for entry in entries] == [
        (f"{ONE_CAR} (reply 2)", "missing_marker"),
        ("Something else (reply 1)", "background_cut"),
    ]


def test_a_list_of_what_was_set_aside_goes_when_nothing_is(tmp_path: Path) -> None:
    path, out = tmp_path / "cache.json", tmp_path / "layouts.jsonl"
    path.write_text(json.dumps({"A car.": [reply(CAR_AT_LEFT, "[]", background=" mea")]}))
    assert call("import", "layouts", path, "--out", out).stdout.endswith(".quarantine.jsonl: 1 background_cut\n")
    path.write_text(json.dumps({"A car.": [reply(CAR_AT_LEFT)]}))
    assert call("import", "layouts", path, "--out", out).stdout == f"{out}: 1 layouts\n"
    assert sorted(tmp_path.iterdir()) == [path, out]


def test_scoring_needs_no_heavy_import(replies: Path) -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from groundreel.cli import main\n"
        f"assert CliRunner().invoke(main, ['lvd', 'score', '--replies', {str(replies)!r}]).exit_code == 0\n"
        "heavy = {'torch', 'transformers', 'diffusers', 'dvc', 'prefect', 'pyarrow', 'openai', 'spacy'} & set(sys.modules)\n"
        "sys.exit(' '.join(sorted(heavy)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
