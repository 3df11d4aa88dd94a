"""`groundreel import boxes` and `groundreel import latents`, and the commands in docs/importing.md."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
import torch
from click.testing import CliRunner, Result

from groundreel.cli import main
from tasks.common.latent_files import load_latents
from tasks.dreamframe.style_files import SDXL_WIDTHS, StyleEmbedding, save_style
from tasks.lvd.benchmark_prompts import select_prompts
from tests.corpus.original_files_for_tests import (
    Reduced,
    box_row,
    box_rows,
    latents_of,
    objects_of,
    saved,
    saved_by_numpy,
    some_latents,
    write,
)
from tests.dreamframe.stories_for_tests import flat_story
from tests.groundreel.test_style_import_command import original as original_style
from tests.lvd.layouts_for_tests import reply

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", DOCUMENT, re.DOTALL) for line in block.splitlines()]


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    return write(tmp_path, saved_by_numpy(box_rows(box_row(3), box_row(4), box_row(4), box_row(5, None))))


@pytest.fixture
def latents(tmp_path: Path) -> Path:
    return write(tmp_path, saved_by_numpy(latents_of([3, 4], some_latents(2))), "latents.npy")


def test_boxes_are_imported_and_what_is_not_is_told(boxes: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "boxes"
    result = call("import", "boxes", boxes, "--out", out, "--key-pattern", "sa_{index}")
    assert (result.exit_code, result.stderr) == (0, "")
    target, aside = out / "image.tar.parquet", out / "image.tar.parquet.quarantine.jsonl"
    assert result.stdout == f"{target}: 2 images, 2 boxes\n{aside}: 1 bad-caption, 1 index-twice\n"
    assert parquet.read_table(target)["key"].to_pylist() == ["sa_3", "sa_4"]
    assert [json.loads(line)["item"] for line in aside.read_text().splitlines()] == ["row 2, index 4", "row 3, index 5"]
    assert sorted(out.iterdir()) == [target, aside]


def test_latents_are_imported(latents: Path, tmp_path: Path) -> None:
    result = call("import", "latents", latents, "--out", tmp_path / "out")
    target = tmp_path / "out" / "latents.safetensors"
    assert result.stdout == f"{target}: latents of 2 images, 16 pixels\n"
    assert load_latents(target)[1].keys == ["image_3", "image_4"]


def test_a_folder_is_imported_file_by_file(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for number in (2, 0, 1):
        write(shards, saved_by_numpy(box_rows(box_row(number))), f"sa_{number:06d}.npy")
    write(shards, b"notes", "readme.txt")
    result = call("import", "boxes", shards, "--out", shards)
    assert result.exit_code == 0
    assert [Path(line.split(":")[0]).name for line in result.stdout.splitlines()] == [
        f"sa_{number:06d}.parquet" for number in range(3)
    ]


def test_nothing_is_replaced_unless_told(boxes: Path, latents: Path, tmp_path: Path) -> None:
    for kind, path, name in (("boxes", boxes, "image.tar.parquet"), ("latents", latents, "latents.safetensors")):
        target = tmp_path / "out" / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(b"mine")
        result = call("import", kind, path, "--out", target.parent)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"groundreel: {target} is there already; name another folder, or replace with --force\n"
        assert target.read_bytes() == b"mine"
        assert call("import", kind, path, "--out", target.parent, "--force").exit_code == 0
        assert target.read_bytes() != b"mine"


def test_folders_of_stages_are_left_alone(boxes: Path, tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for folder in ("data/corpus/boxes", "data/corpus/boxes/mine", "link/corpus/boxes", "data/corpus/latents"):
        result = call("import", "boxes", boxes, "--out", tmp_path / folder)
        assert result.exit_code == 2
        assert "deletes this folder; name another, such as data/raw/" in result.stderr
    assert call("import", "boxes", boxes, "--out", tmp_path / "data" / "raw" / "boxes").exit_code == 0
    assert [item.name for item in (tmp_path / "data").iterdir()] == ["raw"]


def test_wrong_files_are_one_line_and_run_nothing(latents: Path, boxes: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    attack = Reduced(os.system, (f"touch {canary}",))
    folder = tmp_path / "empty"
    folder.mkdir()
    wrong = [
        *(write(tmp_path, data, f"{number}.npy") for number, data in enumerate((b"", b"garbage", saved(attack)))),
        write(tmp_path, saved(objects_of([attack])), "attack.npy"),
        write(tmp_path, saved(latents_of([1, attack], attack)), "more.npy"),
        write(tmp_path, boxes.read_bytes()[:-9], "cut.npy"),
        write(tmp_path, saved_by_numpy(some_latents(2)), "numbers.npy"),
        *(folder, tmp_path / "none.npy"),
    ]
    for kind, other in (("boxes", latents), ("latents", boxes)):
        for path in [*wrong, other]:
            result = call("import", kind, path, "--out", tmp_path / "out")
            assert (result.exit_code, result.stdout) == (2, ""), path
            assert result.stderr.startswith(f"groundreel: {path}: ")
            assert result.stderr.count("\n") == 1
    result = call("import", "boxes", boxes, "--out", tmp_path / "out", "--key-pattern", "../{index}")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


def test_commands_of_the_document_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    car = reply("[{'id': 0, 'name': 'car', 'box': [10, 20, 60, 40]}]")
    Path("cache_lvd_v0.1_gpt-4-1106-preview.json").write_text(json.dumps({select_prompts("lvd")[0].cache_key: [car]}))
    Path("story_info_0.json").write_text(json.dumps(flat_story(2)))
    torch.save(original_style(), "story_0_Dramatic.pt")
    one = StyleEmbedding(*(torch.zeros(1, width) for width in SDXL_WIDTHS))
    save_style(Path("data/dreamframe/style/STORY.safetensors"), one, {"token": "<one>"})
    for kind, array in (("boxes", box_rows(box_row())), ("latents", latents_of([1], some_latents(1)))):
        for folder, name in ((f"original/{kind}", "sa_000000.npy"), (f"campus/{kind}", "campus_life_dataset.tar.npy")):
            Path(folder).mkdir(parents=True, exist_ok=True)
            write(Path(folder), saved_by_numpy(array), name)
    assert {" ".join(command.split()[:3]) for command in COMMANDS} == {
        f"groundreel import {kind}" for kind in ("layouts", "boxes", "latents", "story", "style")
    }
    for command in COMMANDS:
        result = call(*shlex.split(command)[1:])
        assert result.exit_code == 0, result.output
        assert all((tmp_path / line.split(":")[0]).is_file() for line in result.stdout.splitlines())
