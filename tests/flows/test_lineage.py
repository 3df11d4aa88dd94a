"""The chain that made a file, and what of it is not any more as recorded."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dvc.fs import localfs
from dvc.ignore import DvcIgnoreFilter
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import UsageError
from flows.inspection.hashes import bytes_md5, file_md5, files_in, folder_listing, path_md5
from flows.inspection.lineage import Lineage, Node, lines
from flows.inspection.locked_stages import locked_stages, overlap
from groundreel.cli import main
from tests.flows.finished_project import build, copy, folder_object
from tests.pipeline.workspaces import git, replace


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return copy(finished, tmp_path / "project")


def chain(project: Path, file: str) -> list[str]:
    """The tree's lines, with commits and cache objects by a placeholder."""
    text = "\n".join(lines(Lineage(project).explain(project / file)))
    text = re.sub(r"\.dvc/cache/files/md5/../[0-9a-f]{30}", "OBJECT", text)
    return re.sub(r"[0-9a-f]{7,40} \d{4}-\d\d-\d\d ", "COMMIT ", text).splitlines()


def explain(project: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.chdir(project)
    return CliRunner().invoke(main, ["explain", *arguments])


WHOLE = """\
reports/count.json: as recorded
├─ git: COMMIT three stages
└─ made by count; dvc.lock: COMMIT three stages
   ├─ command: wc -c < data/joined.txt > reports/count.json
   ├─ parameter seed = 0
   ├─ parameter deep.key = [1, 2] in other.yaml
   ├─ code: 1 file or folder; as recorded
   ├─ data/joined.txt: as recorded
   │  ├─ cache object OBJECT
   │  └─ made by join; dvc.lock: COMMIT three stages
   │     ├─ command: cat data/parts/a.txt data/parts/more/b.txt > data/joined.txt
   │     └─ data/parts: as recorded
   │        ├─ cache object OBJECT.dir
   │        └─ made by split; dvc.lock: COMMIT three stages
   │           ├─ command: sh tasks/split.sh
   │           ├─ parameter split = {"at": 9, "name": "début"}
   │           ├─ code: 1 file or folder; as recorded
   │           └─ data/raw/story.txt: as recorded
   │              └─ no stage makes it and git does not have it; md5 MD5
   ├─ data/parts: as recorded
   │  ├─ cache object OBJECT.dir
   │  └─ made by split (above)
   └─ models/table: as recorded
      └─ git: COMMIT three stages
"""


def test_the_chain_of_a_metric_goes_back_to_inputs_and_commits(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = WHOLE.replace("MD5", file_md5(project / "data" / "raw" / "story.txt"))
    assert chain(project, "reports/count.json") == expected.splitlines()
    monkeypatch.chdir(project / "data")
    result = CliRunner().invoke(main, ["explain", "../reports/count.json"])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == WHOLE.splitlines()[0]
    assert len(result.stdout.splitlines()) == len(WHOLE.splitlines())


def test_changed_and_missing_files_are_called_so(project: Path) -> None:
    (project / "data" / "raw" / "story.txt").write_text("another story")
    (project / "data" / "joined.txt").unlink()
    (project / "models" / "table" / "more.txt").write_text("3 4")
    replace(project / "params.yaml", "at: 9", "at: 8")
    replace(project / "tasks" / "split.sh", "tail", "tail ")
    told = "\n".join(chain(project, "reports/count.json"))
    assert "data/raw/story.txt: changed since" in told
    assert "data/joined.txt: missing" in told
    assert "models/table: changed since" in told
    assert "git: COMMIT three stages, changes not committed" in told
    assert 'parameter split = {"at": 9, "name": "début"}: changed since' in told
    assert "parameter seed = 0\n" in told
    assert "code: 1 file or folder; tasks/split.sh: changed since" in told
    assert "code: 1 file or folder; tasks: changed since" in told
    assert "data/parts: as recorded" in told


def test_same_size_damage_is_seen(project: Path) -> None:
    file = project / "data" / "joined.txt"
    times = file.stat()
    file.write_bytes(file.read_bytes().swapcase())
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert chain(project, "data/joined.txt")[0] == "data/joined.txt: changed since"


def test_a_file_of_a_folder_is_followed_by_itself(project: Path) -> None:
    first, second, third, *_ = chain(project, "data/parts/more/b.txt")
    assert (first, second) == ("data/parts/more/b.txt: as recorded", "├─ cache object OBJECT")
    assert third == "└─ data/parts: as recorded"
    (project / "data" / "parts" / "a.txt").write_text("x")
    assert chain(project, "data/parts/a.txt")[0] == "data/parts/a.txt: changed since"
    healthy, _, folder, *_ = chain(project, "data/parts/more/b.txt")
    assert (healthy, folder) == ("data/parts/more/b.txt: as recorded", "└─ data/parts: changed since")
    (project / "data" / "parts" / "new.txt").write_text("x")
    assert chain(project, "data/parts/new.txt")[0].startswith("data/parts/new.txt: on disk, not by itself")
    with pytest.raises(UsageError, match=r"data/parts/none\.txt: dvc\.lock does not name it"):
        chain(project, "data/parts/none.txt")


def test_without_the_listing_the_folder_speaks_for_its_files(project: Path) -> None:
    folder_object(project).unlink()
    told = chain(project, "data/parts/a.txt")
    assert told[0].startswith("data/parts/a.txt: on disk, not by itself")
    assert told[1:3] == ["└─ data/parts: as recorded", "   ├─ cache object OBJECT.dir (not there)"]


def test_a_source_file_has_its_commit_and_its_readers(project: Path) -> None:
    assert chain(project, "README.md") == ["README.md", "└─ git: COMMIT three stages"]
    (project / "README.md").write_text("changed")
    assert chain(project, "README.md")[1] == "└─ git: COMMIT three stages, changes not committed"
    assert chain(project, "tasks/split.sh") == [
        "tasks/split.sh",
        "├─ git: COMMIT three stages",
        "├─ read by split: as recorded",
        "└─ read by count in tasks: as recorded",
    ]


def test_a_users_file_is_known_by_its_hash(project: Path) -> None:
    told = chain(project, "data/raw/story.txt")
    md5 = file_md5(project / "data" / "raw" / "story.txt")
    assert told[1:] == [f"├─ no stage makes it and git does not have it; md5 {md5}", "└─ read by split: as recorded"]


def test_a_stage_that_ran_after_the_last_commit_is_uncommitted(project: Path) -> None:
    replace(project / "dvc.lock", "at: 9", "at: 10")
    told = "\n".join(chain(project, "data/joined.txt"))
    assert "made by split; dvc.lock: uncommitted" in told
    assert "made by join; dvc.lock: COMMIT three stages" in told


def test_an_input_that_was_made_again_since_is_told(project: Path) -> None:
    lock = project / "dvc.lock"
    before, after = lock.read_text().split("  count:")
    joined = file_md5(project / "data" / "joined.txt")
    lock.write_text(before + "  count:" + after.replace(joined, "f" * 32))
    told = "\n".join(chain(project, "reports/count.json"))
    assert f"read as {'f' * 32}: its stage has made another version since" in told
    assert "data/joined.txt: changed since" in told


def test_checkpoints_have_a_pipeline_of_their_own(project: Path) -> None:
    stage = "{cmd: train, deps: [{path: tasks/split.sh, md5: %s}], outs: [{path: models/table, md5: %s}]}"
    hashes = (file_md5(project / "tasks" / "split.sh"), path_md5(project, project / "models" / "table"))
    declared = "stages: {train: {wdir: .., frozen: true, cmd: train, outs: [models/table: {cache: false}]}}"
    (project / "models" / "dvc.yaml").write_text(declared)
    (project / "models" / "dvc.lock").write_text("schema: '2.0'\nstages: {gone: {cmd: x}, train: %s}" % (stage % hashes))
    assert chain(project, "models/table/weights.txt")[1:] == [
        "└─ models/table: as recorded",
        "   ├─ git: COMMIT three stages",
        "   └─ made by models/dvc.yaml:train; models/dvc.lock: uncommitted",
        "      ├─ command: train",
        "      └─ code: 1 file or folder; as recorded",
    ]


def test_the_record_alone_reads_no_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "data" / "joined.txt").unlink()
    read: list[str] = []
    tree = Lineage(project, check=False, tell=read.append).explain(project / "data" / "raw" / "story.txt")
    assert read == []
    assert tree.text == "data/raw/story.txt"
    result = explain(project, monkeypatch, "--no-check", "data/joined.txt")
    assert result.exit_code == 0
    assert not re.search("as recorded|missing|changed", result.stdout)
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("reports/cuont.json", "git does not have it; the nearest outputs: reports/count.json, data/"),
        ("data", "data: a folder with 2 outputs; name one, such as data/parts"),
        ("/etc/hostname", "name a file of the project"),
    ],
)
def test_what_is_unknown_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str) -> None:
    result = explain(project, monkeypatch, file)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert text in result.stderr


LOCK_FILES = {
    "": "dvc.lock: no such file; `dvc repro` makes it",
    "<<<<<<< HEAD\nstages: {}\n=======\n>>>>>>> other\n": "line 1: unresolved merge conflict; take one side",
    "schema: '2.0'\nstages: [\n": "dvc.lock: line 3: ",
    "schema: '2.0'\nstages: {}\nstages: {}\n": "dvc.lock: line ",
    "schema: '1.0'\nstages: {}\n": "dvc.lock: schema: input should be '2.0'",
    "schema: '2.0'\nstages: {split: {cmd: x, outs: [{md5: ab}]}}\n": "stages.split.outs.0.path: field required",
    "schema: '2.0'\nstages: {split: {cmd: x, outs: [{path: a, md5: ../../etc}]}}\n": "stages.split.outs.0.md5: ",
    "a word": "dvc.lock: the file: ",
    "\udcff": "dvc.lock: not UTF-8 text at byte 0",
}


@pytest.mark.parametrize("command", [["explain", "data/joined.txt"], ["fsck"]])
@pytest.mark.parametrize("content", LOCK_FILES, ids=range(len(LOCK_FILES)))
def test_a_bad_lock_file_is_one_line(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, command: list[str]
) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "dvc.yaml").write_bytes((finished / "dvc.yaml").read_bytes())
    if content:
        (tmp_path / "dvc.lock").write_bytes(content.encode(errors="surrogateescape"))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert LOCK_FILES[content] in result.stderr
    assert "`" in result.stderr.split(": ", 2)[2]


def test_stages_of_a_matrix_and_templates_are_understood(project: Path) -> None:
    (project / "dvc.yaml").write_text(
        "stages:\n"
        "  all:\n"
        "    matrix: {size: [1]}\n"
        "    cmd: x\n"
        "    metrics: ['out/${item.size}.json': {cache: false}]\n"
        "  each: {foreach: [1], do: {cmd: x, wdir: data, outs: ['b/${item}']}}\n"
    )
    out = "{cmd: x, outs: [{path: %s, md5: d41d8cd98f00b204e9800998ecf8427e}]}"
    both = f"'all@1': {out % 'out/1.json'}, each@1: {out % 'b/1'}"
    (project / "dvc.lock").write_text(f"schema: '2.0'\nstages: {{{both}}}\n")
    metric, plain = locked_stages(project)
    assert (metric.address, metric.keeps(metric.outs[0])) == ("all@1", False)
    assert (plain.outs[0].path, plain.keeps(plain.outs[0])) == ("data/b/1", True)


NAMES = st.text("ab.é_ 1", min_size=1, max_size=4).filter(lambda name: name.strip(". ") == name and name)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map(tuple), min_size=1, max_size=6, unique=True)


@given(paths=PATHS)
def test_a_folder_has_the_hash_that_dvc_gives_it(
    tmp_path_factory: pytest.TempPathFactory, paths: list[tuple[str, ...]]
) -> None:
    root = tmp_path_factory.mktemp("folder")
    tree = Tree()
    for parts in paths:
        file = root.joinpath("data", *parts)
        if not any(parent.is_file() for parent in file.parents) and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("/".join(parts))
            tree.add(parts, None, HashInfo("md5", bytes_md5("/".join(parts).encode())))
    tree.digest()
    assert path_md5(root, root / "data") == tree.hash_info.value
    assert json.loads(folder_listing(root, root / "data")) == tree.as_list()


RULES = st.lists(
    st.sampled_from(
        ["a", "/a", "a/", "data/a", "/data/b/", "*.log", "!x.log", "b/*", "**/c", "# a", "", " a ", "!a", "b/**/a"]
    ),
    max_size=4,
)


@given(rules=RULES, nested=RULES)
def test_ignored_files_are_those_that_dvc_ignores(
    tmp_path_factory: pytest.TempPathFactory, rules: list[str], nested: list[str]
) -> None:
    root = tmp_path_factory.mktemp("rules")
    for name in ("a", "x.log", "b/a", "b/c", "b/y.log", "c/b/a", "c/a/x.log", "d/.git/a", "b/d/a/e"):
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / name).write_text(name)
    (root / ".dvcignore").write_text("\n".join(rules))
    seen = {os.path.relpath(path, root) for path in DvcIgnoreFilter(localfs, str(root)).find(localfs, str(root / "data"))}
    assert {path.relative_to(root).as_posix() for path in files_in(root, root / "data")} == seen


@given(one=PATHS, other=PATHS)
def test_paths_overlap_if_one_holds_the_other(one: list[tuple[str, ...]], other: list[tuple[str, ...]]) -> None:
    first, second = one[0], other[0]
    shared = min(len(first), len(second))
    assert overlap("/".join(first), "/".join(second)) == (first[:shared] == second[:shared])


TREES = st.recursive(st.just(()), lambda below: st.lists(below, min_size=1, max_size=3).map(tuple), max_leaves=12)


@given(shape=TREES)
def test_every_node_is_one_line_as_deep_as_it_stands(shape: tuple[object, ...]) -> None:
    def grown(shape: object, depth: int) -> Node:
        assert isinstance(shape, tuple)
        return Node(f"{depth}", [grown(part, depth + 1) for part in shape])

    def count(node: Node) -> int:
        return 1 + sum(map(count, node.below))

    tree = grown(shape, 0)
    text = list(lines(tree))
    assert len(text) == count(tree)
    for line in text:
        marks = re.match(r"[│├└─ ]*", line)
        assert marks
        assert line == f"{marks[0]}{len(marks[0]) // 3}"
