"""The whole DAG in temporary clones: it runs, repeats to the byte, resumes, and takes one's own photographs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from PIL import Image

from tests.pipeline.workspaces import ROOT, clone, dvc, git, hashes, program, replace
from tests.test_readme import RUN_BY_THE_PIPELINE_TESTS

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone after its first run with two workers."""
    folder = clone(tmp_path_factory.mktemp("first") / "clone")
    done = dvc(folder, "repro", PYTHONHASHSEED="0")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_clone_may_keep_the_parameters_as_they_are(tmp_path: Path) -> None:
    whole, little = clone(tmp_path / "whole", in_little=False), clone(tmp_path / "little")
    for name in ("params.yaml", "profiles/toy.yaml"):
        assert (whole / name).read_bytes() == (ROOT / name).read_bytes() != (little / name).read_bytes()


def test_the_run_ends_in_a_report_with_good_numbers(finished: Path) -> None:
    metrics = {
        name: json.loads((finished / "reports" / f"{name}.json").read_text()) for name in ("ingest", "boxes", "latents")
    }
    assert metrics["ingest"]["images"] == metrics["ingest"]["images_captioned"] == 500
    assert metrics["ingest"]["quarantined"] == 0
    assert metrics["boxes"]["images_with_true_boxes"] == 500
    assert metrics["boxes"]["precision"] >= 0.90
    assert metrics["boxes"]["recall"] >= 0.90
    assert metrics["latents"]["reconstruction_psnr_db"] >= 28
    page = (finished / "reports" / "index.html").read_text(encoding="utf-8")
    for value in (metrics["boxes"]["precision"], metrics["latents"]["mean"]):
        assert str(value) in page


def test_metrics_show_prints_what_was_measured(finished: Path) -> None:
    shown = dvc(finished, "metrics", "show", "--json")
    assert shown.returncode == 0, shown.stderr
    for word in ("precision", "recall", "mean_iou", "images", "quarantined", "standard_deviation"):
        assert f'"{word}"' in shown.stdout


def test_a_second_run_changes_nothing(finished: Path) -> None:
    before = hashes(finished)
    git(finished, "add", "-A")
    for path in [*finished.glob("tasks/**/*.py"), finished / "params.yaml", *finished.glob("data/**/*.tar")]:
        os.utime(path, (0, 0))
    again = dvc(finished, "repro")
    assert again.returncode == 0, again.stderr
    assert "Running stage" not in again.stdout
    assert "up to date" in again.stdout
    assert hashes(finished) == before
    assert git(finished, "diff", "--name-only") == ""


def test_a_run_from_scratch_gives_the_same_bytes_whatever_the_workers(finished: Path, tmp_path: Path) -> None:
    """Also with a space in the path, through a link, another hash seed, no home and another temporary folder."""
    real = clone(tmp_path / "a real place")
    folder = tmp_path / "link"
    folder.symlink_to(real)
    replace(real / "params.yaml", "workers: 2", "workers: 1")
    other = tmp_path / "temporary"
    other.mkdir()
    done = dvc(folder, "repro", PYTHONHASHSEED="1", HOME="/proc/nowhere", TMPDIR=str(other), XDG_CACHE_HOME=str(other))
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = hashes(finished), hashes(real)
    assert sorted(first) == sorted(second)
    assert {name for name in first if first[name] != second[name]} == set()


def test_the_commands_of_the_readme_run(finished: Path) -> None:
    before = hashes(finished)
    for command in [*sorted(RUN_BY_THE_PIPELINE_TESTS - {"dvc repro", "groundreel profile hub"}), "groundreel profile hub"]:
        done = program(finished, *command.split())
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    assert program(finished, "groundreel", "profile", "toy").returncode == 0
    assert program(finished, "dvc", "repro").returncode == 0
    assert hashes(finished) == before, "there and back again changes nothing"


def latents_command(folder: Path) -> list[str]:
    text = (folder / "dvc.yaml").read_text(encoding="utf-8")
    command = re.search(r"cmd: >-\s+python (-m tasks\.corpus\.latents.*?)\s+deps:", text, re.DOTALL)
    assert command
    return [sys.executable, *command[1].split()]


def test_a_killed_stage_redoes_only_unfinished_shards(finished: Path, tmp_path: Path) -> None:
    before = {name: value for name, value in hashes(finished).items() if "latents" in name}
    command = latents_command(finished)
    parts = finished / ".parts" / "latents"
    subprocess.run(["rm", "-rf", str(parts)], check=True)
    process = subprocess.Popen(command, cwd=finished, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not list(parts.glob("*/part.json")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1.5)
    kept = {path.parent.name: path.stat().st_mtime_ns for path in parts.glob("*/part.json")}
    assert 1 <= len(kept) <= 4
    again = subprocess.run(command, cwd=finished, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    for name, written in kept.items():
        assert (parts / name / "part.json").stat().st_mtime_ns == written, "a finished shard was done again"
    assert not list(parts.glob("*.unfinished"))
    assert {name: value for name, value in hashes(finished).items() if "latents" in name} == before


def photographs() -> list[Path]:
    spec = importlib.util.find_spec("skimage")
    assert spec
    assert spec.origin
    folder = Path(spec.origin).parent / "data"
    found = sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".jpeg", ".png"))
    return [path for path in found if min(Image.open(path).size) >= 64]


def test_ones_own_photographs_go_through(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    images = photographs()
    assert len(images) >= 3
    with tarfile.open(folder / "data" / "raw" / "photographs.tar.xz", "w:xz") as tar:
        for path in images:
            tar.add(path, f"holiday/{path.name}")
    lines = [f"{path.stem} The image features a photograph of a {path.stem}, outdoors" for path in images[1:]]
    (folder / "data" / "raw" / "captions.txt").write_text("\n".join(lines), encoding="utf-8")
    raw = {path.name: path.read_bytes() for path in (folder / "data" / "raw").iterdir()}
    replace(folder / "params.yaml", "data/sample/image.tar.gz", "data/raw/photographs.tar.xz")
    replace(folder / "params.yaml", "data/sample/captions.csv", "data/raw/captions.txt")
    done = dvc(folder, "repro", "boxes", "latents")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name: path.read_bytes() for path in (folder / "data" / "raw").iterdir()} == raw
    ingest = json.loads((folder / "reports" / "ingest.json").read_text())
    assert ingest["images"] == len(images)
    assert ingest["images_captioned"] == len(images) - 1
    boxes = json.loads((folder / "reports" / "boxes.json").read_text())
    assert boxes["images_without_caption"] == 1
    assert boxes["precision"] is None
    rows = parquet.read_table(folder / "data" / "corpus" / "boxes" / "corpus-000000.parquet").to_pylist()
    assert {row["key"] for row in rows} == {path.stem for path in images[1:]}
