"""Damage in the DVC cache is found, named and mended, also where DVC itself trusts it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flows.errors import RunError
from flows.inspection.cache_check import CacheState, check_cache, describe
from flows.inspection.cache_repair import repair
from flows.inspection.hashes import bytes_md5, cache_folder, path_md5
from flows.inspection.locked_stages import locked_stages
from groundreel.cli import main
from tests.flows.finished_project import build, cached, copy, flip, folder_object, objects, overwrite, run_dvc
from tests.pipeline.workspaces import git


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return copy(finished, tmp_path / "project")


def check(project: Path) -> CacheState:
    return check_cache(project / ".dvc" / "cache", locked_stages(project))


def mend(project: Path) -> list[str]:
    return [*repair(project, project / ".dvc" / "cache", check(project), locked_stages(project))]


def fsck(project: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.chdir(project)
    return CliRunner().invoke(main, ["fsck", *arguments])


def set_aside(project: Path) -> list[str]:
    return sorted(path.name for path in (project / ".dvc" / "cache" / "damaged").iterdir())


def test_a_healthy_cache_is_called_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = check(project)
    assert state.healthy
    assert state.objects == len(objects(project)) == 5
    assert [use.path for uses in state.uses.values() for use in uses] == [
        "data/parts",
        "data/parts/a.txt",
        "data/parts/more/b.txt",
        "data/joined.txt",
    ]
    result = fsck(project, monkeypatch)
    assert (result.exit_code, result.stdout) == (0, "5 objects, 0.0 MB: all healthy\n")


def _healthy_copy(project: Path, file: Path, damaged: Path) -> None:
    flip(damaged)


def _linked(project: Path, file: Path, damaged: Path, kind: str) -> None:
    run_dvc(project, "config", "--local", "cache.type", kind)
    run_dvc(project, "checkout", "--relink")
    assert file.samefile(damaged)
    flip(damaged)


def _hard_link(project: Path, file: Path, damaged: Path) -> None:
    _linked(project, file, damaged, "hardlink")


def _symbolic_link(project: Path, file: Path, damaged: Path) -> None:
    _linked(project, file, damaged, "symlink")


def _delivered_copy(project: Path, file: Path, damaged: Path) -> None:
    flip(damaged)
    file.unlink()
    run_dvc(project, "checkout")
    assert file.read_bytes() == damaged.read_bytes()


@pytest.mark.parametrize("arrange", [_healthy_copy, _hard_link, _symbolic_link, _delivered_copy])
def test_damage_that_dvc_trusts_is_mended_whatever_the_workspace_has(project: Path, arrange: object) -> None:
    file = project / "data" / "joined.txt"
    healthy, damaged = file.read_bytes(), cached(project, "data/joined.txt")
    assert callable(arrange)
    arrange(project, file, damaged)
    assert damaged.stat().st_mode & 0o777 == 0o444
    assert "up to date" in run_dvc(project, "status")

    state = check(project)
    assert [found.path for found in state.damaged] == [damaged]
    assert state.damaged[0].found == bytes_md5(damaged.read_bytes())
    told = "\n".join(describe(state, project))
    assert "is data/joined.txt of stage join" in told
    lines = "\n".join(mend(project))
    assert set_aside(project) == [f"{state.damaged[0].md5}.{state.damaged[0].found}"]
    assert "results of count may be wrong" in lines
    assert "`dvc repro --force --downstream join`" in lines

    ran = run_dvc(project, "repro")
    assert ("Running stage 'join'" in ran) == ("`dvc repro` makes again" in lines) == (arrange is not _healthy_copy)
    assert file.read_bytes() == damaged.read_bytes() == healthy
    assert check(project).healthy
    assert "up to date" in run_dvc(project, "status")


def test_a_fetched_object_replaces_damaged_bytes_of_the_workspace(project: Path) -> None:
    file = project / "data" / "joined.txt"
    healthy, damaged = file.read_bytes(), cached(project, "data/joined.txt")
    _delivered_copy(project, file, damaged)
    assert "marked as changed: data/joined.txt" in "\n".join(mend(project))
    damaged.write_bytes(healthy)  # as `dvc fetch` does
    damaged.chmod(0o444)
    assert "Stage 'join' is cached" in run_dvc(project, "repro")
    assert file.read_bytes() == healthy


def test_damaged_bytes_of_the_workspace_cannot_be_committed(project: Path) -> None:
    file, damaged = project / "data" / "joined.txt", cached(project, "data/joined.txt")
    _delivered_copy(project, file, damaged)
    mend(project)
    assert "unable to commit changed stage: 'join'" in run_dvc(project, "commit", code=1)


def test_hard_links_in_other_workspaces_are_marked_too(project: Path) -> None:
    damaged, link = cached(project, "data/joined.txt"), project.with_name("other-workspace.txt")
    flip(damaged)
    os.utime(damaged, (1, 1))
    link.hardlink_to(damaged)
    mend(project)
    assert link.stat().st_mtime > 1


def test_a_truncated_file_of_a_folder_is_found_and_put_back(project: Path) -> None:
    damaged = cached(project, "data/parts/more/b.txt")
    overwrite(damaged, damaged.read_bytes()[:3])
    assert "  is data/parts/more/b.txt of stage split" in describe(check(project), project)
    lines = mend(project)
    assert any("from data/parts/more/b.txt, which is healthy" in line for line in lines)
    assert check(project).healthy
    assert damaged.stat().st_mode & 0o777 == 0o444


def test_a_damaged_folder_object_comes_back_with_its_files(project: Path) -> None:
    listing = folder_object(project)
    member = cached(project, "data/parts/a.txt")
    overwrite(listing, listing.read_bytes().replace(b'"a.txt"', b'"c.txt"'))
    member.unlink()
    assert [found.path for found in check(project).damaged] == [listing]
    mend(project)
    assert check(project).healthy
    assert member.is_file()


def test_a_lost_folder_object_makes_dvc_read_the_folder_again(project: Path) -> None:
    listing, changed = folder_object(project), project / "data" / "parts" / "a.txt"
    run_dvc(project, "status")
    overwrite(changed, b"A story o")
    overwrite(listing, b"[]")
    lines = mend(project)
    assert any(line.startswith("marked as changed: data/parts ") for line in lines)
    assert "Running stage 'split'" in run_dvc(project, "repro")
    assert changed.read_bytes() == b"a story o"
    assert check(project).healthy


def test_what_is_no_file_is_set_aside_under_a_free_name(project: Path) -> None:
    damaged = cached(project, "data/joined.txt")
    for _ in range(2):
        damaged.unlink()
        damaged.mkdir()
        assert check(project).damaged[0].found.startswith("unreadable (")
        mend(project)
        assert check(project).healthy
    first, second = set_aside(project)
    assert second == f"{first}.2"


def test_bytes_that_are_no_listing_are_damage(project: Path) -> None:
    content = b'[{"md5": "00000000000000000000000000000000", "relpath": "../../outside"}]'
    name = bytes_md5(content) + ".dir"
    stray = project / ".dvc" / "cache" / "files" / "md5" / name[:2] / name[2:]
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(content)
    assert "  is no output that dvc.lock names now" in describe(check(project), project)
    assert [found.path for found in check(project).damaged] == [stray]


@pytest.mark.parametrize("content", [b"cmd: {{{", b"\xff\xfe", b"just words", b"cmd: x\nouts: [a]"])
def test_an_unreadable_run_record_is_found_and_set_aside(project: Path, content: bytes) -> None:
    records = sorted((project / ".dvc" / "cache" / "runs").glob("*/*/*"))
    records[1].write_bytes(content)
    state = check(project)
    assert state.bad_records == [records[1]]
    assert not state.healthy
    mend(project)
    assert set_aside(project) == [f"run.{records[1].parent.name}.{records[1].name}"]
    assert check(project).healthy


def test_missing_objects_are_named_by_stage_and_taken_from_the_workspace(project: Path) -> None:
    for path in ("data/joined.txt", "data/parts/a.txt", "data/parts/more/b.txt"):
        cached(project, path).unlink()
    told = "\n".join(describe(check(project), project))
    assert "missing: data/joined.txt of stage join: one object is not in the cache" in told
    assert "missing: data/parts of stage split: 2 objects are not in the cache" in told
    (project / "data" / "joined.txt").unlink()
    lines = mend(project)
    assert sum(line.startswith("put back: ") for line in lines) == 2
    assert "`dvc repro` makes again what is missing (of join)" in lines[-1]
    assert [use.path for md5 in check(project).missing for use in check(project).uses[md5]] == ["data/joined.txt"]


def test_a_metric_that_git_keeps_is_not_missing(project: Path) -> None:
    cached(project, "reports/count.json").unlink()
    assert check(project).healthy


def test_old_leftovers_are_counted_and_young_ones_may_be_in_use(project: Path) -> None:
    folder = objects(project)[0].parent
    young, old = folder / ".young.tmp", folder / ".old.tmp"
    young.write_bytes(b"x")
    old.write_bytes(b"x" * 300_000)
    os.utime(old, (0, 0))
    state = check(project)
    assert state.leftovers == [old]
    assert state.healthy
    assert "leftovers: 1 files of interrupted writes, 0.3 MB" in "\n".join(describe(state, project))


def test_the_command_tells_by_its_exit_code(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(cached(project, "data/joined.txt"))
    found = fsck(project, monkeypatch)
    assert found.exit_code == 1
    assert "1 damaged, 0 missing\n`groundreel fsck --repair`" in found.stdout
    assert fsck(project, monkeypatch, "--repair").exit_code == 1
    assert fsck(project, monkeypatch).exit_code == 0


def test_a_failed_repair_is_one_line(project: Path) -> None:
    flip(cached(project, "data/joined.txt"))
    (project / ".dvc" / "cache" / "damaged").write_text("in the way")
    with pytest.raises(RunError, match=r"damaged: File exists; make room or make it writable"):
        mend(project)


@pytest.fixture
def elsewhere(project: Path) -> Iterator[Path]:
    """A worktree of the project that shares a cache outside both."""
    shared, worktree = project.with_name("shared"), project.with_name("worktree")
    (project / ".dvc" / "cache").rename(shared)
    git(project, "worktree", "add", "-q", str(worktree), "HEAD")
    (worktree / ".dvc" / "config.local").write_text("[cache]\n    dir = ../../shared\n", encoding="utf-8")
    yield worktree
    git(project, "worktree", "remove", "--force", str(worktree))


def test_the_cache_is_where_dvc_says(project: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder(project) == project / ".dvc" / "cache"
    assert cache_folder(elsewhere).resolve() == project.with_name("shared")
    damaged = next(project.with_name("shared").glob("files/md5/*/*.dir"))
    flip(damaged)
    result = fsck(elsewhere, monkeypatch)
    assert result.exit_code == 1
    assert f"damaged: {damaged}" in result.stdout
    assert "is data/parts of stage split" in result.stdout


def test_without_a_dvc_configuration_the_line_is_dvcs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    result = fsck(tmp_path, monkeypatch)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "`dvc cache dir`" in result.stderr


def test_hashes_are_those_that_dvc_recorded(project: Path) -> None:
    entries = [entry for stage in locked_stages(project) for entry in (*stage.deps, *stage.outs)]
    assert {entry.path for entry in entries} >= {"tasks", "models/table", "data/parts", "data/joined.txt"}
    assert [entry.md5 for entry in entries] == [path_md5(project, project / entry.path) for entry in entries]
