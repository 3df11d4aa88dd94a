"""The examples in docs/layouts.md hold: parameters, a line of layouts, sets of prompts, and commands."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from groundreel.cli import main
from tasks.llm.parameters import LanguageModel
from tasks.lvd.benchmark_prompts import select_prompts
from tasks.lvd.layout import DynamicSceneLayout
from tasks.lvd.layouts import Parameters
from tasks.lvd.prompt_sets import known_prompts
from tests.lvd.layouts_for_tests import reply

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "layouts.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if kind == "bash" for line in block.splitlines()]


def examples() -> dict[str, Any]:
    return {
        section: values
        for kind, block in BLOCKS
        if kind == "yaml"
        for section, values in YAML(typ="safe").load(block).items()
    }


def test_parameters_are_those_that_exist() -> None:
    found = examples()
    assert set(found) == {"layouts", "llm"}
    assert LanguageModel.model_validate(found["llm"]).backend == "openai"
    assert Parameters.model_validate(found["layouts"]).prompts[-1] == "my_prompts"
    planners = {line.split("`")[1] for line in TEXT.splitlines() if line.startswith(("| `slots/", "| `direct/"))}
    assert set(found["layouts"]["planners"]) <= planners


def test_the_line_of_a_file_is_a_layout() -> None:
    (line,) = [block for kind, block in BLOCKS if kind == "json"]
    assert DynamicSceneLayout.model_validate_json(line).planner == "slots/parser"


def test_sets_exist() -> None:
    names = {name for name in re.findall(r"`(\w+)`", TEXT) if name.startswith("lvd") or name == "paraphrases"} - {
        "lvd_stage1"
    }
    assert len(names) == 9
    assert all(known_prompts(name, ROOT / "data" / "prompts") for name in names)


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    car = reply("[{'id': 0, 'name': 'car', 'box': [10, 20, 60, 40]}]")
    key = select_prompts("lvd_numeracy")[0].cache_key
    Path("cache_lvd_v0.1_gpt-4-1106-preview.json").write_text(json.dumps({key: [car] * 5, "else": ["Sorry."]}))
    assert len(COMMANDS) == 3
    for command in COMMANDS:
        program, *words = shlex.split(command)
        assert program == "groundreel"
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        assert "import" in words or re.search(r"^total +500 +5 +5 ", result.stdout, re.MULTILINE)
    assert Path("gpt-4.jsonl.quarantine.jsonl").exists()
