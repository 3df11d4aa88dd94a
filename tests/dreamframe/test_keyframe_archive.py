"""Keyframes to files and back: the same bytes each time, and hostile files as one line."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.common.errors import UserError
from tasks.dreamframe.keyframe_archive import Keyframe, read_keyframes, read_manifest, write_keyframes

IDS = ["01-01-01", "01-01-02", "01-02-01"]


def a_picture(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()


def a_keyframe(number: int) -> Keyframe:
    data = a_picture(number)
    return Keyframe(
        id=IDS[number], file=f"{IDS[number]}.png", prompt="in <s> style: \u732b", text="\u732b \u2028", place="",
        seed=2**63 - 1, sha256=hashlib.sha256(data).hexdigest(), width=6, height=4,
    )  # fmt: skip


def written(folder: Path) -> Path:
    """A story of three keyframes."""
    folder.mkdir(exist_ok=True)
    entries = []
    for number in range(3):
        file = folder / f"{number}.png"
        file.write_bytes(a_picture(number))
        entries.append((a_keyframe(number), file))
    write_keyframes(folder, "kite", entries)
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    folder = written(tmp_path)
    found = list(read_keyframes(folder, "kite"))
    assert (
        [keyframe for keyframe, _ in found] == [a_keyframe(number) for number in range(3)] == read_manifest(folder, "kite")
    )
    for number, (_, pixels) in enumerate(found):
        assert np.array_equal(pixels, Image.open(io.BytesIO(a_picture(number))))
    with tarfile.open(folder / "kite.tar") as tar:
        assert [(member.name, member.mtime, member.uid, member.uname) for member in tar] == [
            (f"{name}.png", 0, 0, "") for name in IDS
        ]
    again = written(tmp_path / "again")
    assert all((folder / name).read_bytes() == (again / name).read_bytes() for name in ("kite.tar", "kite.jsonl"))


def rewrite(folder: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(folder / "kite.tar", "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def changed_line(**changes: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        file = folder / "kite.jsonl"
        lines = file.read_text(encoding="utf-8").split("\n")
        lines[1] = json.dumps({**json.loads(lines[1]), **changes})
        file.write_text("\n".join(lines), encoding="utf-8")

    return spoil


def members(*entries: tuple[str, int]) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder, [(name, a_picture(number)) for name, number in entries])


def cut(folder: Path) -> None:
    file = folder / "kite.tar"
    file.write_bytes(file.read_bytes()[:1200])


def a_link(folder: Path) -> None:
    with tarfile.open(folder / "kite.tar", "w") as tar:
        member = tarfile.TarInfo(f"{IDS[0]}.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)


FILES = [(f"{name}.png", number) for number, name in enumerate(IDS)]
FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no archive": (lambda folder: (folder / "kite.tar").unlink(), "kite.tar: no such file"),
    "no manifest": (lambda folder: (folder / "kite.jsonl").unlink(), "kite.jsonl: No such file"),
    "no text": (lambda folder: (folder / "kite.jsonl").write_bytes(b"\xff"), "not UTF-8 text"),
    "no JSON": (lambda folder: (folder / "kite.jsonl").write_text("[" * 100_000), "line 1: "),
    "empty": (lambda folder: (folder / "kite.jsonl").write_text(""), "line 1: "),
    "unknown key": (changed_line(colour="red\x1b"), "line 2: colour"),
    "seed": (changed_line(seed=-1), "line 2: seed"),
    "file": (changed_line(file="../../x.png"), "line 2: file"),
    "another's file": (changed_line(file=f"{IDS[0]}.png"), "line 2: 01-01-02 is out of order"),
    "twice": (changed_line(id=IDS[0], file=f"{IDS[0]}.png"), "line 2: 01-01-01 is out of order"),
    "size": (changed_line(width=7), "is not the picture"),
    "hash": (changed_line(sha256="0" * 64), "is not the picture"),
    "cut": (cut, "truncated-archive"),
    "link": (a_link, "not-a-regular-file"),
    "missing": (members(*FILES[:2]), "01-02-01.png is missing"),
    "more": (members(*FILES, ("01-02-02.png", 0)), "01-02-02.png is not in kite.jsonl"),
    "order": (members(*FILES[::-1]), "01-02-01.png is not in kite.jsonl"),
    "swapped": (members((FILES[0][0], 1), *FILES[1:]), "01-01-01.png is not the picture"),
    "path": (members(("../../x.png", 0)), "unsafe-path"),
    "no picture": (lambda folder: rewrite(folder, [(FILES[0][0], b"GIF89a")]), "not-an-image"),
}


@pytest.mark.parametrize(("spoil", "said"), FAULTS.values(), ids=FAULTS)
def test_faults_are_one_line(spoil: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    folder = written(tmp_path)
    spoil(folder)
    with pytest.raises(UserError) as caught:
        list(read_keyframes(folder, "kite"))
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert "run the stage keyframes again" in str(caught.value)


@given(line=st.text(max_size=60) | st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner)).map(json.dumps))
def test_any_line(line: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "kite.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_manifest(folder, "kite")
    assert str(caught.value).isprintable()
