"""The pull request check on real branches of a real repository, without data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.errors import RunError
from flows.pull_request import MARKER
from flows.pull_request.differences import differences
from flows.pull_request.freshness import push_warnings, stale_stages
from tests.flows.branches import build, clone, run_check, verdict
from tests.flows.markdown import outside_code, tags
from tests.pipeline.workspaces import git


@dataclass(frozen=True)
class Checked:
    folder: Path
    code: int
    printed: str
    verdict: dict[str, Any]
    comment: str

    def finding(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = next(item for item in self.verdict["findings"] if item["key"] == key)
        return found


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("branches"))


@pytest.fixture(scope="module")
def checked(repositories: tuple[Path, Path]) -> dict[str, Checked]:
    bare, _ = repositories
    results = {}
    for branch in ("improvement", "regression", "missing", "stale"):
        folder = clone(bare, branch, bare.parent / branch)
        done = run_check(folder, "--after-url", "https://example.org/raw/{commit}")
        assert "Traceback" not in done.stderr
        comment = (folder / ".runs/pull_request/comment.md").read_text(encoding="utf-8")
        results[branch] = Checked(folder, done.returncode, done.stdout, verdict(folder), comment)
    return results


def test_an_improvement_passes(checked: dict[str, Checked]) -> None:
    result = checked["improvement"]
    assert result.code == 0
    assert result.verdict["passed"] is True
    assert result.verdict["stale"] == []
    assert "passed ✅" in result.comment
    assert "verdict     passed" in result.printed


def test_the_merge_base_is_compared_and_not_the_tip(checked: dict[str, Checked]) -> None:
    folder = checked["improvement"].folder
    assert checked["improvement"].finding("recall")["old"] == 0.8
    assert checked["improvement"].verdict["base"] == git(folder, "rev-parse", "origin/main~1").strip()
    tip, _ = differences(folder, "metrics", "origin/main")
    assert next(item.old for item in tip if item.key == "recall") == 0.95


def test_a_regression_fails(checked: dict[str, Checked]) -> None:
    result = checked["regression"]
    assert result.code == 1
    assert result.verdict["stale"] == []
    assert [item["key"] for item in result.verdict["findings"] if not item["passed"]] == ["recall"]
    assert "| ❌ | `reports/scores.json` | `recall` | 0.8 | 0.7 | -0.1 | may fall by 0.02 |" in result.comment
    assert "reports/scores.json recall 0.8 → 0.7: may fall by 0.02" in result.printed


def test_a_stale_lock_fails_and_names_the_stage(checked: dict[str, Checked]) -> None:
    result = checked["stale"]
    assert result.code == 1
    assert result.verdict["stale"] == ["train"]
    assert all(item["passed"] for item in result.verdict["findings"])
    assert "stale for `train`: `dvc repro`" in result.comment


def test_a_gated_metric_that_became_a_list_is_missing_and_a_looser_gate_is_told(checked: dict[str, Checked]) -> None:
    result = checked["missing"]
    assert result.code == 1
    assert result.finding("recall")["remark"] == "missing here"
    assert result.finding("recall")["new"] is None
    told = "reports/gate.yaml is changed here: reports/scores.json recall (may fall by 0.02 → may fall by 0.5)"
    assert result.verdict["remarks"] == [told]
    assert told in result.comment


def test_no_data_is_pulled(checked: dict[str, Checked]) -> None:
    for result in checked.values():
        assert not (result.folder / "model.json").exists()
        assert list((result.folder / ".dvc").glob("cache/files/md5/*/*")) == []
        assert git(result.folder, "status", "--porcelain") == ""


def test_changed_pictures_are_shown_before_and_after(checked: dict[str, Checked]) -> None:
    result = checked["regression"]
    head = result.verdict["head"]
    name = "reports/figures/curve.png"
    assert f"| ![before](before/{name}) | ![after](https://example.org/raw/{head}/{name}) |" in result.comment
    sides = [Image.open(result.folder / ".runs/pull_request" / side / name).getpixel((0, 0)) for side in ("before", "after")]
    assert sides == [(204, 0, 0), (178, 0, 0)]
    assert checked["stale"].verdict["pictures"] == []


def test_charts_show_both_sides(checked: dict[str, Checked]) -> None:
    result = checked["improvement"]
    assert result.verdict["charts"] == ["reports_loss.csv-1.png"]
    with Image.open(result.folder / ".runs/pull_request/charts/reports_loss.csv-1.png") as chart:
        assert min(chart.size) > 100
    assert checked["regression"].verdict["charts"] == []


def test_hostile_names_and_values_stay_code(checked: dict[str, Checked]) -> None:
    result = checked["regression"]
    for piece in ("onerror", "everyone", "javascript", "a | b"):
        assert piece in "".join(str(item) for item in (result.verdict["ungated"], result.verdict["parameters"]))
        assert piece not in outside_code(result.comment)
    assert tags(result.comment) <= tags(checked["improvement"].comment) | {"img"}
    assert result.comment.startswith(f"{MARKER}\n")
    assert "\x1b" not in result.printed


def test_a_stale_stage_is_named_where_the_data_is_there_too(repositories: tuple[Path, Path]) -> None:
    _, work = repositories
    assert stale_stages(work) == []
    before = (work / "evaluate.py").read_text()
    (work / "evaluate.py").write_text(f"{before}# changed\n")
    assert stale_stages(work) == ["evaluate"]
    (work / "evaluate.py").write_text(before)


def test_a_lock_file_with_conflicts_cannot_be_judged(checked: dict[str, Checked], tmp_path: Path) -> None:
    folder = clone(checked["stale"].folder.parent / "bare.git", "improvement", tmp_path / "conflict")
    with (folder / "dvc.lock").open("a") as lock:
        lock.write("<<<<<<< ours\n")
    with pytest.raises(RunError, match="merge conflicts"):
        stale_stages(folder)


def test_a_forgotten_push_is_a_remark(repositories: tuple[Path, Path]) -> None:
    _, work = repositories
    assert push_warnings(work) == []
    config = work / ".dvc/config"
    before = config.read_text()
    config.write_text(f"{before}    remote = store\n['remote \"store\"']\n    url = {work.parent / 'store'}\n")
    assert push_warnings(work) == ["not in the remote: model.json; `dvc push` on the machine that has it"]
    config.write_text(before)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--base", "origin/none"), "--base origin/none: no such commit"),
        (("--base=--help",), "--base --help: no such commit"),
        (("--out", "reports"), "--out reports: holds other files"),
    ],
)
def test_mistakes_are_one_line(checked: dict[str, Checked], arguments: tuple[str, ...], told: str) -> None:
    done = run_check(checked["stale"].folder, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_broken_gate_is_refused_in_the_comment_too(checked: dict[str, Checked], tmp_path: Path) -> None:
    folder = clone(checked["stale"].folder.parent / "bare.git", "improvement", tmp_path / "gate")
    (folder / "reports/gate.yaml").write_text("reports/scores.json: {recall: {direction: up, tolerance: 0}}\n")
    done = run_check(folder, PULL_REQUEST_OUT="out")
    assert done.returncode == 2
    (line,) = [line for line in done.stdout.splitlines() if "reports/gate.yaml: " in line]
    assert "reports/scores.json: recall: direction" in line
    assert "failed ❌" in (folder / "out/comment.md").read_text(encoding="utf-8")
