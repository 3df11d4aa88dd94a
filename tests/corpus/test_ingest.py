"""Stage `ingest` as a whole: archives and captions to shards and an index."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet

from tests.corpus.archives_for_tests import HTML, encoded, jpeg, picture, tar
from tests.corpus.ingest_for_tests import FIVE, folder_of_archives, prepared


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
    captions = "file_name,caption\na,one\nother/b.png,two\nc.jpg,three\nnobody,four\nd,nan\n"
    run = prepared(tmp_path, tar(files), captions)
    assert run.start() == 0
    assert run.captions_by_name == {"a": "one", "b": "two", "c": "three", "d": ""}
    counted = {name: run.metrics[name] for name in ("images", "images_captioned", "captions", "captions_without_image")}
    assert counted == {"images": 4, "images_captioned": 3, "captions": 4, "captions_without_image": 1}
    assert run.metrics["captions_without_text"] == 1


ODD_NAMES = ["a.b", "a b", "a_b", "\u732b", "\u72ac", "\U0001f9d1\u200d\U0001f680", "-", "caf\xe9\xa0noir", "x" * 310]


def test_odd_names_become_safe_and_unique_keys_and_keep_their_captions(tmp_path: Path) -> None:
    captions = "key,caption\n" + "".join(f"{name},number {number}\n" for number, name in enumerate(ODD_NAMES))
    run = prepared(tmp_path, tar((f"{name}.jpg", jpeg(number)) for number, name in enumerate(ODD_NAMES)), captions)
    assert run.start() == 0
    keys = [row["key"] for row in run.index]
    assert len(set(keys)) == len(ODD_NAMES)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,120}", key) for key in keys)
    assert keys[2] == "a_b"
    assert list(run.captions_by_name.values()) == [f"number {number}" for number in range(len(ODD_NAMES))]
    assert all(name.isprintable() for name in run.samples)


def test_line_breaks_in_names_do_not_break_the_lists(tmp_path: Path) -> None:
    run = prepared(tmp_path, tar([("one\ntwo\x1b[31m.jpg", jpeg()), ("three\nfour.jpg", HTML)]))
    assert run.start(max_bad_fraction=0.5) == 0
    assert list(run.samples) == ["one\\ntwo\\x1b[31m"]
    assert run.quarantined == [("image.tar.gz/three\\nfour.jpg", "not-an-image")]


def test_other_files_are_counted_and_passed_over(tmp_path: Path) -> None:
    files = [("images/._image_0.jpg", b"\0\5\x16\7"), ("._x.png", jpeg()), ("notes.txt", b"text"), *FIVE]
    run = prepared(tmp_path, tar(files))
    assert run.start() == 0
    assert (run.metrics["images"], run.metrics["other_files_in_archives"], run.quarantined) == (5, 3, [])


def test_several_archives_become_one_corpus(tmp_path: Path) -> None:
    others = {"notes.txt": b"", "a.tar.dvc": b"outs:\n", "._a.tar": b"x"}
    archives = {"b.tar.gz": tar(FIVE[3:], "gz"), "a.tar": tar(FIVE[:3]), **others}
    run = folder_of_archives(tmp_path, archives)
    assert run.start(images_per_shard=2) == 0
    assert (run.metrics["archives"], run.metrics["shards"], run.metrics["quarantined"]) == (2, 3, 0)
    assert [(row["source"][:5], row["shard"]) for row in run.index] == [
        *(("a.tar", 0), ("a.tar", 0), ("a.tar", 1), ("b.tar", 2), ("b.tar", 2))
    ]
    assert run.captions_by_name == {f"image_{number}": f"picture number {number}" for number in range(5)}


def test_same_input_gives_the_same_bytes_with_any_number_of_workers(tmp_path: Path) -> None:
    archives = {"a.tar": tar([*FIVE[:3], ("bad.jpg", HTML)]), "b.tar.xz": tar(FIVE[3:], "xz")}
    runs = [folder_of_archives(tmp_path, archives, run) for run in ("first", "second", "third")]
    assert [run.start(workers, max_bad_fraction=0.5) for run, workers in zip(runs, (1, 1, 2), strict=True)] == [0, 0, 0]
    assert runs[0].results == runs[1].results == runs[2].results
    assert runs[0].start(max_bad_fraction=0.5) == 0
    assert runs[0].results == runs[1].results


def test_published_archives_and_captions_have_this_form(tmp_path: Path) -> None:
    """SA-1B: `./sa_N.jpg` beside `./sa_N.json` in a plain tar; captions in parquet with `key` and `caption`."""
    files = [(f"./sa_{n}.{ending}", jpeg(n) if ending == "jpg" else b"{}") for n in (11, 12) for ending in ("jpg", "json")]
    run = prepared(tmp_path, tar(files))
    table = pyarrow.table({"key": ["sa_12", "sa_11"], "caption": ["The image features a dog.", "The image features a car."]})
    parquet.write_table(table, run.captions)
    assert run.start() == 0
    assert run.captions_by_name == {"sa_11": "The image features a car.", "sa_12": "The image features a dog."}
    assert (run.metrics["images"], run.metrics["other_files_in_archives"]) == (2, 2)
