"""Caption files as users have them: separators, quotes, encodings, parquet, and what is refused."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.corpus.captions import MOST_CHARACTERS, Captions, normal_key, read_captions

EXPECTED = {"image_1": "a red square", "image_2": "two cats"}


def read(folder: Path, data: bytes | str) -> Captions:
    """The captions in a file of this content."""
    path = folder / "captions.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_captions(path)


def read_table(folder: Path, **columns: object) -> Captions:
    """The captions in a parquet file of these columns, which has a misleading name."""
    path = folder / "captions.csv"
    parquet.write_table(pyarrow.table(columns), path)
    return read_captions(path)


@pytest.mark.parametrize(
    "text",
    [
        "image_1,a red square\nimage_2,two cats\n",
        "image_1,a red square\nimage_2,two cats",
        "key,caption\nimage_1,a red square\nimage_2,two cats\n",
        "\ufeffkey,caption\r\nimage_1,a red square\r\nimage_2,two cats\r\n",
        "\ufeffimage_1,a red square\r\n\r\nimage_2,two cats\r\n",
        "key,caption\rimage_1,a red square\rimage_2,two cats\r",
        " Image , TEXT \n image_1 ,  a   red square \n\n   \nimage_2,two\tcats\n",
        "file_name,caption\nimages/image_1.jpg,a red square\nC:\\images\\image_2.PNG,two cats\n",
        "caption,key\na red square,image_1\ntwo cats,image_2\n",
        "id,score,caption,address\nimage_1,0.5,a red square,x\nimage_2,0.5,two cats,y\n",
        '"key","caption"\n"image_1","a red square"\n"image_2","two\ncats"\n',
        "image_1 a red square\nimage_2 two cats\n",
        "image_1\ta red square\nimage_2\ttwo cats\n",
        "key\tcaption\nimage_1\ta red square\nimage_2\ttwo cats\n",
        "\n\nkey caption\n\nimage_1 a red square\nimage_2 two cats\n",
        "image_1.jpg  a red square\r\nimage_2.webp two cats\r\n",
    ],
)
def test_ways_to_write_the_same_captions(tmp_path: Path, text: str) -> None:
    captions = read(tmp_path, text)
    assert captions.by_key == EXPECTED
    assert (captions.without_text, captions.cut) == (0, 0)


@pytest.mark.parametrize(
    ("line", "caption"),
    [
        ('a,"one, two"', "one, two"),
        ("a,one, two, three", "one, two, three"),
        ('a,"she said ""hello"", twice"', 'she said "hello", twice'),
        ('a,"first line\r\nsecond line"', "first line second line"),
        ("a\tone, two", "one, two"),
        ("a one, two", "one, two"),
        ('a a 6" ruler', 'a 6" ruler'),
        ("a,nul\0inside", "nul inside"),
        ("a,\U0001f9d1\u200d\U0001f680 waves \U0001f44b\U0001f3fd", "\U0001f9d1\u200d\U0001f680 waves \U0001f44b\U0001f3fd"),
        ("a,\u0643\u0644\u0628 \u05d7\u05ea\u05d5\u05dc", "\u0643\u0644\u0628 \u05d7\u05ea\u05d5\u05dc"),
        ("a,<script>alert(1)</script> =1+1", "<script>alert(1)</script> =1+1"),
    ],
)
@pytest.mark.parametrize("heading", ["", "header"])
def test_text_of_a_caption_is_kept(tmp_path: Path, heading: str, line: str, caption: str) -> None:
    separator = "," if line[1] == "," else line[1]
    first = f"key{separator}caption\n" if heading else ""
    assert read(tmp_path, first + line + "\n").by_key == {"a": caption}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my image.jpg,a cat\n", {"my image": "a cat"}),
        ("my image\ta cat, asleep\n", {"my image": "a cat, asleep"}),
        ("id\tcaption\tscore\na\ta cat\t0.5\n", {"a": "a cat"}),
        ("cafe\u0301.jpg,decomposed\n", {"caf\u00e9": "decomposed"}),
    ],
)
def test_keys_with_spaces_tabs_and_accents(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    assert read(tmp_path, text).by_key == expected


@pytest.mark.parametrize("text", ['a,"never closed\nb,two\nc,three\n', 'a,one\nb,"in "the" middle"\n'])
def test_broken_quotes_are_refused_by_row(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"row [12]"):
        read(tmp_path, text)


def test_utf_16_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="UTF-16"):
        read(tmp_path, "key,caption\na,one\n".encode("utf-16"))


def test_latin_1_bytes_are_replaced(tmp_path: Path) -> None:
    assert read(tmp_path, "a,caf\xe9 noir\nb,plain\n".encode("latin-1")).by_key == {"a": "caf\ufffd noir", "b": "plain"}


@pytest.mark.parametrize("nothing", ["", "  ", "nan", "NaN", "None", "null", "N/A", '""', "\0"])
def test_empty_captions_are_counted(tmp_path: Path, nothing: str) -> None:
    captions = read(tmp_path, f"key,caption\na,{nothing}\nb,nano robots\nc,\n")
    assert captions.by_key == {"b": "nano robots"}
    assert captions.without_text == 2


def test_row_with_a_key_alone_is_counted(tmp_path: Path) -> None:
    captions = read(tmp_path, "key,caption\na\nb,text\n")
    assert (captions.by_key, captions.without_text) == ({"b": "text"}, 1)


def test_huge_caption_is_cut_and_counted(tmp_path: Path) -> None:
    captions = read(tmp_path, f"a,{'long ' * 200_000}\nb,{'x' * MOST_CHARACTERS}\n")
    assert len(captions.by_key["a"]) == len(captions.by_key["b"]) == MOST_CHARACTERS
    assert captions.by_key["a"].startswith("long long")
    assert captions.cut == 1


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("key,caption\na,one\nb,two\na,three\n", "row 2 and row 4"),
        ("a,one\nimages/a.jpg,two\n", "row 1 and row 2"),
        ("a one\nb two\na.png three\n", "row 1 and row 3"),
        ("a,nan\na,two\n", "row 1 and row 2"),
    ],
)
def test_key_twice_names_both_rows(tmp_path: Path, text: str, rows: str) -> None:
    with pytest.raises(UserError, match=f"captions.csv: key 'a' is in {rows}; delete one of them"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no captions; write one `key,caption` line per image"),
        ("\ufeff\r\n \n", "no captions"),
        ("key,caption\n", "no captions"),
        ("a,\nb,nan\n", "no captions"),
        ("a,one\n,two\n", "row 2 has no key"),
        ("a,one\n.jpg,two\n", "row 2 has no key"),
        ("id,score,caption\na,1,one\nb,2\n", "row 3 has 2 columns, the header 3"),
    ],
)
def test_refused_text(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_file_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"ingest\.captions names it"):
        read_captions(tmp_path / name)


def test_parquet_is_told_by_content(tmp_path: Path) -> None:
    keys, texts = ["image_1.jpg", "image_2", "c", "d"], ["a red  square", "two cats", None, "nan"]
    captions = read_table(tmp_path, score=[0.1, 0.2, 0.3, 0.4], text=texts, image=keys)
    assert (captions.by_key, captions.without_text) == (EXPECTED, 2)


@pytest.mark.parametrize(
    ("keys", "texts", "expected"),
    [
        ([7, 8], ["x", "y"], {"7": "x", "8": "y"}),
        ([b"a", b"b"], [b"x", b"caf\xe9"], {"a": "x", "b": "caf\ufffd"}),
        (["a", "b"], [1.5, math.nan], {"a": "1.5"}),
    ],
)
def test_parquet_column_types(tmp_path: Path, keys: list[object], texts: list[object], expected: dict[str, str]) -> None:
    assert read_table(tmp_path, key=keys, caption=texts).by_key == expected


def test_parquet_key_twice_names_both_rows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="key 'a' is in row 1 and row 3"):
        read_table(tmp_path, key=["a", "b", "a.jpg"], caption=["x", "y", "z"])


def test_parquet_with_other_columns_names_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="columns are url, caption; expected `key` and `caption`"):
        read_table(tmp_path, url=["x"], caption=["y"])


def test_parquet_without_rows_or_keys(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no captions"):
        read_table(tmp_path, key=pyarrow.array([], pyarrow.string()), caption=pyarrow.array([], pyarrow.string()))
    with pytest.raises(UserError, match="row 1 has no key"):
        read_table(tmp_path, key=pyarrow.array([None], pyarrow.string()), caption=["x"])


@pytest.mark.parametrize("keep", [4, 8, 100, -1])
def test_truncated_parquet_is_refused(tmp_path: Path, keep: int) -> None:
    read_table(tmp_path, key=["a"], caption=["x"])
    data = (tmp_path / "captions.csv").read_bytes()
    with pytest.raises(UserError, match=r"captions\.csv: .*ingest\.captions names it"):
        read(tmp_path, data[:keep])


@pytest.mark.parametrize(
    ("key", "normal"),
    [(" a ", "a"), ("x/y/a.JPEG", "a"), ("x\\a.webp", "a"), ("a.b.jpg", "a.b"), ("a.gif", "a.gif"), ("a.jpg.png", "a.jpg")],
)
def test_normal_key(key: str, normal: str) -> None:
    assert normal_key(key) == normal


KEYS = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=80)


@settings(deadline=None)
@given(captions=st.dictionaries(KEYS, TEXTS.filter(lambda text: text.strip()), min_size=1, max_size=8))
def test_what_a_csv_writer_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, captions: dict[str, str]) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerows([("key", "caption"), *captions.items()])
    expected = {key: " ".join(text.split()) for key, text in captions.items()}
    expected = {key: text for key, text in expected.items() if text.lower() not in ("nan", "none", "null", "n/a")}
    if expected:
        assert read(tmp_path_factory.getbasetemp(), file.getvalue()).by_key == expected


STARTS = [b"", b"key,caption\n", b"a,b\n", b"PAR1", b"\xff\xfe", b"\xef\xbb\xbf"]


@settings(deadline=None)
@given(data=st.binary(max_size=300), start=st.sampled_from(STARTS))
def test_random_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, start: bytes) -> None:
    captions = Captions({})
    with contextlib.suppress(UserError):
        captions = read(tmp_path_factory.getbasetemp(), start + data)
    assert all(key and text.strip() for key, text in captions.by_key.items())
