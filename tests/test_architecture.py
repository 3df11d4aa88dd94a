"""Rules of the house: who imports whom, where a stage lives, what `dvc.yaml` declares, and how large files grow."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tasks.common.parameters import read_yaml
from tasks.common.provenance import source_files
from tasks.report.pipeline import read_pipeline

ROOT = Path(__file__).resolve().parents[1]
PIPELINES = ("dvc.yaml", "models/sprite/dvc.yaml")


def _imports(folder: str) -> dict[Path, set[str]]:
    found: dict[Path, set[str]] = {}
    for path in (ROOT / folder).rglob("*.py"):
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
        found[path] = {name.split(".")[0] for name in names}
    return found


def _stages() -> list[tuple[str, dict[str, Any]]]:
    pairs = []
    for pipeline in PIPELINES:
        text = (ROOT / pipeline).read_text(encoding="utf-8")
        pairs += list(YAML(typ="safe").load(text)["stages"].items())
    return pairs


STAGES = _stages()
BY_NAME = [pytest.param(stage, id=name) for name, stage in STAGES]


def _module(stage: dict[str, Any]) -> str:
    words: list[str] = stage["cmd"].split()
    return words[words.index("-m") + 1]


@pytest.mark.parametrize(
    ("folder", "forbidden"), [("tasks", {"prefect", "dvc", "flows", "groundreel"}), ("flows", {"tasks", "groundreel"})]
)
def test_packages_do_not_know_each_other(folder: str, forbidden: set[str]) -> None:
    wrong = {str(path): names & forbidden for path, names in _imports(folder).items() if names & forbidden}
    assert wrong == {}


def test_dvc_is_used_in_the_modules_named_after_it_only() -> None:
    assert {
        path.name for path, names in _imports("flows").items() if "dvc" in names and not path.name.startswith("dvc_")
    } == set()


def test_systems_have_their_deployment() -> None:
    """`prefect.yaml` names systems, never stages; what is new in dvc.yaml needs a deployment only if its system is new."""
    deployed = YAML(typ="safe").load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    of_the_dag = {entry["name"]: entry["parameters"]["targets"] for entry in deployed if "parameters" in entry}
    systems = {_module(stage).split(".")[1] for name, stage in STAGES if not stage.get("frozen")}
    assert of_the_dag == {"everything": [], **{system: [system] for system in systems}}
    pools = {stage["meta"]["pool"] for _, stage in STAGES} - {"cpu"}
    assert {entry["name"] for entry in deployed if "parameters" not in entry} == pools
    assert all(not schedule["active"] for entry in deployed for schedule in entry.get("schedules", []))


@pytest.mark.parametrize(("name", "stage"), STAGES, ids=[name for name, _ in STAGES])
def test_a_stage_lives_in_the_module_of_its_name(name: str, stage: dict[str, Any]) -> None:
    package, system, module = _module(stage).split(".")
    assert package == "tasks"
    assert name in (module, f"{system}_{module}")


@pytest.mark.parametrize("stage", BY_NAME)
def test_a_stage_declares_all_code_that_it_runs(stage: dict[str, Any]) -> None:
    declared = [Path(entry) for entry in stage["deps"]]
    for source in source_files(_module(stage)):
        covered = any(dependency in (source, *source.parents) for dependency in declared)
        assert covered or source.name == "__init__.py", f"{source} is not among the deps"


@pytest.mark.parametrize("stage", BY_NAME)
def test_a_stage_declares_only_files_that_it_is_made_of(stage: dict[str, Any]) -> None:
    sources = source_files(_module(stage))
    for entry in stage["deps"]:
        if entry.startswith("tasks/"):
            assert any(Path(entry) in (source, *source.parents) for source in sources), f"{entry} is not used"


@pytest.mark.parametrize("stage", BY_NAME)
def test_every_path_on_the_command_line_is_declared(stage: dict[str, Any]) -> None:
    kinds = ("deps", "outs", "metrics", "plots")
    entries = [entry for kind in kinds for entry in stage.get(kind, [])]
    declared = {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}
    words = stage["cmd"].split()
    values = {words[i + 1]: words[i] for i in range(len(words)) if words[i].startswith("--")}
    undeclared = {path: option for path, option in values.items() if path not in declared}
    # the parameter file is under `params`, DVC refuses dvc.yaml as a dependency, and the part store is scratch
    assert set(undeclared.values()) <= {"--params", "--pipeline", "--parts"}


def test_the_report_reads_every_metric_and_figure() -> None:
    values = read_yaml(ROOT / "params.yaml")
    stages = {stage.name: stage for stage in read_pipeline(ROOT / "dvc.yaml", values)}
    needed = {path for stage in stages.values() if stage.name != "report" for path in (*stage.metrics, *stage.figures)}
    assert needed <= set(stages["report"].inputs)


@pytest.mark.parametrize("stage", BY_NAME)
def test_every_stage_names_its_pool(stage: dict[str, Any]) -> None:
    assert stage["meta"]["pool"] in ("cpu", "gpu")


def test_modules_stay_short() -> None:
    long = {}
    for folder in ("tasks", "flows", "groundreel"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > 250:
                long[str(path)] = lines
    assert long == {}


def test_functions_stay_short() -> None:
    long = {}
    for folder in ("tasks", "flows", "groundreel"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 45:
                    long[f"{path.name}:{node.name}"] = (node.end_lineno or 0) - node.lineno + 1
    assert long == {}


def test_weights_in_git_stay_small() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    files = [ROOT / name.decode() for name in listed.split(b"\0") if name]
    sizes = {path: path.stat().st_size for path in files if path.suffix == ".safetensors" and path.exists()}
    assert sizes
    assert max(sizes.values()) <= 12_000_000
    assert sum(sizes.values()) <= 60_000_000


def test_a_stage_begins_without_heavy_libraries() -> None:
    """Every stage reads all sections of the parameters; torch alone would cost each of them seconds."""
    code = "import sys, tasks.parameters; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"torch", "transformers", "diffusers", "scipy", "spacy"} & {*done.stdout.split()} == set()
