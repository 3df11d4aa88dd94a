"""GitHub workflows: pinned, with the least rights, and nothing in them that does not run elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.y*ml"))
BY_NAME = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def _load(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    return loaded


def _steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in _load(file)["jobs"].values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    assert {file.stem for file in FILES} >= {"pull-request", "pull-request-comment"}


@BY_NAME
def test_actions_are_pinned_by_commit_and_say_their_version(file: Path) -> None:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if re.search(r"\buses:", line)]
    assert len(lines) == sum("uses" in step for step in _steps(file))
    for line in lines:
        assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_an_action_has_one_commit() -> None:
    uses = {step["uses"] for file in FILES for step in _steps(file) if "uses" in step}
    names = [use.split("@")[0] for use in uses]
    assert len(names) == len(set(names))


@BY_NAME
def test_rights_are_the_least(file: Path) -> None:
    workflow = _load(file)
    assert "pull_request_target" not in file.read_text(encoding="utf-8")
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        writes = {right for right, level in job["permissions"].items() if level != "read"}
        assert writes == ({"pull-requests"} if file.stem == "pull-request-comment" else set())
        assert job["timeout-minutes"] <= 60


@BY_NAME
def test_no_secret_and_no_expression_reaches_a_shell(file: Path) -> None:
    assert "secrets." not in file.read_text(encoding="utf-8")
    for step in _steps(file):
        assert "${{" not in step.get("run", "")
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_check_is_what_runs_anywhere() -> None:
    runs = [step["run"] for step in _steps(FOLDER / "pull-request.yml") if "run" in step]
    made = ["make test", "make test-server", "make test-ray", "make test-groundingdino", "make pull-request"]
    assert runs == [*made, 'cat "$RUNNER_TEMP/verdict/comment.md" >> "$GITHUB_STEP_SUMMARY"']
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^pull-request:.*\n\tpython -m flows\.pull_request\.check$", makefile, re.MULTILINE)
    assert _load(FOLDER / "pull-request.yml")["on"] == {"pull_request": None}


def test_the_privileged_workflow_runs_no_code_of_a_pull_request() -> None:
    file = FOLDER / "pull-request-comment.yml"
    workflow = _load(file)
    assert workflow["on"] == {
        "workflow_run": {"workflows": [_load(FOLDER / "pull-request.yml")["name"]], "types": ["completed"]}
    }
    checkout, download, post = _steps(file)
    assert set(checkout["with"]) == {"persist-credentials"}  # no ref, no repository: the default branch
    assert download["with"]["path"].startswith("${{ runner.temp }}/")
    assert post["run"].startswith("python3 -m flows.pull_request.post_comment ")
