"""Hashes that say whether a result is still the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tasks.common.provenance import checkpoint_identity, code_sha256, digest, path_sha256, source_files
from tasks.common.seeds import item_seed


def test_a_folder_hash_follows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    first = path_sha256(tmp_path)
    (tmp_path / "a").write_text("y")
    second = path_sha256(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({first, second, path_sha256(tmp_path)}) == 3
    assert checkpoint_identity(str(tmp_path), None) == path_sha256(tmp_path)
    assert checkpoint_identity("someone/model", None) == "someone/model@main"


def test_digests_do_not_follow_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})


def test_sources_are_followed_through_imports() -> None:
    names = {str(path) for path in source_files("tasks.corpus.boxes")}
    assert {"tasks/corpus/boxes.py", "tasks/corpus/detector.py", "tasks/common/images.py"} <= names
    assert "tasks/corpus/latents.py" not in names
    assert code_sha256("tasks.corpus.boxes") != code_sha256("tasks.corpus.latents")


def test_item_seeds_do_not_follow_the_process() -> None:
    code = "from tasks.common.seeds import item_seed; print(item_seed(7, 'sprite_000001'))"
    for salt in ("0", "1"):
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": salt})
        assert int(answer.stdout) == item_seed(7, "sprite_000001")
    assert item_seed(7, "a") != item_seed(8, "a") != item_seed(8, "b")
