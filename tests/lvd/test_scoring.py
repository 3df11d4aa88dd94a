"""From layouts to counts, and from original reply caches to layouts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.errors import UserError
from tasks.lvd.benchmark_prompts import BenchmarkPrompt, benchmark_prompts, read_prompts
from tasks.lvd.expectations import TASKS
from tasks.lvd.layout import DynamicSceneLayout
from tasks.lvd.layout_hygiene import Hygiene, examine
from tasks.lvd.original_replies import layout_of_reply, read_original_replies
from tasks.lvd.reply_parser import LayoutReplyError, ParsedReply
from tasks.lvd.scoring import MODES, Attempt, SetAside, score
from tests.lvd.layouts_for_tests import along, layout, reply, still

COMES = along(0, 50, 100, 150, 200, 250)
GOES = along(250, 200, 150, 100, 50, 0)


def prompts(folder: Path, *lines: dict[str, object]) -> list[BenchmarkPrompt]:
    (folder / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_prompts(folder / "prompts.jsonl")


def moving(prompt: str, noun: str, to: str = "right") -> dict[str, object]:
    return {"task": "dynamic_spatial", "prompt": prompt, "expectation": {"kind": "one_direction", "object": noun, "to": to}}


ONE_CAR = {"task": "numeracy", "prompt": "One car.", "expectation": {"kind": "numeracy", "object": "car", "count": 1}}


def test_the_next_layout_is_judged_at_the_next_time_a_prompt_is_asked(tmp_path: Path) -> None:
    asked = prompts(tmp_path, moving("An ant.", "ant"), ONE_CAR, moving("An ant", "ant"), moving("An ant.", "ant"))
    attempts: dict[str, list[Attempt]] = {
        "An ant": [layout(("ant", COMES)), layout(("ant", GOES)), layout(("ant", COMES))],
        "One car": [layout(("car", still((0, 0, 600, 9))))],
    }
    found = score(asked, attempts)
    assert [verdict.compatible for verdict in found.verdicts] == [True, True, False, True]
    assert found.counts("strict") == {**dict.fromkeys(TASKS, 0), "numeracy": 1, "dynamic_spatial": 2, "total": 3}
    assert found.prompts() == {**dict.fromkeys(TASKS, 0), "numeracy": 1, "dynamic_spatial": 3, "total": 4}
    assert found.distinct_prompts() == {**dict.fromkeys(TASKS, 0), "numeracy": 1, "dynamic_spatial": 1, "total": 2}
    assert found.distinct_counts("compatible") == {**dict.fromkeys(TASKS, 0), "numeracy": 1, "total": 1}
    assert found.hygiene == Hygiene(layouts=4, out_of_frame=1, off_canvas=0, overlapping=0, zero_size_boxes=0)


def test_the_two_modes_are_counted_apart(tmp_path: Path) -> None:
    asked = prompts(tmp_path, moving("An ant.", "ant"))
    found = score(asked, {"An ant": [layout(("ant", along(0, 1, 2, 3, 4, 600)))]})
    assert [found.counts(mode)["total"] for mode in MODES] == [1, 0]
    assert [found.distinct_counts(mode)["total"] for mode in MODES] == [1, 0]


def test_the_only_layout_may_serve_every_time(tmp_path: Path) -> None:
    asked = prompts(tmp_path, *[moving("An ant.", "ant")] * 3)
    only: dict[str, list[Attempt]] = {"An ant": [layout(("ant", COMES))]}
    served = score(asked, only, one_serves_all=True)
    assert served.counts("strict")["total"] == 3
    assert served.hygiene.layouts == 1
    two: dict[str, list[Attempt]] = {"An ant": [layout(("ant", COMES))] * 2}
    for found, passes in ((score(asked, only), 1), (score(asked, two, one_serves_all=True), 2)):
        assert found.counts("strict")["total"] == passes
        assert found.problems() == {("missing", "An ant."): 3 - passes}


def test_what_is_missing_unreadable_or_too_short_fails_and_is_named(tmp_path: Path) -> None:
    asked = prompts(tmp_path, *[moving("An ant.", "ant")] * 4)
    short = layout(("ant", along(0, 10, 20, 30, 40)))
    attempts: dict[str, list[Attempt]] = {
        "An ant": [SetAside("no_layout", "why"), layout(("ant", COMES)), short],
        "Else": [short],
    }
    found = score(asked, attempts)
    assert [verdict.strict for verdict in found.verdicts] == [False, True, False, False]
    assert found.problems() == {
        ("no_layout (why)", "An ant."): 1,
        ("too_short (5 frames, fewer than 6)", "An ant."): 1,
        ("missing", "An ant."): 1,
    }
    assert found.unused == {"Else": 1}


def test_layouts_that_nobody_asked_for_are_counted(tmp_path: Path) -> None:
    found = score(prompts(tmp_path, ONE_CAR), {"One car": [layout()] * 3, "Two cars": [layout()]})
    assert found.unused == {"One car": 2, "Two cars": 1}


def test_hygiene() -> None:
    inside, empty = (0, 0, 512, 512), (7, 7, 0, 7)
    sets = [
        layout(("a", still(inside))),
        layout(("a", still((0, 0, 513, 1)))),
        layout(("a", still((512, 0, 1, 1)))),
        layout(("a", still((-5, 0, 5, 1)))),
        layout(("a", still(inside)), ("b", still((511, 511, 1, 1)))),
        layout(("a", still((0, 0, 9, 9))), ("b", still((9, 0, 9, 9)))),
        layout(("a", [empty, *still()[1:]]), ("b", [(0, 0, 512, 90), *[None] * 5])),
    ]
    assert examine(sets) == Hygiene(layouts=7, out_of_frame=3, off_canvas=2, overlapping=1, zero_size_boxes=1)


KITE = "[{'id': 0, 'name': 'kite', 'box': [10, 20, 30, 40]}]"


def cache(folder: Path, **replies: list[str]) -> Path:
    path = folder / "cache_lvd_v0.1_some-model.json"
    path.write_text(json.dumps({prompt.replace("_", " "): texts for prompt, texts in replies.items()}, indent=4))
    return path


def test_replies_become_layouts(tmp_path: Path) -> None:
    found = read_original_replies(
        cache(tmp_path, A_kite=[reply(KITE, "[]", KITE), reply(KITE, background=" hill")], An_owl=[])
    )
    assert found.cut == ()
    assert found.quarantine().lines == []
    first, second = found.layouts()
    assert first.prompt == "A kite"
    assert (first.background, second.background) == ("meadow", "hill")
    assert (first.reasoning, first.planner) == ("It drifts.", "cache_lvd_v0.1_some-model")
    assert [len(frame) for frame in first.frames] == [1, 0, 1, 1, 1, 1]
    assert first.frames[0][0].model_dump() == {"id": 0, "name": "kite", "box": (10, 20, 30, 40)}


def test_a_cut_background_becomes_empty_and_is_told(tmp_path: Path) -> None:
    cut, cut_too = reply(*[KITE] * 5, "[]", background=" mea"), reply(*[KITE] * 5, "[]", background=" mead")
    whole = [reply(KITE, background=" sky"), reply(*[KITE] * 5, "[]", background=" ocean")]
    found = read_original_replies(cache(tmp_path, A_kite=[cut, *whole, cut_too]))
    assert [layout.background for layout in found.layouts()] == ["", "sky", "ocean", ""]
    assert [(item.prompt, item.place, item.rest) for item in found.cut] == [("A kite", 0, "mea"), ("A kite", 3, "mead")]
    assert [json.loads(line) for line in found.quarantine().lines] == [
        {"item": "A kite (reply 1)", "reason": "background_cut", "detail": "mea"},
        {"item": "A kite (reply 4)", "reason": "background_cut", "detail": "mead"},
    ]


def test_what_cannot_be_taken_over_keeps_its_place(tmp_path: Path) -> None:
    texts = ["Sorry.", reply(KITE), reply("[kite]"), reply("[{'id': 0, 'name': 'kite', 'box': [1, 2, 3]}]")]
    found = read_original_replies(cache(tmp_path, A_kite=texts))
    assert [type(attempt) for attempt in found.attempts["A kite"]] == [SetAside, DynamicSceneLayout, SetAside, SetAside]
    assert found.quarantine().reasons == {"missing_marker": 1, "not_a_literal": 1, "not_a_layout": 1}


def test_names_are_made_text_and_other_keys_left_out() -> None:
    objects = [{"id": "3", "keyword": 7, "box": (1, 2.5, 3, 4), "mood": "calm"}]
    found = layout_of_reply("p", ParsedReply("", (objects, (), [], [], [], []), " sea and sky"))
    assert found.frames[0][0].model_dump() == {"id": 3, "name": "7", "box": (1, 2.5, 3, 4)}
    assert found.background == "sea and sky"


GOOD = {"id": 0, "name": "kite", "box": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (None, "frame 1 is a NoneType"),
        ({"id": 0}, "frame 1 is a dict"),
        (["kite"], "an object is a str"),
        ([{**GOOD, "name": None}], "valid string"),
        ([{**GOOD, "name": "\ud800"}], "string"),
        ([{**GOOD, "name": 1 << 100_000}], "valid string"),
        ([{**GOOD, "name": float("nan")}], "valid string"),
        ([{**GOOD, "id": -1}], "greater than or equal to 0"),
        ([{**GOOD, "id": "the first"}], "valid integer"),
        ([{**GOOD, "box": "1234"}], "not a list of numbers"),
        ([{**GOOD, "box": [1, 2, 3, "4"]}], "not a list of numbers"),
        ([{**GOOD, "box": [1, 2, 3, True]}], "not a list of numbers"),
        ([{**GOOD, "box": [1, 2, 3, 1e400]}], "finite"),
        ([{**GOOD, "box": [1, 2, 3, 10**400]}], "valid number|less than"),
        ([{"id": 0, "name": "kite"}], "not a list of numbers"),
        ([GOOD] * 65, "at most 64"),
    ],
)
def test_hostile_frames(frame: object, message: str) -> None:
    with pytest.raises(LayoutReplyError, match=message) as caught:
        layout_of_reply("p", ParsedReply("", (frame, *[[]] * 5), " sea"))
    assert caught.value.reason == "not_a_layout"


LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "name", "keyword", "box"]), inner),
)


@settings(max_examples=50)
@given(st.lists(LITERALS, min_size=6, max_size=6), st.text())
def test_any_literal_is_a_layout_or_refused(frames: list[object], rest: str) -> None:
    parsed = ParsedReply("", tuple(frames), rest)
    try:
        found = layout_of_reply("p", parsed)
    except LayoutReplyError:
        return
    assert [len(frame) for frame in found.frames] == [len(frame) for frame in frames if isinstance(frame, list)]


def test_what_is_no_reply_cache(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1, 2]")
    for name in ("none.json", "list.json"):
        with pytest.raises(UserError, match=name):
            read_original_replies(tmp_path / name)


def test_an_empty_benchmark_run_fails_everywhere() -> None:
    found = score(benchmark_prompts(), {})
    assert found.counts("compatible") == found.counts("strict") == {**dict.fromkeys(TASKS, 0), "total": 0}
    assert sum(found.problems().values()) == 500
    assert found.distinct_prompts() == {
        "numeracy": 20,
        "attribution": 97,
        "visibility": 10,
        "dynamic_spatial": 37,
        "sequential": 20,
        "total": 184,
    }
