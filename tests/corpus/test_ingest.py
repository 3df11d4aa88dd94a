"""Stage `ingest` as a whole: what becomes of images and captions, sound or not."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from tests.corpus.archives_for_tests import END, encoded, header, jpeg, member, picture, tar
from tests.corpus.ingest_for_tests import Run

HTML = b"<html><body>404 not found</body></html>"
FIVE = [(f"images/image_{number}.jpg", jpeg(number)) for number in range(5)]
CAPTIONS = "key,caption\n" + "".join(f"image_{number},picture number {number}\n" for number in range(5))


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The stage takes over signals; here they are given back."""
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def prepared(tmp_path: Path, archive: bytes, captions: str = CAPTIONS, run: str = "run") -> Run:
    """A run on one archive."""
    images, text = tmp_path / "image.tar.gz", tmp_path / "captions.csv"
    images.write_bytes(archive)
    text.write_text(captions, encoding="utf-8")
    return Run(tmp_path / run, images, text)


def folder_of_archives(tmp_path: Path, archives: dict[str, bytes], run: str = "run") -> Run:
    """A run on a folder of archives."""
    images = tmp_path / "raw"
    images.mkdir(exist_ok=True)
    for name, data in archives.items():
        (images / name).write_bytes(data)
    (tmp_path / "captions.csv").write_text(CAPTIONS, encoding="utf-8")
    return Run(tmp_path / run, images, tmp_path / "captions.csv")


def test_sound_input(tmp_path: Path) -> None:
    run = prepared(tmp_path, tar(FIVE, "gz"))
    assert run.start(images_per_shard=2) == 0
    assert run.metrics == {
        "archives": 1,
        "shards": 3,
        "images": 5,
        "images_captioned": 5,
        "captions": 5,
        "captions_without_image": 0,
        "captions_without_text": 0,
        "captions_cut": 0,
        "other_files_in_archives": 0,
        "quarantined": 0,
        "quarantined_by_reason": {},
    }
    names = sorted(path.name for path in (run.folder / "out").iterdir())
    assert names == ["corpus-000000.tar", "corpus-000001.tar", "corpus-000002.tar"]
    assert [sample.image for sample in run.samples.values()] == [data for _, data in FIVE]
    assert run.captions_by_name == {f"image_{number}": f"picture number {number}" for number in range(5)}
    assert run.quarantined == []


def test_index_tells_what_the_shards_hold(tmp_path: Path) -> None:
    run = prepared(tmp_path, tar(FIVE), captions="image_0,text\n")
    assert run.start(images_per_shard=2) == 0
    assert parquet.read_schema(run.folder / "index").names == [
        *("key", "shard", "captioned", "width", "height", "sha256", "source")
    ]
    assert [row["shard"] for row in run.index] == [0, 0, 1, 1, 2]
    assert [row["captioned"] for row in run.index] == [True, False, False, False, False]
    for row, sample in zip(run.index, run.samples.values(), strict=True):
        assert row["key"] == sample.key
        assert {name: sample.facts[name] for name in ("width", "height", "sha256", "source")} == {
            name: row[name] for name in ("width", "height", "sha256", "source")
        }
    assert (run.index[0]["width"], run.index[0]["height"]) == (48, 40)
    assert run.index[0]["source"] == "image.tar.gz/images/image_0.jpg"


def test_captions_find_their_images(tmp_path: Path) -> None:
    files = [("a.jpg", jpeg(0)), ("x/b.PNG", encoded(picture(1), "PNG")), ("c", jpeg(2)), ("d.jpg", jpeg(3))]
    captions = "file,caption\n".replace("file", "file_name") + "a,one\nother/b.png,two\nc.jpg,three\nnobody,four\nd,nan\n"
    run = prepared(tmp_path, tar(files), captions)
    assert run.start() == 0
    assert run.captions_by_name == {"a": "one", "b": "two", "c": "three", "d": ""}
    counted = {name: run.metrics[name] for name in ("images", "images_captioned", "captions", "captions_without_image")}
    assert counted == {"images": 4, "images_captioned": 3, "captions": 4, "captions_without_image": 1}
    assert run.metrics["captions_without_text"] == 1


def test_odd_names_become_safe_and_unique_keys(tmp_path: Path) -> None:
    names = [
        "a.b",
        "a b",
        "a_b",
        "\u732b",
        "\u72ac",
        "\U0001f9d1\u200d\U0001f680",
        "-",
        "x" * 250,
        "caf\xe9\xa0noir",
        "a\nb",
    ]
    captions = "key,caption\n" + "".join(f'"{name}",caption of {number}\n' for number, name in enumerate(names[:-1]))
    run = prepared(
        tmp_path, tar([(f"{name}.jpg"[-100:], jpeg(n)) for n, name in enumerate(names) if len(name) < 90]), captions
    )
    assert run.start() == 0
    keys = [row["key"] for row in run.index]
    assert len(set(keys)) == len(keys) == len(names) - 1
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,120}", key) for key in keys)
    assert keys[2] == "a_b"
    found = {int(caption.split()[-1]) for caption in run.captions_by_name.values() if caption}
    assert found == {0, 1, 2, 3, 4, 5, 6, 8}
    assert all(name.isprintable() for name in run.samples)


def test_other_files_are_counted_and_passed_over(tmp_path: Path) -> None:
    files = [("images/._image_0.jpg", b"\0\5\x16\7"), ("._x.png", jpeg()), ("notes.txt", b"text"), *FIVE]
    run = prepared(tmp_path, tar(files))
    assert run.start() == 0
    assert (run.metrics["images"], run.metrics["other_files_in_archives"], run.quarantined) == (5, 3, [])


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


def test_several_archives_become_one_corpus(tmp_path: Path) -> None:
    archives = {
        "b.tar.gz": tar(FIVE[3:], "gz"),
        "a.tar": tar(FIVE[:3]),
        "notes.txt": b"",
        "a.tar.dvc": b"outs:\n",
        "._a.tar": b"x",
    }
    run = folder_of_archives(tmp_path, archives)
    assert run.start(images_per_shard=2) == 0
    assert (run.metrics["archives"], run.metrics["shards"], run.metrics["quarantined"]) == (2, 3, 0)
    assert [(row["source"][:5], row["shard"]) for row in run.index] == [
        *(("a.tar", 0), ("a.tar", 0), ("a.tar", 1), ("b.tar", 2), ("b.tar", 2))
    ]
    assert run.captions_by_name == {f"image_{number}": f"picture number {number}" for number in range(5)}


def test_key_in_two_archives_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder_of_archives(tmp_path, {"a.tar": tar(FIVE[:2]), "b.tar": tar(FIVE[1:3]), "c.tar": tar(FIVE[3:])})
    assert run.start() == 2
    assert "1 keys are in more than one archive, 'image_1' in a.tar and b.tar" in capsys.readouterr().err
    assert not (run.folder / "out").exists()


def test_same_input_gives_the_same_bytes_with_any_number_of_workers(tmp_path: Path) -> None:
    archives = {"a.tar": tar([*FIVE[:3], ("bad.jpg", HTML)]), "b.tar.xz": tar(FIVE[3:], "xz")}
    runs = [folder_of_archives(tmp_path, archives, run) for run in ("first", "second", "third")]
    assert [run.start(workers, max_bad_fraction=0.5) for run, workers in zip(runs, (1, 1, 2), strict=True)] == [0, 0, 0]
    assert runs[0].results == runs[1].results == runs[2].results
    assert runs[0].start(max_bad_fraction=0.5) == 0
    assert runs[0].results == runs[1].results


def test_nothing_is_written_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "a folder with spaces" / "deep"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    names = ["../evil.jpg", "../../evil.jpg", str(tmp_path / "evil.jpg"), "..\\evil.jpg"]
    run = prepared(work, tar([*FIVE, *((name, jpeg()) for name in names)]), run="results of it")
    before = {path for path in tmp_path.rglob("*") if run.folder not in (path, *path.parents)}
    assert run.start(max_bad_fraction=0.5) == 0
    assert {path for path in tmp_path.rglob("*") if run.folder not in (path, *path.parents)} == before
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "index",
        "metrics",
        "out",
        "params.yaml",
        "parts",
        "quarantine",
    ]
    assert run.metrics["quarantined_by_reason"] == {"unsafe-path": 4}
    assert os.listdir(work) != []
