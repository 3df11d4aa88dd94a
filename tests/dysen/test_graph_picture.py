"""Pictures of graph sequences: sound, escaped, self-contained, complete, and without labels that hide each other."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.dysen.gold_sources.gold_sprites import sprite_gold
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, DynamicSceneGraph, Event, SceneGraph, Triplet, scene_graph
from tasks.dysen.graphs.events_to_graphs import graphs_of
from tasks.dysen.graphs.graph_edits import merge
from tasks.dysen.pictures.graph_picture import GraphPicture, draw_graphs, save_pictures
from tasks.dysen.pictures.graph_timeline import MOST_BARS, MOST_ENTITIES, Bar, timeline_of
from tasks.dysen.pictures.picture_places import MARGIN, NAMES, WIDTH, Rectangle, lanes_of, links_of
from tasks.dysen.pictures.svg_elements import INKS
from tasks.dysen.pictures.text_width import shortened, text_width, wrapped
from tasks.spriteworld.clips import render_clip
from tests.dysen.graphs_for_tests import (
    DRINK,
    EVENTS,
    LOOK,
    PROMPT,
    SIT,
    events_of_terms,
    few_terms,
    lasting,
    scene_graphs,
    terms,
)

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>\"'&]]><!--\x00\x1b[31m\u202e\ud800￾"
DRESS = Triplet(subject="lady", predicate="in", object="dress")
PLANNED = DynamicSceneGraph(prompt=PROMPT, events=EVENTS, ticks=graphs_of(EVENTS))
LOOKS = scene_graph([DRESS], [Attribute(object="dress", attribute="red")])
ENRICHED = PLANNED.model_copy(update={"ticks": tuple(merge(tick, LOOKS) for tick in PLANNED.ticks)})


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 - our own text


def words(picture: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def number(element: ElementTree.Element, name: str) -> float:
    return float(element.get(name, "0"))


def rectangles(picture: ElementTree.Element, round_by: str) -> list[Rectangle]:
    """Those of bars (4) or tags (8.5)."""
    found = [element for element in picture.iter(f"{SVG}rect") if element.get("rx") == round_by]
    corners = [(number(item, "x"), number(item, "y"), number(item, "width"), number(item, "height")) for item in found]
    return [Rectangle(x, y, x + width, y + height) for x, y, width, height in corners]


def lettering(picture: ElementTree.Element) -> Iterator[Rectangle]:
    """Where each text is at most, as far as its letters go."""
    for element in picture.iter(f"{SVG}text"):
        size = float(element.get("font-size", "12"))
        width = text_width(element.text or "", size, element.get("font-weight") == "bold")
        x, y = number(element, "x"), number(element, "y")
        left = {"start": x, "middle": x - width / 2, "end": x - width}[element.get("text-anchor", "start")]
        yield Rectangle(left + 0.1, y - 0.75 * size, left + width - 0.1, y + 0.2 * size)


def inside(inner: Rectangle, outer: Rectangle) -> bool:
    return outer.x0 <= inner.x0 and outer.y0 <= inner.y0 and inner.x1 <= outer.x1 and inner.y1 <= outer.y1


def disjoint(boxes: Sequence[Rectangle]) -> bool:
    return not any(one.touches(other) for one, other in combinations(boxes, 2))


def check(text: str) -> ElementTree.Element:
    """A sound picture: no text hides another or leaves the picture, bars do not touch, and labels are in or beside them."""
    picture = parsed(text)
    whole = Rectangle(0, 0, number(picture, "width"), number(picture, "height"))
    letters, bars, tags = list(lettering(picture)), rectangles(picture, "4"), rectangles(picture, "8.5")
    assert disjoint(letters)
    assert disjoint([*bars, *tags])
    assert all(inside(box, whole) for box in [*letters, *bars, *tags])
    assert all(inside(box, other) for box in letters for other in [*bars, *tags] if box.touches(other))
    return picture


def graph_of(events: Sequence[Event], prompt: str = "a prompt") -> DynamicSceneGraph:
    return DynamicSceneGraph(prompt=prompt, events=tuple(events), ticks=graphs_of(events))


def test_a_relation_that_lasts_is_one_bar() -> None:
    timeline = timeline_of(PLANNED)
    spans = {bar.triplet: (bar.first, bar.last) for bar in timeline.bars}
    assert len(timeline.bars) == len(EVENTS)
    assert (spans[SIT], spans[DRINK], spans[LOOK]) == ((0, 5), (1, 1), (3, 5))
    assert {bar.kind for bar in timeline.bars} == {"event"}
    picture = check(draw_graphs(PLANNED))
    assert len(rectangles(picture, "4")) == len(EVENTS)
    assert words(picture).count("sitting on chair") == 1
    assert [word for word in words(picture) if word.isdecimal()] == list("012345")
    assert {"lady", "chair", "coffee", "friend", "window"} <= set(words(picture))


def test_a_bar_reaches_over_the_columns_of_its_ticks() -> None:
    column = (WIDTH - MARGIN - NAMES) / 6
    (bar,) = [bar for lane in lanes_of(timeline_of(PLANNED), 0) for bar in lane.bars if bar.bar.triplet == LOOK]
    assert bar.box.x0 == pytest.approx(NAMES + 3 * column, abs=4)
    assert bar.box.x1 == pytest.approx(NAMES + 6 * column, abs=4)


def test_links_lead_from_a_bar_to_the_lane_of_its_target() -> None:
    lanes = lanes_of(timeline_of(PLANNED), 0)
    lines = {lane.entity.name: lane.line for lane in lanes}
    bars = [bar for lane in lanes for bar in lane.bars]
    links = links_of(lanes)
    assert len(links) == len(EVENTS)
    assert sorted(link.end for link in links) == sorted(lines[bar.bar.triplet.object] for bar in bars)
    assert all(
        any(bar.box.x0 < link.x < bar.box.x1 and link.start in (bar.box.y0, bar.box.y1) for bar in bars) for link in links
    )


def test_what_enrichment_added_has_its_colour_and_a_legend() -> None:
    picture = check(draw_graphs(PLANNED, ENRICHED))
    colours = [element.get("fill") for element in picture.iter(f"{SVG}rect") if element.get("rx") in ("4", "8.5")]
    assert colours.count(INKS["added"].fill) == 2  # the bar "in dress" and the tag "red"
    assert colours.count(INKS["event"].fill) == len(EVENTS)
    assert {"in dress", "red", "added by enrichment"} <= set(words(picture))
    assert "added by enrichment" not in words(parsed(draw_graphs(PLANNED)))
    assert [entity.name for entity in timeline_of(PLANNED, ENRICHED).entities if set(entity.present) == {"added"}] == [
        "dress"
    ]


def test_what_enrichment_removed_and_prolonged_is_told() -> None:
    near = Triplet(subject="lady", predicate="near", object="window")
    planned = DynamicSceneGraph(
        prompt="p", events=(lasting(SIT, 0, 1),), ticks=(scene_graph([SIT, near]), scene_graph([SIT]))
    )
    enriched = planned.model_copy(update={"ticks": (scene_graph([SIT]), scene_graph([SIT]), scene_graph([SIT]))})
    bars = {(bar.text, bar.kind, bar.first, bar.last) for bar in timeline_of(planned, enriched).bars}
    assert bars == {
        ("sitting on chair", "event", 0, 1),
        ("sitting on chair", "added", 2, 2),
        ("near window", "removed", 0, 0),
    }
    assert "removed by enrichment" in words(check(draw_graphs(planned, enriched)))


def test_places_and_the_scene_are_no_entities_unless_they_act() -> None:
    events = [Event(agent="red car", predicate="move to", target="upper left", start=0, end=2)]
    events.append(Event(agent="red car", predicate="stay in", target="scene", start=2, end=3))
    assert [entity.name for entity in timeline_of(graph_of(events)).entities] == ["red car"]
    assert not any(bar.linked for bar in timeline_of(graph_of(events)).bars)
    events.append(Event(agent="scene", predicate="has", target="sun", start=0, end=3))
    assert {entity.name for entity in timeline_of(graph_of(events)).entities} == {"red car", "scene", "sun"}


def test_attributes_tell_their_ticks_if_they_do_not_last() -> None:
    dog, wet = Attribute(object="dog", attribute="brown"), Attribute(object="dog", attribute="wet")
    ticks = (scene_graph([], [dog]), scene_graph([], [dog, wet]), scene_graph([], [dog, wet]), scene_graph([], [dog]))
    (entity,) = timeline_of(DynamicSceneGraph(prompt="p", ticks=ticks)).entities
    assert [tag.text for tag in entity.tags] == ["brown", "wet 1–2"]


def test_hostile_prompts_are_text() -> None:
    graph = PLANNED.model_copy(update={"prompt": HOSTILE * 40})
    text = draw_graphs(graph)
    picture = check(text)
    assert {element.tag for element in picture.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "title", "g", "rect", "line", "text", "circle")
    }
    assert "<script>" in "".join(words(picture))
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800-\udfff\ufffe]", text)
    assert text.encode()


def test_nothing_from_elsewhere_is_named() -> None:
    picture = parsed(draw_graphs(PLANNED, ENRICHED, np.zeros((6, 8, 8, 3), np.uint8)))
    for element in picture.iter():
        assert not any(name.lower().startswith("on") or "style" in name for name in element.attrib)
        assert all(value.startswith("data:image/png;base64,") for name, value in element.attrib.items() if "href" in name)
    assert {element.get("font-family") for element in picture.iter()} - {None} == {"sans-serif"}


@pytest.mark.parametrize(("count", "shown"), [(8, 8), (3, 8), (20, 8), (1, 8)])
def test_frames_stand_under_their_ticks(count: int, shown: int) -> None:
    clip, graph = sprite_gold("a", 0)
    frames = np.stack([np.full((6, 12, 3), 10 * index, np.uint8) for index in range(count)])
    picture = check(draw_graphs(graph, frames=frames))
    images = list(picture.iter(f"{SVG}image"))
    assert len(images) == shown
    numbers = [element for element in picture.iter(f"{SVG}text") if (element.text or "").isdecimal()]
    for image, tick in zip(images, numbers, strict=True):
        assert number(image, "x") + number(image, "width") / 2 == pytest.approx(number(tick, "x"), abs=1)
        assert number(image, "height") == pytest.approx(number(image, "width") / 2, abs=0.1)
    pixels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(image.get("href", "").split(",")[1])))) for image in images]
    assert [int(picture[0, 0, 0]) for picture in pixels] == [10 * round(tick * (count - 1) / 7) for tick in range(8)]
    assert len(list(parsed(draw_graphs(graph, frames=render_clip(clip))).iter(f"{SVG}image"))) == 8


def test_large_frames_are_made_small() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 600, 800, 3), np.uint8)
    (first, *_) = check(draw_graphs(PLANNED, frames=frames)).iter(f"{SVG}image")
    with Image.open(io.BytesIO(base64.b64decode(first.get("href", "").split(",")[1]))) as picture:
        assert picture.size == (256, 192)


def test_many_ticks_keep_their_numbers_and_frames_apart() -> None:
    graph = graph_of([lasting(SIT, 0, 64)])
    picture = check(draw_graphs(graph, frames=np.zeros((65, 8, 8, 3), np.uint8)))
    assert 10 < len(list(picture.iter(f"{SVG}image"))) < 22
    assert 20 < sum(word.isdecimal() for word in words(picture)) < 40


def test_what_is_too_much_is_counted() -> None:
    events = [
        Event(agent=f"one {index % 30}", predicate=f"sees {index}", target=f"one {index % 7}", start=index % 9, end=10)
        for index in range(64)
    ]
    timeline = timeline_of(graph_of(events))
    assert (len(timeline.entities), timeline.more_entities) == (MOST_ENTITIES, 30 - MOST_ENTITIES)
    assert len(timeline.bars) + timeline.more_relations == 64
    assert len(timeline.bars) <= MOST_BARS
    picture = check(draw_graphs(graph_of(events)))
    assert words(picture)[-1] == f"and {timeline.more_entities} more entities and {timeline.more_relations} more relations"


def test_an_empty_graph_says_so() -> None:
    picture = check(draw_graphs(DynamicSceneGraph(prompt="")))
    assert words(picture) == ["nothing is in this graph"]


def test_the_same_graph_gives_the_same_bytes_in_any_order() -> None:
    frames = np.arange(6 * 8 * 8 * 3, dtype=np.uint8).reshape(6, 8, 8, 3)
    assert draw_graphs(PLANNED, ENRICHED, frames) == draw_graphs(PLANNED, ENRICHED, frames.copy())
    turned = PLANNED.model_copy(update={"events": EVENTS[::-1]})
    assert sorted(timeline_of(turned).bars, key=str) == sorted(timeline_of(PLANNED).bars, key=str)


def test_a_folder_of_pictures_keeps_their_order(tmp_path: Path) -> None:
    save_pictures(
        tmp_path / "graphs", [GraphPicture(PLANNED, ENRICHED), GraphPicture(PLANNED.model_copy(update={"prompt": "../a"}))]
    )
    names = [path.name for path in sorted((tmp_path / "graphs").iterdir())]
    assert names[0].startswith("001-a-lady-sitting-on-the-chair")
    assert names[1].startswith("002-a-")
    for name in names:
        check((tmp_path / "graphs" / name).read_text(encoding="utf-8"))
    save_pictures(tmp_path / "graphs", [])
    assert list((tmp_path / "graphs").iterdir()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(events_of_terms(st.one_of(few_terms, terms), latest=16), max_size=25),
    st.lists(scene_graphs, max_size=17),
    st.text(max_size=300),
)
def test_no_label_hides_another(events: list[Event], added: list[SceneGraph], prompt: str) -> None:
    planned = graph_of(events, prompt)
    ticks = [merge(one, other) for one, other in zip(planned.ticks, added, strict=False)]
    enriched = planned.model_copy(update={"ticks": (*ticks, *planned.ticks[len(ticks) :])})
    picture = check(draw_graphs(planned, enriched))
    timeline = timeline_of(planned, enriched)
    assert len(rectangles(picture, "4")) == len(timeline.bars)
    bars: list[Bar] = list(timeline.bars)
    if not timeline.more_relations:
        for tick, (old, new) in enumerate(zip(planned.ticks, enriched.ticks, strict=True)):
            now = {
                (bar.triplet, bar.kind == "added") for bar in bars if bar.first <= tick <= bar.last and bar.kind != "removed"
            }
            assert now == {(triplet, triplet not in old.triplets) for triplet in new.triplets}


@given(st.text(max_size=200), st.floats(20, 400), st.integers(1, 4))
def test_texts_keep_to_their_width(text: str, width: float, most: int) -> None:
    assert text_width(shortened(text, 12, width), 12) <= max(width, text_width("…", 12))
    lines = wrapped(text, 12, width, most)
    assert len(lines) <= most
    assert all(text_width(line, 12) <= width + 12 for line in lines)
    if not any(line.endswith("…") for line in lines):
        assert "".join(lines).replace(" ", "") == "".join(text.split())
