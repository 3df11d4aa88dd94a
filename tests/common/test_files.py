"""Atomic files: whole under the final name, or not there; full and read-only disks are told in one line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.common.errors import StageError
from tasks.common.files import complete, link_or_copy, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail_halfway() -> None:
        with complete(target) as path:
            path.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_halfway()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for name in ("first", "second"):
        with complete(target, folder=True) as folder:
            (folder / name).write_text(name)
            assert not (target / name).exists()
    assert [item.name for item in target.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [target]


def test_unfinished_work_lies_beside_its_target(tmp_path: Path) -> None:
    with complete(tmp_path / "deep" / "a.txt") as path:
        assert path.parent == tmp_path / "deep"
        path.write_text("x")
    assert (tmp_path / "deep" / "a.txt").read_text() == "x"


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_disk_trouble_names_path_and_room(tmp_path: Path, number: int) -> None:
    target = tmp_path / "a.bin"
    with pytest.raises(StageError) as caught, complete(target):
        raise OSError(number, os.strerror(number))
    assert str(target) in str(caught.value)
    assert "MB free" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_real_full_disk_leaves_no_temporary_file(tmp_path: Path) -> None:
    """A file-size limit of the process stands in for a quota: the kernel itself refuses to write on."""
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from tasks.common.errors import StageError\n"
        "from tasks.common.files import complete\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    with complete(Path(sys.argv[1])) as path:\n"
        "        path.write_bytes(b'x' * 1_000_000)\n"
        "except StageError as error:\n"
        "    sys.exit(str(error))\n"
    )
    target = tmp_path / "large.bin"
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True)
    assert done.returncode == 1
    assert str(target) in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_links_fall_back_to_copies(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_text("x")
    link_or_copy(source, tmp_path / "b")
    assert (tmp_path / "b").read_text() == "x"
    (tmp_path / "c").write_text("old")
    link_or_copy(source, tmp_path / "c")
    assert (tmp_path / "c").read_text() == "x"
