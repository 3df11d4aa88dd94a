"""Image archives as hostile input: what is read, what is reported, what is noticed."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest

from tasks.common.errors import UserError
from tasks.corpus.archive import Member, read_members
from tests.corpus.archives_for_tests import BLOCK, COMPRESSIONS, END, FILES, LIMITS, header, member, read, reason, sound, tar

BY_COMPRESSION = pytest.mark.parametrize("compression", COMPRESSIONS)


def test_members_that_reach_outside_are_reported_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "a" / "b"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    names = ["../../etc/x.jpg", f"{tmp_path}/absolute.jpg", "good/../../up.jpg", "..\\windows.jpg", ".."]
    data = tar([*((name, b"data") for name in names), ("./good.jpg", b"good")])
    members, end = read(work / "image.tar", data)
    assert end is None
    assert [(item.name, item.problem, item.data) for item in members[:-1]] == [(name, "unsafe-path", b"") for name in names]
    assert members[-1] == Member("./good.jpg", b"good")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "a", work, work / "image.tar"]


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
    ids=["symlink", "hardlink", "character device", "block device", "fifo", "sparse"],
)
def test_what_is_no_regular_file_is_reported(tmp_path: Path, kind: bytes) -> None:
    data = header("x.jpg", 0, kind, link="/etc/passwd") + member("good.jpg", b"good") + END
    members, end = read(tmp_path / "image.tar", data)
    assert [(item.name, item.problem, item.data) for item in members] == [
        ("x.jpg", "not-a-regular-file", b""),
        ("good.jpg", "", b"good"),
    ]
    assert end is None


def test_folders_are_passed_over(tmp_path: Path) -> None:
    members, end = read(tmp_path / "image.tar", header("folder/", 0, tarfile.DIRTYPE) + tar(FILES))
    assert sound(members) == FILES
    assert end is None


@BY_COMPRESSION
def test_compression_is_told_by_content(tmp_path: Path, compression: str) -> None:
    members, end = read(tmp_path / "image.tar.gz", tar(FILES, compression))
    assert sound(members) == FILES
    assert end is None


@BY_COMPRESSION
def test_several_compressed_streams_in_one_file(tmp_path: Path, compression: str) -> None:
    whole, compress = tar(FILES), COMPRESSIONS[compression]
    padding = bytes(400_000) if compression == "xz" else b""
    members, end = read(tmp_path / "image.tar", compress(whole[:70_000]) + padding + compress(whole[70_000:]))
    assert sound(members) == FILES
    assert end is None


@BY_COMPRESSION
def test_truncated_archive_keeps_its_good_members(tmp_path: Path, compression: str) -> None:
    data = tar(FILES, compression)
    members, end = read(tmp_path / "image.tar", data[: len(data) * 6 // 10])
    assert sound(members) == FILES[: len(members)]
    assert 1 <= len(members) < len(FILES)
    assert reason(end) == "truncated-archive"


@pytest.mark.parametrize("compression", [name for name in COMPRESSIONS if name != "plain"])
def test_flipped_bit_is_found_by_the_checksum(tmp_path: Path, compression: str) -> None:
    data = bytearray(tar(FILES, compression))
    data[len(data) // 2] ^= 1
    members, end = read(tmp_path / "image.tar", bytes(data))
    assert reason(end) == "damaged-archive"
    assert sound(members)[0] == FILES[0]


def test_wrong_checksum_behind_the_last_member_is_found(tmp_path: Path) -> None:
    data = bytearray(tar([*FILES, ("zeros.jpg", bytes(500_000))], "gz"))
    data[-8] ^= 1
    members, end = read(tmp_path / "image.tar.gz", bytes(data))
    assert sound(members)[: len(FILES)] == FILES
    assert reason(end) == "damaged-archive"


def test_wherever_it_is_cut_it_is_noticed(tmp_path: Path) -> None:
    files = [("a.jpg", b"a" * 700), ("b.jpg", b"b" * BLOCK), ("c.jpg", b"c")]
    data = tar(files)
    for cut in range(0, len(data) - len(END), 100):
        members, end = read(tmp_path / "image.tar", data[:cut])
        assert reason(end) == "truncated-archive", cut
        assert sound(members) == files[: len(members)]


@pytest.mark.parametrize(
    ("data", "word"), [(b"", "truncated-archive"), (END, "empty-archive"), (bytes(10_240), "empty-archive")]
)
def test_nothing_in_it(tmp_path: Path, data: bytes, word: str) -> None:
    members, end = read(tmp_path / "image.tar", data)
    assert (members, reason(end)) == ([], word)


@pytest.mark.parametrize("data", [b"<html>not found</html>" * 100, gzip.compress(b"hello" * 1000), b"PK\3\4" + bytes(2000)])
def test_no_tar_archive(tmp_path: Path, data: bytes) -> None:
    members, end = read(tmp_path / "image.tar.gz", data)
    assert (members, reason(end)) == ([], "damaged-archive")


@pytest.mark.parametrize("behind", [b"garbage" * 200, END + member("c.jpg", b"lost") + END])
def test_what_follows_a_broken_header_or_the_end_mark_is_not_lost_in_silence(tmp_path: Path, behind: bytes) -> None:
    members, end = read(tmp_path / "image.tar", member("a.jpg", b"a") + behind)
    assert sound(members) == [("a.jpg", b"a")]
    assert reason(end) == "damaged-archive"


@pytest.mark.parametrize("path", ["missing.tar", "."])
def test_file_that_cannot_be_opened(tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError, match=r"ingest\.images names it"):
        list(read_members(tmp_path / path, LIMITS))
