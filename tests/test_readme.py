"""The README's commands exist and run, its paths are there, and its picture comes from `reports/`."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tasks.parameters import ProjectParameters

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
RUN_BY_THE_PIPELINE_TESTS = {
    "dvc repro",
    "dvc dag",
    "dvc metrics show",
    "groundreel doctor",
    "groundreel report",
    "groundreel profile hub",
    "groundreel plan",
    "groundreel explain reports/boxes.json",
    "groundreel run --local",
}
RUN_BY_THE_PREFECT_TESTS = {
    "prefect server start",
    "groundreel deploy && groundreel worker gpu",
    "groundreel run",
}


def test_every_command_is_tested() -> None:
    targets = {command for command in COMMANDS if command.startswith("make ")}
    assert targets == {"make run", "make test"}
    assert set(COMMANDS) - targets - {". .venv/bin/activate"} == RUN_BY_THE_PIPELINE_TESTS | RUN_BY_THE_PREFECT_TESTS


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)`", README)) | {"run", "test"}))
def test_targets_exist(target: str) -> None:
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_lists_every_target() -> None:
    listed = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert {line.split()[1] for line in listed.splitlines()} == set(phony[1].split())


def test_paths_are_there() -> None:
    named = {
        path.rstrip("/")
        for path in re.findall(r"`((?:data|docs|models|tasks|flows|tests|benchmarks|profiles)/[\w/.-]*)`", README)
    }
    pipeline = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    outs = [out for stage in pipeline["stages"].values() for out in stage.get("outs", [])]
    made_by_a_run = {Path(next(iter(out)) if isinstance(out, dict) else out) for out in outs}
    made_by_a_run |= {parent for out in made_by_a_run for parent in out.parents}
    missing = {path for path in named if "/x" not in path and not (ROOT / path).exists()}
    assert {path for path in missing if Path(path) not in made_by_a_run} == set()


def test_the_picture_is_a_figure_of_the_report() -> None:
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert pictures
    tracked = subprocess.run(["git", "ls-files", *pictures], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for picture in pictures:
        assert picture.startswith("reports/")
        assert picture in tracked


@pytest.mark.parametrize("text", [README, (ROOT / "docs" / "scene_graphs.md").read_text(encoding="utf-8")])
def test_yaml_examples_use_keys_that_exist(text: str) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        for section, values in YAML(typ="safe").load(block).items():
            fields = ProjectParameters.model_fields[section].annotation
            assert fields is not None
            assert set(values) <= set(fields.model_fields)


def test_hub_checkpoints_are_in_the_licence_table() -> None:
    hub = YAML(typ="safe").load((ROOT / "profiles" / "hub.yaml").read_text())
    for checkpoint in (hub["boxes"]["detector"], hub["latents"]["autoencoder"]):
        assert re.search(rf"^\| {re.escape(checkpoint)}[ (].*\| \S+", README, re.MULTILINE)


def test_figures_are_those_of_the_report() -> None:
    planners = json.loads((ROOT / "reports" / "dsg.json").read_text(encoding="utf-8"))["planners"]
    learned, random, nearest = (
        f"{planners[name].get('mean', planners[name])['planning_f1']:.2f}"
        for name in ("llm-learned", "llm-random", "llm-nearest")
    )
    words = " ".join(README.split())
    assert f"as with random ones: {learned} against {random} (planning F1" in words
    assert f"nearest examples reach {nearest}" in words
