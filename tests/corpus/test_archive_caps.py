"""Image archives that unpack to too much, lie about sizes, or are damaged at random."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.archive import Member
from tests.corpus.archives_for_tests import (
    COMPRESSIONS,
    FILES,
    LIMITS,
    bomb,
    header,
    member,
    read,
    reason,
    run_in_little_memory,
    sound,
    tar,
)

BY_COMPRESSION = pytest.mark.parametrize("compression", COMPRESSIONS)


def test_too_many_members(tmp_path: Path) -> None:
    members, end = read(tmp_path / "image.tar", tar([(f"{number}.jpg", b"") for number in range(101)]))
    assert len(members) == 100
    assert end is not None
    assert (end.reason, end.detail) == ("too-many-members", "more than most_members = 100")


def test_too_large_member_is_skipped(tmp_path: Path) -> None:
    members, end = read(tmp_path / "image.tar", tar([("large.jpg", bytes(1_000_001)), *FILES]))
    assert members[0] == Member("large.jpg", problem="member-too-large", detail="1000001 bytes")
    assert sound(members) == FILES
    assert end is None


@BY_COMPRESSION
def test_archive_that_unpacks_beyond_its_cap(tmp_path: Path, compression: str) -> None:
    members, end = read(tmp_path / "image.tar", tar([*FILES, ("zeros.jpg", bytes(11_000_000))], compression))
    assert sound(members) == FILES
    assert end is not None
    assert (end.reason, end.detail) == ("archive-too-large", "unpacks to more than most_archive_bytes = 10000000")


@pytest.mark.timeout(60)
def test_member_that_claims_an_endless_size_ends_with_the_file(tmp_path: Path) -> None:
    members, end = read(tmp_path / "image.tar", member("a.jpg", b"a") + header("b.jpg", 2**60) + b"short")
    assert [item.problem for item in members] == ["", "member-too-large"]
    assert reason(end) == "truncated-archive"


def test_zstandard_window_of_a_gigabyte_is_refused(tmp_path: Path) -> None:
    data = b"\x28\xb5\x2f\xfd" + bytes([0, 20 << 3]) + zstandard.compress(b"x")[6:]
    members, end = read(tmp_path / "image.tar.zst", data)
    assert (members, reason(end)) == ([], "damaged-archive")


PAX = header("x", 2**31, tarfile.XHDTYPE)
BOMBS = {
    "large member": (header("zeros.jpg", 2_000_000_000), "archive-too-large"),
    "pax header": (PAX, "damaged-archive"),
    "global header": (header("x", 2**31, tarfile.XGLTYPE), "damaged-archive"),
    "long name": (header("x", 2**31, tarfile.GNUTYPE_LONGNAME), "damaged-archive"),
    "long link": (header("x", 2**31, tarfile.GNUTYPE_LONGLINK), "damaged-archive"),
    "pax header behind a folder that claims a size": (header("x", 2**60, tarfile.DIRTYPE) + PAX, "damaged-archive"),
    "pax header behind a link that claims a size": (header("x", 2**60, tarfile.LNKTYPE) + PAX, "damaged-archive"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
@pytest.mark.parametrize(("start", "word"), BOMBS.values(), ids=BOMBS)
def test_two_gigabytes_of_zeros_take_little_memory(tmp_path: Path, start: bytes, word: str) -> None:
    path = tmp_path / "image.tar.gz"
    path.write_bytes(bomb(start, 2_000_000_000))
    code = f"""
try:
    for item in read_members(Path({str(path)!r}), Limits(100, 1_000_000, 1_000_000_000)):
        assert not item.data
except ArchiveEnd as end:
    print(end.reason)
"""
    imports = "from pathlib import Path\nfrom tasks.corpus.archive import ArchiveEnd, Limits, read_members\n"
    assert run_in_little_memory(imports, code, growth=200_000_000) == word + "\n"


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME], ids=["pax header", "long name"])
def test_longest_header(tmp_path: Path, kind: bytes) -> None:
    fitting, longer = (member("x", b"9" * size, kind) for size in (20_000, 60_000))
    assert sound(read(tmp_path / "image.tar", fitting + tar(FILES))[0])[1:] == FILES[1:]
    assert reason(read(tmp_path / "image.tar", longer + tar(FILES))[1]) == "damaged-archive"


def test_headers_within_headers_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    data = header("x", 0, tarfile.GNUTYPE_LONGNAME) * 5000 + tar(FILES)
    assert reason(read(tmp_path / "image.tar", data)[1]) == "damaged-archive"


SMALL = [("a.jpg", bytes(range(256)) * 3), ("b" * 150 + ".jpg", b"name beyond one header"), ("c.png", b"")]
STARTS = [b"", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", member("a.jpg", b"a"), header("x", 0, b"S")]


@settings(deadline=None)
@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=2000))
def test_random_bytes_end_well_or_with_a_reason(tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes) -> None:
    members, end = read(tmp_path_factory.getbasetemp() / "random.tar", start + rest)
    assert members or end


@settings(deadline=None, max_examples=300)
@given(
    compression=st.sampled_from(list(COMPRESSIONS)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    keep=st.floats(0, 1),
)
def test_damaged_archives_end_well_or_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, compression: str, changes: list[tuple[float, int]], keep: float
) -> None:
    data = bytearray(tar(SMALL, compression))
    for place, value in changes:
        data[int(place * len(data))] = value
    members, end = read(tmp_path_factory.getbasetemp() / "damaged.tar", bytes(data[: int(keep * len(data)) + 1]))
    assert members or end
    assert all(len(item.data) <= LIMITS.most_member_bytes for item in members)
