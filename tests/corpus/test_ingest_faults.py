"""Stage `ingest` as a whole: bad images, bad archives, missing input, and what it says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.archives_for_tests import END, HTML, header, jpeg, tar
from tests.corpus.ingest_for_tests import FIVE, folder_of_archives, prepared


def test_bad_images_are_set_aside_with_a_reason(tmp_path: Path) -> None:
    bad = {
        "html.jpg": (HTML, "not-an-image"),
        "empty.png": (b"", "not-an-image"),
        "cut.jpg": (jpeg()[:-200], "damaged"),
        "thin.jpg": (jpeg(size=(400, 31)), "too-small"),
        "wide.jpg": (jpeg(size=(400, 300)), "too-many-pixels"),
        "large.jpg": (jpeg() + bytes(100_000), "member-too-large"),
        "../../up.jpg": (jpeg(), "unsafe-path"),
        "again/image_0.png": (jpeg(), "duplicate-key"),
    }
    files = [*FIVE, *((name, data) for name, (data, _) in bad.items())]
    link = header("link.jpg", 0, b"2", link="/etc/passwd")
    run = prepared(tmp_path, link + tar(files))
    assert run.start(max_bad_fraction=0.7, most_pixels=100_000, most_member_bytes=90_000) == 0
    expected = [("link.jpg", "not-a-regular-file"), *((name, word) for name, (_, word) in bad.items())]
    assert run.quarantined == [(f"image.tar.gz/{name}", word) for name, word in expected]
    assert (run.metrics["images"], run.metrics["quarantined"]) == (5, 9)
    assert run.metrics["quarantined_by_reason"]["not-an-image"] == 2
    assert run.samples["image_0"].image == FIVE[0][1]


def test_too_many_bad_images_fail_and_name_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = prepared(tmp_path, tar([*FIVE, ("bad.jpg", HTML)]))
    assert run.start(max_bad_fraction=0.16) == 1
    said = capsys.readouterr().err
    assert "1 of 6 items are bad (16.7%), above max_bad_fraction 16.0%" in said
    assert str(run.folder / "quarantine") in said
    assert run.quarantined == [("image.tar.gz/bad.jpg", "not-an-image")]
    assert not (run.folder / "out").exists()
    assert run.start(max_bad_fraction=0.17) == 0


@pytest.mark.parametrize(
    ("archive", "item"),
    [(b"", "image.tar.gz"), (END, "image.tar.gz"), (HTML, "image.tar.gz"), (tar([("a.jpg", HTML)]), "image.tar.gz/a.jpg")],
    ids=["no bytes", "no members", "no archive", "no image"],
)
def test_no_usable_image_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str], archive: bytes, item: str) -> None:
    run = prepared(tmp_path, archive)
    assert run.start(max_bad_fraction=1.0) == 1
    assert "not one usable image" in capsys.readouterr().err
    assert [name for name, _ in run.quarantined] == [item]


@pytest.mark.parametrize(("missing", "words"), [("images", "ingest.images"), ("captions", "ingest.captions")])
def test_missing_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str, words: str) -> None:
    run = prepared(tmp_path, tar(FIVE))
    getattr(run, missing).unlink()
    assert run.start() == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(getattr(run, missing)) in said
    assert words in said


def test_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder_of_archives(tmp_path, {"readme.txt": b"", ".hidden.tar": tar(FIVE), "image.tar.gz.dvc": b"outs:\n"})
    assert run.start() == 2
    assert "no .tar archive in this folder" in capsys.readouterr().err


def test_truncated_archive_keeps_its_good_images(tmp_path: Path) -> None:
    run = prepared(tmp_path, tar(FIVE)[: -len(END) - 600])
    assert run.start(max_bad_fraction=0.3) == 0
    assert list(run.samples) == ["image_0", "image_1", "image_2", "image_3"]
    assert run.quarantined == [("image.tar.gz", "truncated-archive")]


def test_key_in_two_archives_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder_of_archives(tmp_path, {"a.tar": tar(FIVE[:2]), "b.tar": tar(FIVE[1:3]), "c.tar": tar(FIVE[3:])})
    assert run.start() == 2
    assert "more than one archive (1 in all), 'image_1' in a.tar and b.tar" in capsys.readouterr().err
    assert not (run.folder / "out").exists()


def test_nothing_is_written_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "a folder with spaces" / "deep"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    names = ["../evil.jpg", "../../evil.jpg", str(tmp_path / "evil.jpg"), "..\\evil.jpg"]
    run = prepared(work, tar([*FIVE, *((name, jpeg()) for name in names)]), run="results of it")
    before = {path for path in tmp_path.rglob("*") if run.folder not in (path, *path.parents)}
    assert run.start(max_bad_fraction=0.5) == 0
    assert {path for path in tmp_path.rglob("*") if run.folder not in (path, *path.parents)} == before
    names = sorted(path.name for path in run.folder.iterdir())
    assert names == ["index", "metrics", "out", "params.yaml", "parts", "provenance", "quarantine"]
    assert run.metrics["quarantined_by_reason"] == {"unsafe-path": 4}
