"""Composed stories: what they keep to whatever was chosen, and what a person reads."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings

from tasks.dreamframe import story_examples
from tasks.dreamframe.story_composer import Actor, Cast, Turn, compose, scenes_for, share
from tasks.dreamframe.story_constraints import violations
from tasks.dreamframe.story_plots_of_things import LOST
from tasks.dreamframe.story_rules import Breadth
from tasks.dreamframe.story_slots import PLOTS
from tasks.dreamframe.story_telling import checked, rules_of
from tasks.dreamframe.story_tree import Dialogue, Frame, Story, read_story, write_story
from tasks.dreamframe.story_vocabulary import EXPRESSIONS, NAMES, QUESTION_WORDS, SETTINGS, SPECIES, STYLES, VERBS
from tasks.spriteworld.vocabulary import CLASSES, COLOURS
from tests.dreamframe.composed_stories_for_tests import composed

CAST = Cast(
    LOST,
    "Crayon",
    "village",
    Actor("Mia", "cat", "gray"),
    Actor("Rusty", "dog", "brown"),
    Actor("Pip", "bird", "yellow"),
    "red",
    "green",
)


def tell(breadth: Breadth, cast: Cast = CAST) -> Story:
    count = breadth.substories * breadth.tiny_stories
    turns = [
        Turn(share(SETTINGS[cast.setting], number, count)[0], scenes_for(cast.plot, number, count)[0])
        for number in range(count)
    ]
    return compose("tale", cast, turns, breadth, 0)


@given(composed())
@settings(max_examples=60, deadline=None)
def test_every_choice_gives_a_story_that_keeps_to_all_constraints(made: tuple[Story, Breadth]) -> None:
    story, breadth = made
    rules = rules_of(story, breadth)
    assert violations(story, rules) == []
    for substory in story.substories:
        assert violations(substory, rules) == []
        assert len(substory.tiny_stories) == breadth.tiny_stories
        for tiny_story in substory.tiny_stories:
            assert violations(tiny_story, rules) == []
    told = checked(story, breadth)
    assert (told.story, told.lost, told.failed) == (story, 0, {})
    texts = re.findall(r"[{}]|\s\s|\b(?:punchline|None)\b", story.model_dump_json())
    assert not [text for text in texts if text not in "{}"]
    assert "{hero" not in story.model_dump_json()


@given(composed())
@settings(max_examples=40, deadline=None)
def test_the_evidence_tells_the_answers(made: tuple[Story, Breadth]) -> None:
    story, breadth = made
    shots = {shot.id: shot for tiny_story in story.tiny_stories() for shot in tiny_story.shots}
    parts = {part.id: part for part in (*story.substories, *story.tiny_stories())}
    assert story.questions[0].answer == story.overview
    for question in [*story.all_questions()][1:]:
        assert question.evidence
        if question.level != "tiny_story":
            scenes = " ".join(parts[part].scene for part in question.evidence)
            if question.question.startswith("Where"):
                assert any(place in question.answer for place in scenes.split(", "))
            continue
        told = [shots[part] for part in question.evidence if part in shots]
        word = question.question.split()[0]
        if word == "What" and breadth.dialogues:
            assert any(isinstance(shot, Dialogue) and shot.text in question.answer for shot in told)
        if word in ("Where", "How"):
            assert isinstance(told[0], Frame)
        if word == "Where":
            assert told[0].place in question.answer
        if word == "How":
            assert told[0].expression in EXPRESSIONS[question.answer.rstrip(".").split()[-1]]


@given(composed())
@settings(max_examples=20, deadline=None)
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, made: tuple[Story, Breadth]) -> None:
    path = tmp_path_factory.mktemp("story") / "tale.json"
    write_story(path, made[0])
    assert read_story(path) == made[0]


def test_a_tiny_story_reads_as_one() -> None:
    (*_, last) = tell(Breadth(2, 2, 3, 4)).tiny_stories()
    assert last.content == (
        'In the orchard, Mia walks on tiptoe. "I see something red over there!" says Mia. Pip sits on the red ball. '
        '"Not so loud! It will hatch any minute now," says Pip. Mia hugs Pip. '
        '"Keep it until tonight. But then all three of us play," says Mia.'
    )
    frame = next(shot for shot in last.shots if shot.id == "02-02-02")
    assert re.fullmatch(
        "generate an image in Crayon style: orchard, a yellow bird is sitting on a red ball, with a proud (face|smile)",
        frame.prompt,  # type: ignore[union-attr]
    )


def test_the_story_goes_where_it_was_said_to_go() -> None:
    scenes = list(tell(Breadth(3, 3, 3, 4)).tiny_stories())
    assert len({scene.scene for scene in scenes}) == 9
    for before, after in pairwise(scenes):
        assert f"the {after.scene}" in before.content


def test_the_published_size_has_each_question_word_about_as_often() -> None:
    story = tell(Breadth(11, 11, 11, 6))
    assert len(list(story.frames())) == 1331
    assert len({frame.prompt for frame in story.frames()}) > 200
    words = Counter(question.question.split()[0].lower() for question in story.all_questions() if question.id != "q001")
    assert set(words) == set(QUESTION_WORDS)
    assert max(words.values()) <= 1.2 * min(words.values())


@pytest.mark.parametrize("breadth", [Breadth(1, 1, 1, 0), Breadth(1, 1, 1, 1), Breadth(1, 2, 2, 1), Breadth(99, 1, 1, 1)])
def test_the_smallest_and_the_longest(breadth: Breadth) -> None:
    for plot in PLOTS.values():
        story = tell(breadth, CAST._replace(plot=plot))
        assert len(list(story.dialogues())) == breadth.substories * breadth.tiny_stories * min(1, breadth.dialogues)


def test_vocabularies_fit_together() -> None:
    assert set(story_examples.SETTINGS) == set(SETTINGS)
    assert set(story_examples.STYLES) == set(STYLES)
    assert set(story_examples.HEROES) == set(SPECIES) <= set(CLASSES)
    assert {colour for colours in SPECIES.values() for colour in colours} <= set(COLOURS)
    assert len(set(NAMES)) == len(NAMES)
    for places in SETTINGS.values():
        assert len({place.name for place in places}) == 12
    for plot in PLOTS.values():
        assert set(plot.because) == set(plot.punchlines) == set(SPECIES)
        for scene in (plot.opening, *plot.middles, plot.finale):
            assert len({beat.action.split()[0] for beat in scene.beats} - set(VERBS)) == 0
            assert {beat.mood for beat in scene.beats} <= set(EXPRESSIONS)
