"""Replies as models really write them: many ways to write the same, slips that are mended and counted, and the way back."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.lvd.direct_templates import render_reply
from tasks.lvd.errors import PlanError
from tasks.lvd.layout import CANVAS_PIXELS, DynamicSceneLayout, LayoutObject
from tasks.lvd.tolerant_parser import MOST_NAME, Parsed, parse_reply
from tests.lvd.replies_for_tests import (
    BOAT,
    EXPECTED,
    JSON_BOAT,
    JSON_FRAMES,
    JSON_KITE,
    JSON_PLAIN,
    KITE,
    PLAIN,
    identities,
    item,
    objects,
    parse,
)


def one_frame(listed: str) -> Parsed:
    """What becomes of one frame's list."""
    return parse(f"Frame 1: {listed}\nBackground keyword: lake", frames=1)


def test_the_format_of_the_template() -> None:
    assert objects(parse(PLAIN)) == EXPECTED
    layout = parse(PLAIN).layout
    assert (layout.prompt, layout.planner) == ("a kite over a boat", "test")
    assert (layout.reasoning, layout.background) == ("The kite hovers.", "lake")


WAYS = {
    "as asked": PLAIN,
    "JSON lists": PLAIN.replace("'", '"'),
    "JSON object": JSON_PLAIN,
    "JSON over many lines": json.dumps(json.loads(JSON_PLAIN), indent=4),
    "JSON with prose around": f"Sure! {{}} Here it is:\n\n{JSON_PLAIN}\n\nI hope {{this}} helps.",
    "JSON in a fence": f"```json\n{JSON_PLAIN}\n```",
    "frames by name": JSON_PLAIN.replace(
        JSON_FRAMES, f'{{"Frame 1": [{JSON_KITE}, {JSON_BOAT}], "frame_2": [{JSON_KITE}], "3": []}}'
    ),
    "frames as keys": f'{{"Reasoning": "The kite hovers.", "Frame 1": [{JSON_KITE}, {JSON_BOAT}], "Frame 2": [{JSON_KITE}],'
    ' "Frame 3": [], "Background keyword": "lake"}',
    "frames with objects": JSON_PLAIN.replace(
        JSON_FRAMES,
        f'[{{"frame": 1, "objects": [{JSON_KITE}, {JSON_BOAT}]}}, {{"objects": [{JSON_KITE}]}}, {{"objects": []}}]',
    ),
    "JSON in an object": f'{{"layout": {JSON_PLAIN}}}',
    "a Python dictionary": str(json.loads(JSON_PLAIN)),
    "an object that is cut off": JSON_PLAIN.removesuffix("}"),
    "an object with a comma too many": JSON_PLAIN.replace("]}, {", "],}, {"),
    "fence": f"```\n{PLAIN}\n```",
    "fence with prose": f"Here you are.\n```python\n{PLAIN}\n```\nTell me if you want changes.",
    "a fence for each frame": re.sub(r"(Frame \d:) (.*)", r"\1\n```json\n\2\n```", PLAIN),
    "thoughts first": f"<think>Perhaps\nFrame 1: [{BOAT}]\nFrame 2: []\nFrame 3: []\n</think>\n{PLAIN}",
    "bold": PLAIN.replace("Frame 1:", "**Frame 1:**")
    .replace("Frame 2:", "**Frame 2**:")
    .replace("ground keyword:", "ground:**"),
    "headings": PLAIN.replace("Frame ", "### Frame "),
    "bullets": PLAIN.replace("Frame ", "- Frame ").replace("Background", "* Background"),
    "leading -": re.sub(r"(Frame \d:) ", r"\1 - ", PLAIN),
    "back-ticks": PLAIN.replace("[{", "`[{").replace("}]", "}]`"),
    "lower case": PLAIN.replace("Frame", "frame").replace("Background keyword", "background"),
    "space before the colon": PLAIN.replace("1:", "1 :").replace("2:", "2 :").replace("3:", "3 ="),
    "frame of frames": PLAIN.replace("1:", "1/3:").replace("2:", "2 / 3:").replace("3:", "3 (1.0 s):", 1),
    "no space": re.sub(r"Frame (\d): ", r"Frame_\1:", PLAIN),
    "Windows lines": PLAIN.replace("\n", "\r\n"),
    "blank lines": PLAIN.replace("\n", "\n\n"),
    "lists on the next lines": re.sub(r"(Frame \d:) ", r"\1\n", PLAIN).replace("[{", "[\n  {").replace("}, {", "},\n  {"),
    "objects on the next lines": PLAIN.replace(f"[{KITE}, {BOAT}]", f"\n- {KITE}\n- {BOAT}").replace(f"[{KITE}]", KITE),
    "comments with a dash": PLAIN.replace("}]", "}] - the kite's place [it hovers]"),
    "comments with a hash": PLAIN.replace("}]", "}]  # the kite's [place"),
    "comments inside": PLAIN.replace(f"[{KITE}, ", f"[{KITE},  # the kite's place ]\n "),
    "trailing commas": PLAIN.replace("}]", "},]").replace("40]", "40, ]"),
    "keyword for name": PLAIN.replace("'name'", "'keyword'"),
    "boxes as tuples": PLAIN.replace("[10, 20, 30, 40]", "(10, 20, 30, 40)"),
    "boxes as objects": PLAIN.replace("[10, 20, 30, 40]", "{'x': 10, 'y': 20, 'w': 30, 'h': 40}"),
    "boxes as objects, in words": PLAIN.replace("[10, 20, 30, 40]", "{'width': 30, 'height': 40, 'x': 10, 'y': 20}"),
    "boxes of texts": PLAIN.replace("[10, 20, 30, 40]", "['10', ' 20.0', '3e1', '40']"),
    "boxes as text": PLAIN.replace("[10, 20, 30, 40]", "'[10, 20, 30, 40]'"),
    "floats": PLAIN.replace("[10, 20, 30, 40]", "[10.0, 2e1, 30., 40]"),
    "more keys": PLAIN.replace("'id'", "'colour': None, 'visible': True, 'id'"),
    "background first": "\n".join(PLAIN.splitlines()[line] for line in (4, 0, 1, 2, 3)),
    "background in quotes": PLAIN.replace("keyword: lake", "keyword:\n  'lake'."),
}


@pytest.mark.parametrize("text", WAYS.values(), ids=WAYS)
def test_ways_to_write_the_same_layout(text: str) -> None:
    parsed = parse(text)
    assert objects(parsed) == EXPECTED
    assert parsed.layout.background == "lake"
    assert "kite hovers" in parsed.layout.reasoning or "thoughts" in text
    assert set(parsed.repairs) <= {"syntax"}


MENDED = {
    "keys without quotes": PLAIN.replace("'id'", "id").replace("'name'", "name"),
    "smart quotes": PLAIN.replace("'name'", "“name”"),
    "an unclosed list": PLAIN.replace("}]\nFrame 2", "}\nFrame 2"),
    "an unclosed object": PLAIN.replace("50]}]", "50]]"),
    "a missing comma": PLAIN.replace("}, {", "} {"),
    "slash comments": PLAIN.replace(f"{KITE}, ", f"{KITE}, // one\n"),
}


@pytest.mark.parametrize("text", MENDED.values(), ids=MENDED)
def test_damaged_lists_are_mended_and_counted(text: str) -> None:
    parsed = parse(text)
    assert objects(parsed) == EXPECTED
    assert set(parsed.repairs) == {"syntax"}


def test_an_apostrophe_in_single_quotes() -> None:
    parsed = parse(PLAIN.replace("'kite'", "'child's kite'"))
    assert [item[1] for item in objects(parsed)[0]] == ["child's kite", "boat"]


OTHER_REPAIRS: list[tuple[str, list[str]]] = [
    (PLAIN.removesuffix("\nBackground keyword: lake"), ["no-background"]),
    (PLAIN.removesuffix(" lake"), ["no-background"]),
    (JSON_PLAIN.replace(', "background": "lake"', ""), ["no-background"]),
    (JSON_PLAIN.replace('"lake"', "[1]"), ["no-background"]),
    (PLAIN.replace("Background", "Frame 4: [nonsense\nFrame 5: []\nBackground"), ["extra-frame", "extra-frame"]),
    (JSON_PLAIN.replace("[]]", "[], [{}], []]"), ["extra-frame", "extra-frame"]),
    (f"{PLAIN}\nFrame 1: []\nFrame 2: []\nFrame 3: []\nBackground keyword: lake", ["repeated-frames"]),
    (f"Reasoning: The kite hovers. So Frame 1: [{BOAT}] or so.\n{PLAIN}", ["repeated-frames"]),
    (PLAIN.replace("Frame 3", "Frame 2: [1]\nFrame 3"), []),
    (PLAIN.replace("1:", "0:").replace("2:", "1:").replace("3:", "2:"), ["renumbered"]),
]


@pytest.mark.parametrize(("text", "repairs"), OTHER_REPAIRS)
def test_repairs_of_the_whole_reply(text: str, repairs: list[str]) -> None:
    parsed = parse(text)
    assert objects(parsed) == EXPECTED
    assert list(parsed.repairs) == repairs


FRAME_REPAIRS: list[tuple[str, list[str], list[tuple[int, str]]]] = [
    (item(box=[10, 20, 0, 40]), ["empty-box"], []),
    (item(box=[10, 20, 30, -40]), ["empty-box"], []),
    (item(box=[10, 20, -30, 40]), ["empty-box"], []),
    (item(box=[10, 20, 30]), ["bad-box"], []),
    (item(box=[1, 2, 3, 4, 5]), ["bad-box"], []),
    (item(box=[10, 20, "wide", 40]), ["bad-box"], []),
    (item(box=[10, 20, True, 40]), ["bad-box"], []),
    (item(box=[10, 20, None, [40]]), ["bad-box"], []),
    (item(box=[10, 20, 30, 2_000_000]), ["bad-box"], []),
    (item(box=[10**400, 20, 30, 40]), ["bad-box"], []),
    (item(box={"x": 10, "y": 20, "w": 30}), ["bad-box"], []),
    (item(box="10 by 20"), ["bad-box"], []),
    (item(box=None), ["bad-box"], []),
    ("{'id': 2, 'name': 'kite'}", ["bad-box"], []),
    (item().replace("30", "1e309"), ["bad-box"], []),
    (item().replace("30", "NaN"), ["syntax", "bad-box"], []),
    (item(box=["nan", "inf", "-inf", "1e309"]), ["bad-box"], []),
    (item(box=[-100, 20, 50, 40]), ["off-canvas"], []),
    (item(box=[512, 20, 50, 40]), ["off-canvas"], []),
    (item(box=[10, 600, 50, 40]), ["off-canvas"], []),
    ("7, 'kite', ['kite', [1, 2, 3, 4]], None, 1j, b'x', ...", ["bad-object"] * 7, []),
    ("{'id': 0, 'box': [1, 2, 3, 4]}", ["no-name"], []),
    (item(name=""), ["no-name"], []),
    (item(name="\x00\x1b\n"), ["no-name"], []),
    (item(name=7), ["no-name"], []),
    (item("2"), ["id"], [(2, "kite")]),
    (item(2.0), ["id"], [(2, "kite")]),
    (item(" 2.0 "), ["id"], [(2, "kite")]),
    (item("kite_a") + "," + item("kite_b"), ["id", "id"], [(0, "kite"), (1, "kite")]),
    (item(-1) + "," + item(0.5) + "," + item(10**7), ["id", "id", "id"], [(0, "kite"), (1, "kite"), (2, "kite")]),
    (item(None) + "," + item([1]) + "," + item(True), ["no-id"] * 3, [(0, "kite"), (1, "kite"), (2, "kite")]),
    (item(10**50) + "," + item(10**50), ["id", "id", "duplicate-id"], [(0, "kite"), (1, "kite")]),
    (item(10**400), ["no-id"], [(0, "kite")]),
    (item(0) + "," + item(0), ["duplicate-id"], [(0, "kite"), (1, "kite")]),
    (item("0") + "," + item(0.0), ["id", "id", "duplicate-id"], [(0, "kite"), (1, "kite")]),
    (item(name="  a\n kite "), ["name"], [(0, "a kite")]),
    (item(name="k" * 100), ["name"], [(0, "k" * MOST_NAME)]),
]


@pytest.mark.parametrize(("listed", "repairs", "expected"), FRAME_REPAIRS)
def test_repairs_of_one_object(listed: str, repairs: list[str], expected: list[tuple[int, str]]) -> None:
    found = one_frame(f"[{listed}, {item(9, 'post', (0, 0, 5, 5))}]")
    assert list(found.repairs) == repairs
    assert [(number, name) for number, name, _ in objects(found)[0]] == [*expected, (9, "post")]


def frames_of(*frames: list[tuple[Any, str]]) -> Parsed:
    """Frames of objects, each an id and a name."""
    lines = [f"Frame {i}: [{', '.join(item(*pair) for pair in pairs)}]" for i, pairs in enumerate(frames, start=1)]
    return parse("\n".join([*lines, "Background: lake"]), frames=len(frames))


def test_new_ids_are_stable_over_frames_and_order() -> None:
    found = frames_of([(0, "kite"), (0, "boat")], [(0, "boat"), (0, "kite")], [(0, "boat")], [(1, "tree"), (0, "boat")])
    assert identities(found) == [
        [(0, "kite"), (2, "boat")],
        [(2, "boat"), (0, "kite")],
        [(2, "boat")],
        [(1, "tree"), (2, "boat")],
    ]
    assert Counter(found.repairs) == {"duplicate-id": 4}


def test_twins_with_one_id_stay_two_objects() -> None:
    found = frames_of([(0, "kite"), (0, "kite")], [(0, "kite"), (0, "kite")], [(0, "kite")])
    assert identities(found) == [[(0, "kite"), (1, "kite")], [(0, "kite"), (1, "kite")], [(0, "kite")]]


def test_the_first_name_of_an_id_holds() -> None:
    found = frames_of([(3, "kite")], [(3, "red kite")], [(3, "kite"), (4, "red kite")], [(3, "red kite")])
    assert identities(found) == [[(3, "kite")], [(3, "kite")], [(3, "kite"), (4, "red kite")], [(3, "kite")]]
    assert Counter(found.repairs) == {"renamed": 2}


def test_objects_without_ids_are_known_by_their_names() -> None:
    found = frames_of([(None, "kite"), (None, "boat")], [(None, "boat")], [(0, "tree"), (None, "kite"), (None, "boat")])
    assert identities(found) == [[(1, "kite"), (2, "boat")], [(2, "boat")], [(0, "tree"), (1, "kite"), (2, "boat")]]


def test_words_as_ids_keep_their_object() -> None:
    found = frames_of([("a", "kite"), ("b", "kite")], [("b", "red kite"), ("a", "kite")])
    assert identities(found) == [[(0, "kite"), (1, "kite")], [(1, "kite"), (0, "kite")]]


def test_a_name_may_be_given_once() -> None:
    later = "{'id': 0, 'box': [5, 6, 7, 8]}"
    found = parse(f"Frame 1: [{KITE}]\nFrame 2: [{later}]\nBackground: lake", frames=2)
    assert identities(found) == [[(0, "kite")], [(0, "kite")]]
    assert found.repairs == ("name",)


CLIPS: list[tuple[tuple[float, ...], tuple[float, ...]]] = [
    ((-10, 20, 30, 40), (0, 20, 20, 40)),
    ((10, -20, 30, 40), (10, 0, 30, 20)),
    ((500, 20, 30, 40), (500, 20, 12, 40)),
    ((10, 500, 30, 40), (10, 500, 30, 12)),
    ((-5, -5, 600, 600), (0, 0, 512, 512)),
    ((511.5, 0, 1, 1), (511.5, 0, 0.5, 1)),
]


@pytest.mark.parametrize(("given_box", "left"), CLIPS)
def test_boxes_are_clipped_to_the_canvas(given_box: tuple[float, ...], left: tuple[float, ...]) -> None:
    found = one_frame(f"[{item(box=given_box)}]")
    assert objects(found)[0][0][2] == left
    assert found.repairs == ("clipped",)


@given(st.lists(st.floats(-1e6, 1e6) | st.integers(-600, 1_100), min_size=4, max_size=4))
def test_whatever_the_box_what_is_left_is_its_part_on_the_canvas(box: list[float]) -> None:
    found = one_frame(f"[{item(box=box)}, {item(1, 'post', (0, 0, 5, 5))}]")
    kites = [item for item in found.layout.frames[0] if item.id == 0]
    x, y, width, height = box
    assert len(kites) == int(min(width, height) > 0 and max(x, 0) < min(x + width, 512) and max(y, 0) < min(y + height, 512))
    for kite in kites:
        left, top, wide, high = kite.box
        assert (left, top) == (max(x, 0), max(y, 0))
        assert min(wide, high) > 0
        assert left + wide == pytest.approx(min(x + width, CANVAS_PIXELS), abs=1e-6)
        assert top + high == pytest.approx(min(y + height, CANVAS_PIXELS), abs=1e-6)


words = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=MOST_NAME)
plain_words = (
    st.text(alphabet="abcdefgh ijkl é", min_size=1, max_size=40).map(lambda text: " ".join(text.split())).filter(bool)
)


@st.composite
def layouts(draw: st.DrawFn) -> DynamicSceneLayout:
    """Layouts on the canvas, with objects that come and go and keep their names."""
    names = draw(st.dictionaries(st.integers(0, 1_000_000), words, min_size=1, max_size=5))
    frames = draw(st.lists(st.lists(st.sampled_from(sorted(names)), unique=True), min_size=2, max_size=8))
    number = st.integers(0, 400) | st.floats(0, 400)
    size = st.integers(1, 100) | st.floats(0.5, 100)
    return DynamicSceneLayout(
        prompt="a prompt",
        frames=tuple(
            tuple(LayoutObject(id=i, name=names[i], box=draw(st.tuples(number, number, size, size))) for i in frame)
            for frame in frames
        ),
        background=draw(plain_words),
        reasoning=draw(plain_words),
        planner="test",
    )


@settings(max_examples=300, deadline=None)
@given(layouts(), st.sampled_from(["text", "json"]))
def test_a_rendered_layout_comes_back(layout: DynamicSceneLayout, reply_format: Any) -> None:
    parsed = parse_reply(render_reply(layout, reply_format), "a prompt", len(layout.frames), "test")
    assert parsed.layout == layout
    assert parsed.repairs == ()


@settings(max_examples=100, deadline=None)
@given(layouts(), st.sampled_from(["text", "json"]), st.data())
def test_a_reply_that_is_cut_off_is_refused_or_short_of_words_only(
    layout: DynamicSceneLayout, reply_format: Any, data: st.DataObject
) -> None:
    whole = render_reply(layout, reply_format)
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        parsed = parse_reply(cut, "a prompt", len(layout.frames), "test")
    except PlanError:
        return
    assert parsed.layout.frames[:-1] == layout.frames[:-1]
