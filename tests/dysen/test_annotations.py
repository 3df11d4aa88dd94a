"""Annotation files of video data sets, whole, odd and hostile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.common.quarantine import Quarantine
from tasks.dysen.gold_sources.annotation_rows import LONGEST_CAPTION, AnnotatedVideo, TimedSentence, seconds
from tasks.dysen.gold_sources.annotation_tables import class_in_words
from tasks.dysen.gold_sources.annotations import Format, read_annotations
from tests.dysen.annotations_for_tests import (
    ACTIVITYNET,
    CLASSES,
    MSRVTT,
    TEST_LIST,
    WEBVID,
    WEBVID_COLUMNS,
    put_all,
    webvid,
)

_FORMATS: tuple[Format, ...] = ("webvid", "msrvtt", "activitynet", "ucf101")


def _read(
    path: Path, kind: Format, split: str | None = None, most: int = 100
) -> tuple[list[AnnotatedVideo], list[dict[str, str]]]:
    """The videos, and what was set aside."""
    quarantine = Quarantine()
    videos = list(read_annotations(path, kind, split, most, quarantine))
    return videos, [json.loads(line) for line in quarantine.lines]


def _put(path: Path, content: str | bytes | dict[str, Any]) -> Path:
    data = json.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    return path


def _refused(path: Path, kind: Format, split: str | None = None) -> str:
    with pytest.raises(UserError) as error:
        _read(path, kind, split)
    assert str(error.value).isprintable()
    assert str(path.parent) in str(error.value)
    return str(error.value)


def test_webvid_rows_have_paths_and_durations(tmp_path: Path) -> None:
    videos, bad = _read(put_all(tmp_path)["webvid"], "webvid", "train")
    assert bad == []
    assert videos == [
        AnnotatedVideo("21179416", "006001_006050/21179416.mp4", ("A red car drives to the right",), (), 11.0, "train"),
        AnnotatedVideo("5629184", "071501_071550/5629184.mp4", ('A man says "hello", then leaves',), (), 12.5, "train"),
        AnnotatedVideo("1063", "1063.mp4", ("Frohe Ostern – ein Huhn",), (), None, "train"),
    ]


def test_msrvtt_rows_have_all_captions_of_their_split(tmp_path: Path) -> None:
    path = put_all(tmp_path)["msrvtt"]
    videos, bad = _read(path, "msrvtt", "test")
    captions = ("a dog chases a red ball", "a ball is chased by a dog")
    assert (videos, bad) == ([AnnotatedVideo("video7010", "video7010.mp4", captions, (), 10.5, "test")], [])
    assert [video.split for video in _read(path, "msrvtt")[0]] == ["train", "test"]
    assert "no video of the split 'validate'" in _refused(path, "msrvtt", "validate")


def test_activitynet_rows_have_sentences_in_the_order_of_time(tmp_path: Path) -> None:
    videos, bad = _read(put_all(tmp_path)["activitynet"], "activitynet", "train")
    assert bad == []
    assert videos[0].captions == tuple(text.strip() for text in ACTIVITYNET["v_QOlSCBRmfWY"]["sentences"])
    assert videos[0].duration_s == 82.73
    assert videos[1].segments == (
        TimedSentence(0.0, 30.0, "A dog runs."),
        TimedSentence(28.0, 61.7, "Then a cat sleeps."),
    )
    assert videos[1].path == "v_ehGHCYKzyZ8.mp4"


def test_ucf101_rows_tell_their_class_in_a_sentence(tmp_path: Path) -> None:
    videos, bad = _read(put_all(tmp_path)["ucf101"], "ucf101")
    assert bad == []
    assert [(video.id, video.captions[0], video.split) for video in videos] == [
        ("v_ApplyEyeMakeup_g08_c01", "A person is doing apply eye makeup.", "train"),
        ("v_HandStandPushups_g08_c01", "A person is doing handstand pushups.", "train"),
        ("v_PlayingGuitar_g08_c01", "A person is playing guitar.", "train"),
    ]
    assert videos[0].path == "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi"
    tests = _put(tmp_path / "testlist01.txt", TEST_LIST)
    assert [(video.id, video.split) for video in _read(tests, "ucf101")[0]] == [("v_ApplyEyeMakeup_g01_c01", "test")]
    assert "no video of the split 'train'" in _refused(tests, "ucf101", "train")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ApplyEyeMakeup", "apply eye makeup"),
        ("YoYo", "yo yo"),
        ("TaiChi", "tai chi"),
        ("Biking", "biking"),
        ("playingABCGuitar2", "playing abc guitar 2"),
    ],
)
def test_class_names_are_split_into_words(name: str, words: str) -> None:
    assert class_in_words(name) == words


@pytest.mark.parametrize("kind", _FORMATS)
def test_marks_of_byte_order_and_ends_of_lines_do_not_matter(tmp_path: Path, kind: Format) -> None:
    path = put_all(tmp_path)[kind]
    plain = _read(path, kind)
    content = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + content)
    (tmp_path / "classInd.txt").write_bytes(b"\xef\xbb\xbf" + CLASSES.replace("\r\n", "\n").encode())
    assert _read(path, kind) == plain


def test_columns_may_stand_in_any_order_and_others_beside_them(tmp_path: Path) -> None:
    content = webvid([("x", "a dog", "7", "http://u", "d")], ("extra", " Name ", "VIDEOID", "contentUrl", "page_dir"))
    videos, _ = _read(_put(tmp_path / "a.csv", content), "webvid")
    assert videos == [AnnotatedVideo("7", "d/7.mp4", ("a dog",))]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("9", "", "1", "d", ""), "no-caption"),
        (("9", "", "1", "d", "NaN"), "no-caption"),
        (("9", "", "1", "d", " \0\t "), "no-caption"),
        (("", "", "1", "d", "a dog"), "no-id"),
        (("nan", "", "1", "d", "a dog"), "no-id"),
        (("9" * 400, "", "1", "d", "a dog"), "no-id"),
        (("21179416", "", "1", "d", "the same again"), "repeated"),
        (("9", "", "1", "d", "x" * (LONGEST_CAPTION + 1)), "too-long"),
    ],
)
def test_a_bad_row_is_set_aside_and_the_others_stay(tmp_path: Path, row: tuple[str, ...], reason: str) -> None:
    content = WEBVID + webvid([row], ("x",)).split("\n", 1)[1]  # type: ignore[list-item]
    videos, bad = _read(_put(tmp_path / "a.csv", content), "webvid")
    assert len(videos) == 3
    assert bad[0]["reason"] == reason


def test_a_row_without_its_columns_is_set_aside(tmp_path: Path) -> None:
    videos, bad = _read(_put(tmp_path / "a.csv", WEBVID + "12,http://u\n\n"), "webvid")
    assert (len(videos), [item["reason"] for item in bad]) == (3, ["columns"])


def test_only_the_bad_caption_of_a_video_is_set_aside(tmp_path: Path) -> None:
    content = json.loads(json.dumps(MSRVTT))
    for caption in (17, None, "x" * 3000, "\ud800", "a dog chases a red ball"):
        content["sentences"].append({"caption": caption, "video_id": "video7010"})
    content["sentences"] += [7, {"caption": "of nobody"}]
    content["videos"] += ["video", {"video_id": ["a"], "split": "test"}, {"video_id": "video8", "split": "test"}]
    videos, bad = _read(_put(tmp_path / "a.json", content), "msrvtt", "test")
    assert videos == _read(put_all(tmp_path)["msrvtt"], "msrvtt", "test")[0]
    assert sorted(item["reason"] for item in bad) == [
        "no-caption",
        "no-id",
        "no-id",
        "no-id",
        "no-id",
        "no-text",
        "too-long",
    ]


@pytest.mark.parametrize(
    ("times", "kept"),
    [
        ([0, 30], True),
        (["3.5", 30], True),
        ([0, 1e3], True),
        ([30, 30], False),
        ([40, 30], False),
        ([-1, 30], False),
        ([100, 110], False),
        ([float("nan"), 30], False),
        ([0, float("inf")], False),
        ([True, 30], False),
        ([0], False),
        (None, False),
        ("0 30", False),
    ],
)
def test_times_that_are_none_are_set_aside(tmp_path: Path, times: object, kept: bool) -> None:
    content = {"v": {"duration": 90, "timestamps": [[0, 20], times], "sentences": ["A dog runs.", "A cat sits."]}}
    videos, bad = _read(_put(tmp_path / "a.json", content), "activitynet")
    assert [segment.end_s for segment in videos[0].segments] == (
        [20.0, min(90.0, videos[0].segments[-1].end_s)] if kept else [20.0]
    )
    assert [item["reason"] for item in bad] == ([] if kept else ["times"])


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (7, "no-sentences"),
        ({}, "times"),
        ({"duration": float("nan"), "timestamps": [[0, 1]], "sentences": ["A dog."]}, "times"),
        ({"duration": 0, "timestamps": [[0, 1]], "sentences": ["A dog."]}, "times"),
        ({"duration": 9, "timestamps": [[0, 1], [1, 2]], "sentences": ["A dog."]}, "times"),
        ({"duration": 9, "timestamps": {}, "sentences": "A dog."}, "times"),
        ({"duration": 9, "timestamps": [], "sentences": []}, "no-caption"),
    ],
)
def test_a_video_without_sentences_in_time_is_set_aside(tmp_path: Path, entry: object, reason: str) -> None:
    videos, bad = _read(_put(tmp_path / "a.json", {**ACTIVITYNET, "bad": entry}), "activitynet")
    assert (len(videos), [item["reason"] for item in bad]) == (2, [reason])


def test_a_key_that_stands_twice_counts_once(tmp_path: Path) -> None:
    text = json.dumps(ACTIVITYNET)[:-1] + ', "v_ehGHCYKzyZ8": {"duration": 1}}'
    videos, bad = _read(_put(tmp_path / "a.json", text), "activitynet")
    assert (len(videos), [item["reason"] for item in bad]) == (2, ["repeated"])


@pytest.mark.parametrize("line", ["Unknown/v_a_g01_c01.avi 1", "ApplyEyeMakeup/v_b.avi 2", "v_c.avi", "\x1b[2J/../x"])
def test_a_list_with_a_video_of_no_class(tmp_path: Path, line: str) -> None:
    path = put_all(tmp_path)["ucf101"]
    path.write_text(path.read_text() + line + "\n")
    videos, bad = _read(path, "ucf101")
    assert (len(videos), [item["reason"] for item in bad]) == (3, ["class"])


@pytest.mark.parametrize(
    ("kind", "content", "hint"),
    [
        ("webvid", "", "the columns are missing"),
        ("webvid", "id,caption\n1,a dog\n", "the columns are id, caption; expected WebVid's CSV"),
        ("webvid", "\x1b[31m\n", "the columns are"),
        ("webvid", WEBVID.encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        ("webvid", ",".join(WEBVID_COLUMNS) + '\n1,u,1,d,"' + "x" * 1_100_000, "double every quote"),
        ("webvid", ",".join(WEBVID_COLUMNS) + "\n", "there is no video that can be used"),
        ("msrvtt", "{", "expected MSR-VTT's videodatainfo.json"),
        ("msrvtt", "[]", "holds no JSON object"),
        ("msrvtt", {"videos": []}, "the lists videos and sentences are missing"),
        ("activitynet", b"\xff\xfe{\x00}\x00", "not UTF-8 text"),
        ("activitynet", "[" * 100_000, "expected JSON of ActivityNet Captions"),
        ("activitynet", '{"v": {"duration": ' + "9" * 5000 + "}}", "expected JSON of ActivityNet Captions"),
        ("activitynet", {}, "there is no video that can be used"),
    ],
)
def test_a_file_of_another_kind_ends_with_a_hint(
    tmp_path: Path, kind: Format, content: str | bytes | dict[str, Any], hint: str
) -> None:
    assert hint in _refused(_put(tmp_path / "file", content), kind)


@pytest.mark.parametrize("kind", _FORMATS)
def test_a_missing_file_ends_with_a_hint(tmp_path: Path, kind: Format) -> None:
    assert "No such file or directory; expected" in _refused(tmp_path / "missing", kind)
    assert "Is a directory" in _refused(tmp_path, kind) or kind == "ucf101"


def test_a_list_without_its_classes_ends_with_a_hint(tmp_path: Path) -> None:
    path = put_all(tmp_path)["ucf101"]
    (tmp_path / "classInd.txt").write_text("nothing\n")
    assert "classInd.txt: there is no class in it" in _refused(path, "ucf101")


def test_what_comes_behind_the_last_wanted_video_is_not_read(tmp_path: Path) -> None:
    path = _put(tmp_path / "a.csv", WEBVID + '"' + "x" * 2_000_000)
    assert [video.id for video in _read(path, "webvid", most=3)[0]] == ["21179416", "5629184", "1063"]
    assert [video.id for video in _read(path, "webvid", most=1)[0]] == ["21179416"]


def test_a_file_of_nothing_but_bad_rows_is_given_up(tmp_path: Path) -> None:
    path = _put(tmp_path / "a.csv", webvid([(str(number), "", "", "", "") for number in range(10_000)]))
    with pytest.raises(UserError, match="103 rows that cannot be used, the last one for no-caption"):
        _read(path, "webvid", most=2)


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("PT00H01M05S", 65.0),
        ("PT2H", 7200.0),
        ("PT1.5S", 1.5),
        ("PT", None),
        (" 12.5 ", 12.5),
        (3, 3.0),
        ("1e400", None),
        (10**400, None),
        (None, None),
        ([], None),
        (-1, None),
        ("", None),
    ],
)
def test_times_in_many_forms(value: object, time: float | None) -> None:
    assert seconds(value) == time


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.just("video0"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["videos", "sentences", "video_id", "caption", "duration", "timestamps", "split", "v"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def _is_read_or_refused(path: Path, kind: Format) -> bool:
    """Whether each row can be used, or one line says why there is none."""
    try:
        videos, _ = _read(path, kind)
    except UserError as error:
        return str(error).isprintable()
    return all(text.isprintable() and text for video in videos for text in (video.id, *video.captions))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_JSON, st.sampled_from(["msrvtt", "activitynet"]))
def test_any_json_is_read_or_refused_in_one_line(tmp_path: Path, value: object, kind: Format) -> None:
    assert _is_read_or_refused(_put(tmp_path / "any.json", json.dumps(value)), kind)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=60), st.text(alphabet='a1,"\n\r\0 é\ud800', max_size=60)), st.booleans())
def test_any_table_is_read_or_refused_in_one_line(tmp_path: Path, content: bytes | str, header: bool) -> None:
    path = _put(tmp_path / "trainlist01.txt", content)
    if header:
        path.write_bytes((",".join(WEBVID_COLUMNS) + "\n").encode() + path.read_bytes())
    (tmp_path / "classInd.txt").write_text("1 a\n")
    assert _is_read_or_refused(path, "webvid")
    assert _is_read_or_refused(path, "ucf101")
