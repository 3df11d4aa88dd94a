"""`run --local` ends in what `dvc repro` ends in: the same lock file, the same outputs, and nothing done twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.flows.small_projects import (
    DIAMOND,
    groundreel,
    journal,
    make_project,
    run_local,
    set_stage,
    states,
    variables,
)
from tests.pipeline.workspaces import dvc, git, replace


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def results(folder: Path) -> dict[str, bytes]:
    files = [path for name in ("data", "reports") for path in (folder / name).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in [*files, folder / "dvc.lock"]}


def test_it_ends_like_dvc_repro_also_when_the_dag_grew_meanwhile(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(project, other, symlinks=True)
    grown = DIAMOND.replace(
        "  left:", "  zero:\n    cmd: python stage.py zero data/zero.txt\n    outs: [data/zero.txt]\n  left:"
    )
    for step in ("from nothing", "a parameter and a new stage"):
        if step != "from nothing":
            for folder in (project, other):
                (folder / "dvc.yaml").write_text(grown)
                set_stage(folder, "right", "different")
        run_local(project)
        done = dvc(other, "repro", **variables(other))
        assert done.returncode == 0, done.stderr
        assert results(project) == results(other), step
    assert sorted(journal(project)) == sorted(journal(other))
    assert dvc(project, "status", "--json").stdout.strip() == "{}"


def test_folders_that_the_cache_does_not_hold_come_too(tmp_path: Path) -> None:
    outputs = "    plots:\n      - reports/curves: {cache: false}\n"
    pipeline = f"stages:\n  curve:\n    cmd: python curve.py\n    deps: [curve.py]\n{outputs}"
    project = make_project(tmp_path / "project", pipeline)
    for names in (["one", "two"], ["three", "two"]):
        lines = ["import pathlib", "folder = pathlib.Path('reports/curves')", "folder.mkdir(parents=True, exist_ok=True)"]
        lines += [f"(folder / '{name}.tsv').write_text('{names[0]}')" for name in names]
        (project / "curve.py").write_text("\n".join(lines))
        git(project, "add", "-A")
        git(project, "commit", "-qm", "curve")
        assert states(run_local(project)) == {"curve": "Ran"}
        assert sorted(path.name for path in (project / "reports" / "curves").iterdir()) == sorted(f"{x}.tsv" for x in names)
        assert (project / "reports" / "curves" / "two.tsv").read_text() == names[0]
        assert dvc(project, "status", "--json").stdout.strip() == "{}"


def test_states_tell_what_happened(project: Path) -> None:
    assert states(run_local(project)) == dict.fromkeys(["first", "left", "right", "last"], "Ran")
    lock = (project / "dvc.lock").stat()
    assert set(states(run_local(project)).values()) == {"Unchanged"}
    assert (project / "dvc.lock").stat().st_ino == lock.st_ino, "an unchanged lock file is not rewritten"
    set_stage(project, "left", "another way")
    assert states(run_local(project)) == {"first": "Unchanged", "right": "Unchanged", "left": "Ran", "last": "Ran"}
    set_stage(project, "left", "")
    assert states(run_local(project)) == {"first": "Unchanged", "right": "Unchanged", "left": "Cached", "last": "Cached"}
    assert len(journal(project)) == 6
    assert set(states(run_local(project, "--force", "first")).values()) == {"Ran"}


def test_it_goes_on_after_dvc_repro_and_dvc_repro_after_it(project: Path) -> None:
    assert dvc(project, "repro", "first", **variables(project)).returncode == 0
    assert states(run_local(project))["first"] == "Unchanged"
    (project / "data" / "right.txt").unlink()
    (project / "reports" / "left.json").unlink()
    assert "Running stage" not in dvc(project, "repro", **variables(project)).stdout
    (project / "data" / "right.txt").unlink()
    run_local(project)
    assert (project / "data" / "right.txt").read_text().startswith("right")
    assert len(journal(project)) == 4


def test_targets_are_stages_with_what_they_need(project: Path) -> None:
    assert sorted(states(run_local(project, "left"))) == ["first", "left"]
    done = groundreel(project, "run", "--local", "lefd")
    assert (done.returncode, done.stderr) == (
        2,
        "groundreel: lefd: no such stage or system in dvc.yaml; did you mean `left`?\n",
    )


def test_a_failure_says_which_why_and_how_to_go_on(project: Path) -> None:
    set_stage(project, "right", '!sys.exit("the moon is in the way")')
    done = groundreel(project, "run", "--local")
    assert done.returncode == 1
    assert states(done)["right"] == "Failed"
    assert states(done)["last"] == "Skipped"
    assert "right: failed with exit code 1: the moon is in the way (log: " in done.stderr
    assert "go on with `groundreel run --local`" in done.stderr
    log = done.stderr.split("(log: ")[1].split(")")[0]
    assert "right at work" in Path(log).read_text()
    set_stage(project, "right", "mended")
    assert set(states(run_local(project)).values()) == {"Unchanged", "Ran"}
    assert journal(project).count("first") == 1


def test_keep_going_finishes_what_does_not_need_the_failed_stage(project: Path) -> None:
    set_stage(project, "right", "!sys.exit(3)")
    done = groundreel(project, "run", "--local", "--keep-going", "--pool-jobs", "gpu=1")
    assert done.returncode == 1
    assert {name: states(done)[name] for name in ("left", "right", "last")} == {
        "left": "Ran",
        "right": "Failed",
        "last": "Skipped",
    }
    assert (project / "data" / "left" / "a.txt").exists()
    assert "right" not in (project / "dvc.lock").read_text()


def test_retries_and_timeouts_of_meta(project: Path, tmp_path: Path) -> None:
    once = tmp_path / "once"
    replace(project / "dvc.yaml", "outs: [data/first.txt]", "outs: [data/first.txt]\n    meta: {retries: 2}")
    set_stage(project, "first", f'!p = pathlib.Path("{once}"); e = p.exists(); p.touch(); e or sys.exit(5)')
    assert states(run_local(project, "first")) == {"first": "Ran"}
    assert journal(project) == ["first", "first"]
    replace(project / "dvc.yaml", "{retries: 2}", "{timeout_s: 1}")
    set_stage(project, "first", "!time.sleep(60)")
    done = groundreel(project, "run", "--local", "first")
    assert "first: stopped after 1 s, its timeout_s in dvc.yaml" in done.stderr


def test_plan_says_why_and_a_dry_run_is_the_plan(project: Path) -> None:
    run_local(project)
    set_stage(project, "left", "another way")
    (project / "data" / "raw" / "input.txt").write_text("something else\n")
    shown = groundreel(project, "plan").stdout.splitlines()
    assert [line.split()[:2] for line in shown] == [["first", "cpu"], ["left", "gpu"], ["right", "gpu"], ["last", "cpu"]]
    assert "changed     input data/raw/input.txt modified" in shown[0]
    assert "changed     parameter left modified" in shown[1]
    assert "perhaps     after first" in shown[2]
    assert groundreel(project, "run", "--dry-run").stdout.splitlines() == shown
    assert len(journal(project)) == 4


def test_a_second_attempt_does_not_take_old_outputs_for_new_ones(project: Path) -> None:
    replace(
        project / "dvc.yaml",
        "outs: [data/right.txt]\n    meta: {pool: gpu}",
        "outs: [data/right.txt]\n    meta: {retries: 1}",
    )
    run_local(project)
    set_stage(project, "right", 'new!open(os.environ["JOURNAL"]).read().count("right") == 2 and sys.exit("once")')
    assert states(run_local(project))["right"] == "Ran"
    assert (project / "data" / "right.txt").read_text().startswith("right new")
    assert journal(project).count("right") == 3


def test_the_tree_is_left_alone_but_for_results(project: Path) -> None:
    (project / "note.txt").write_text("mine\n")
    git(project, "add", "note.txt")
    (project / "stage.py").write_text((project / "stage.py").read_text() + "# changed\n")
    before = git(project, "status", "--porcelain")
    run_local(project)
    assert git(project, "diff", "--cached", "--name-only") == "note.txt\n"
    after = git(project, "status", "--porcelain").splitlines()
    assert set(after) - set(before.splitlines()) == {"?? dvc.lock", "?? reports/left.json"}
    assert git(project, "branch", "--list").strip() == "* " + git(project, "branch", "--show-current").strip()


def test_inputs_that_git_ignores_and_large_ones_are_linked(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("from far away\n")
    (project / "data" / "raw" / "input.txt").unlink()
    (project / "data" / "raw" / "input.txt").symlink_to(elsewhere)
    with (project / "large.bin").open("wb") as file:
        file.truncate(60_000_000)
    run_local(project)
    assert "from far away" in (project / "data" / "last.txt").read_text()
    assert "large.bin" not in git(project, "ls-tree", "-r", "--name-only", "refs/groundreel/run")
    assert (project / "data" / "raw" / "input.txt").is_symlink()


def test_a_repository_inside_this_one_is_left_out_and_one_without_commits_is_refused(project: Path) -> None:
    (project / "inner").mkdir()
    (project / "inner" / "file.txt").write_text("theirs")
    git(project / "inner", "init", "-q")
    git(project / "inner", "add", "-A")
    git(project / "inner", "commit", "-qm", "theirs")
    run_local(project, "first")
    assert "inner" not in git(project, "ls-tree", "-r", "--name-only", "refs/groundreel/run")
    git(project, "update-ref", "-d", "HEAD")
    set_stage(project, "first", "another way")
    done = groundreel(project, "run", "--local")
    assert done.returncode == 2
    assert "`git init` and commit first" in done.stderr


def test_a_broken_workspace_is_made_again(project: Path, tmp_path: Path) -> None:
    run_local(project)
    (project / ".runs" / "workspace" / ".git").write_text("gitdir: /nowhere\n")
    assert set(states(run_local(project)).values()) == {"Unchanged"}
    shutil.rmtree(project / ".runs")
    assert set(states(run_local(project)).values()) == {"Unchanged"}
    moved = tmp_path / "a place with spaces"
    project.rename(moved)
    (tmp_path / "project.journal").rename(tmp_path / f"{moved.name}.journal")
    assert set(states(run_local(moved)).values()) == {"Unchanged"}
    assert len(journal(moved)) == 4


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ("{pool: GPU}", "stages.first.meta.pool: string should match pattern"),
        ("{gpu: 1}", "stages.first.meta.gpu: extra inputs are not permitted; known keys: pool, gpus, timeout_s, retries"),
        ("{timeout_s: 0}", "stages.first.meta.timeout_s: input should be greater than 0"),
    ],
)
def test_wrong_meta_is_refused_in_one_line(project: Path, meta: str, message: str) -> None:
    replace(project / "dvc.yaml", "outs: [data/first.txt]", f"outs: [data/first.txt]\n    meta: {meta}")
    done = groundreel(project, "run", "--local")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
