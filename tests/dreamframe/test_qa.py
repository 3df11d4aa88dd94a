"""The stage `qa`: its files, and what it sets aside after a look at the keyframes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.dreamframe.qa_for_tests import (
    add_story,
    all_bytes,
    lost_ball,
    metrics,
    prompt_of,
    quarantine,
    run_qa,
    set_up,
    with_shots,
)

VISIBLE = ("colour", "count")


def records(work: Path, story: str = "lost-ball", out: str = "questions") -> dict[str, dict[str, Any]]:
    lines = (work / out / f"{story}.jsonl").read_text(encoding="utf-8").splitlines()
    return {record["id"]: record for record in map(json.loads, lines)}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions on a story whose pictures show what they should, one picture excepted, and one that is missing."""
    work = tmp_path_factory.mktemp("qa")
    set_up(work, most_of_a_kind=9)
    add_story(work, lost_ball(), shown={"01-01-01": "a brown dog is sitting"}, missing=("02-02-02",))
    assert run_qa(work) == 0
    return work


def test_records_have_the_fields_of_the_contract(work: Path) -> None:
    found = records(work)
    record = found["01-02-02-colour-2-choice"]
    assert list(record) == [
        *("id", "story", "split", "level", "kind", "word", "question", "answer", "options", "letter", "evidence"),
        "verified_by",
    ]
    assert record["options"]["ABCD".index(record["letter"])] == record["answer"] == "Pink."
    assert record["verified_by"] == ["story", "detector"]
    assert found["01-02-02-colour-2"]["options"] is None
    assert {
        name: found["q001"][name] for name in ("story", "level", "kind", "word", "letter", "evidence", "verified_by")
    } == {
        "story": "lost-ball",
        "level": "overview",
        "kind": "overview",
        "word": "can",
        "letter": None,
        "evidence": ["01", "02"],
        "verified_by": ["story"],
    }
    assert len({record["split"] for record in found.values()}) == 1


def test_what_the_pictures_do_not_show_is_set_aside(work: Path) -> None:
    aside = quarantine(work, "questions")
    assert aside["lost-ball 01-01-01-colour-1"] == ("not-seen", "not seen in 01-01-01: a white dog")
    assert aside["lost-ball 02-02-02-colour-2"] == ("no-keyframe", "no keyframe of 02-02-02")
    found = records(work)
    assert not {name for name in found if name.startswith(("01-01-01-colour", "02-02-02-colour", "02-02-02-cast"))}
    seen = [record for record in found.values() if record["kind"] in VISIBLE]
    assert len(seen) >= 15
    assert "02-02-02-where" in found, "what the story tells needs no picture"


def test_metrics_count_what_was_written(work: Path) -> None:
    found, counted = records(work), metrics(work, "questions")
    aside = quarantine(work, "questions")
    assert counted["questions"] == len(found) == sum(counted["by_kind"].values()) == sum(counted["by_word"].values())
    assert sum(counted["by_form"].values()) == sum(counted["by_split"].values()) == len(found)
    assert counted["asked"] == counted["by_form"]["open"] + len(aside)
    assert counted["verified_share"] == pytest.approx(counted["by_form"]["open"] / counted["asked"], abs=1e-4)
    assert counted["verified_share_by_kind"]["location"] == 1
    assert 0.5 < counted["verified_share_by_kind"]["colour"] < 1
    assert counted["quarantined_by_reason"]["no-keyframe"] >= 2


def test_the_same_stories_give_the_same_bytes(work: Path) -> None:
    assert run_qa(work, "again") == 0
    assert all_bytes(work / "again") == all_bytes(work / "questions")
    assert (work / "again-quarantine.jsonl").read_bytes() == (work / "questions-quarantine.jsonl").read_bytes()


def test_another_dialogue_leaves_all_other_lines_alone(work: Path, tmp_path: Path) -> None:
    set_up(tmp_path, most_of_a_kind=9)
    new, old = "They are round. What do you expect?", "Balls do not run away. They only roll."
    changes = {"01-01-d02": new}
    add_story(tmp_path, with_shots(lost_ball(), changes), {"01-01-01": "a brown dog is sitting"}, missing=("02-02-02",))
    assert run_qa(tmp_path) == 0
    before, after = records(work), records(tmp_path)
    changed = {name for name in before if before[name] != after.get(name)}
    assert before.keys() == after.keys()
    assert changed
    for name in changed:
        assert old in json.dumps(before[name]), name


def test_without_keyframes_only_what_is_visible_is_set_aside(tmp_path: Path) -> None:
    set_up(tmp_path, detector="no/such/detector")
    add_story(tmp_path, lost_ball(), drawn=False)
    assert run_qa(tmp_path) == 0
    assert {reason for reason, _ in quarantine(tmp_path, "questions").values()} == {"no-keyframe"}
    assert not [record for record in records(tmp_path).values() if record["kind"] in VISIBLE]


def test_a_picture_of_another_prompt_is_none(tmp_path: Path) -> None:
    set_up(tmp_path, most_of_a_kind=9, max_bad_fraction=1.0)
    add_story(tmp_path, lost_ball())
    new = prompt_of("01-01-01", "a white dog is walking on")
    (tmp_path / "story" / "lost-ball.json").unlink()
    add_story(tmp_path, with_shots(lost_ball(), {"01-01-01": new}), drawn=False)
    assert run_qa(tmp_path) == 0
    assert {detail for reason, detail in quarantine(tmp_path, "questions").values() if reason == "no-keyframe"} == {
        "no keyframe of 01-01-01"
    }


def _too_much_is_bad(work: Path) -> None:
    set_up(work, max_bad_fraction=0.0)
    add_story(work, lost_ball(), drawn=False)


def _misnamed(work: Path) -> None:
    set_up(work)
    add_story(work, lost_ball(), drawn=False)
    (work / "story" / "lost-ball.json").rename(work / "story" / "found-ball.json")


def _no_stories(work: Path) -> None:
    set_up(work)
    (work / "story").mkdir()


def _fractions(work: Path) -> None:
    set_up(work, validation_fraction=0.7, test_fraction=0.7)


FAULTS: Mapping[str, tuple[Any, int, str]] = {
    "bad": (_too_much_is_bad, 1, "above max_bad_fraction"),
    "misnamed": (_misnamed, 2, "name the file lost-ball.json"),
    "no stories": (_no_stories, 2, "run the stage story"),
    "fractions": (_fractions, 2, "lower one"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    prepare, code, words = FAULTS[fault]
    prepare(tmp_path)
    assert run_qa(tmp_path) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not (tmp_path / "questions").exists()


def test_stories_go_to_splits_whole(tmp_path: Path) -> None:
    set_up(tmp_path, validation_fraction=0.4, test_fraction=0.3, most_of_a_kind=0, max_bad_fraction=1.0)
    for number in range(6):
        add_story(tmp_path, lost_ball(f"ball-{number}"), drawn=False)
    assert run_qa(tmp_path) == 0
    splits = [{record["split"] for record in records(tmp_path, f"ball-{number}").values()} for number in range(6)]
    assert all(len(split) == 1 for split in splits)
    assert len(set.union(*splits)) > 1
