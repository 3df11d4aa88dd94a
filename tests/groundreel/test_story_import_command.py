"""`groundreel import story`: what it writes, prints and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from groundreel.cli import main
from tasks.dreamframe.original_story import flatten
from tasks.dreamframe.story_tree import read_story
from tests.dreamframe.stories_for_tests import DAMAGES, flat_story

TARGET = Path("data/dreamframe/imported/story_info_0.json")
SUMMARY = (
    "2 characters, 2 substories, 4 tiny stories, 8 frames, 4 dialogues, "
    "9 questions (1 overview, 2 story, 2 substory, 4 tiny story)\n"
)


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["import", "story", *(str(argument) for argument in arguments)])


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("story_info_0.json").write_text(json.dumps(flat_story(2), indent=4))
    return Path("story_info_0.json")


def test_a_story_becomes_a_tree(path: Path) -> None:
    result = call(path)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{TARGET}: {SUMMARY}", "")
    assert flatten(read_story(TARGET)) == flat_story(2)
    assert [item.name for item in TARGET.parent.iterdir()] == [TARGET.name]


def test_the_same_story_gives_the_same_bytes_whatever_the_damage(path: Path) -> None:
    assert call(path, "--out", "first.json").exit_code == 0
    path.write_text(DAMAGES["all"](flat_story(2)))
    assert call(path, "--out", "second.json").exit_code == 0
    assert Path("first.json").read_bytes() == Path("second.json").read_bytes()


def test_what_is_set_aside_or_assumed_is_told(path: Path) -> None:
    flat = flat_story(2)
    flat["img_diag"].append(["video", "x"])
    path.write_text(json.dumps(flat))
    result = call(path, "--frames-per-tiny-story", 4)
    aside = TARGET.with_name(f"{TARGET.name}.quarantine.jsonl")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == f"{aside}: 1 unknown-type"
    assert "1 substories, 2 tiny stories, 8 frames, 4 dialogues, 9 questions (1 overview, 8 story, 0 sub" in result.stdout
    assert result.stderr == (
        f"groundreel: {path}: 8 frames are not 4 x 4 x 4: took 4 to a tiny story, 4 tiny stories to a substory\n"
        f"groundreel: {path}: 9 questions are not 1 + 1 + 1 + 2: all stay with the whole story\n"
    )
    assert json.loads(aside.read_text())["item"] == "img_diag 13"
    path.write_text(json.dumps(flat_story(2)))
    assert call(path, "--force").exit_code == 0
    assert not aside.exists()


def test_nothing_is_replaced_unless_told(path: Path) -> None:
    TARGET.parent.mkdir(parents=True)
    TARGET.write_text("mine")
    result = call(path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        result.stderr == f"groundreel: {TARGET} is there already; name another file after --out, or replace with --force\n"
    )
    assert TARGET.read_text() == "mine"
    before = path.read_bytes()
    assert call(path, "--out", path, "--force").exit_code == 2
    assert path.read_bytes() == before
    assert call(path, "--force").exit_code == 0
    assert read_story(TARGET).id == "story_info_0"


def test_folders_of_stages_are_left_alone(path: Path) -> None:
    Path("dvc.yaml").write_text("stages:\n  plot:\n    cmd: plot\n    outs: [data/dreamframe]\n")
    result = call(path)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "the stage plot deletes this folder" in result.stderr
    assert not Path("data").exists()


def test_wrong_files_are_one_line_and_write_nothing(path: Path) -> None:
    Path("folder").mkdir()
    wrong = {"empty": b"", "prose": b"Once upon a time {", "deep": b'{"img_diag":' * 1000, "bytes": bytes(range(256))}
    for name, data in wrong.items():
        Path(name).write_bytes(data)
    for name in (*wrong, "folder", "none.json"):
        result = call(name)
        assert (result.exit_code, result.stdout) == (2, ""), name
        assert result.stderr.startswith(f"groundreel: {name}")
        assert result.stderr.count("\n") == 1
    result = call(path, "--frames-per-tiny-story", 0)
    assert (result.exit_code, result.stderr) == (2, f"groundreel: {path}: 0 frames to a tiny story; expected 1 to 99\n")
    assert not Path("data").exists()
