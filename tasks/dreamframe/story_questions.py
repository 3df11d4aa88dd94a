"""Questions on stories that code composes: each is made of what is told, and names what tells its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.dreamframe.story_rules import QUESTIONS_OF_TINY_STORY, planned_word
from tasks.dreamframe.story_tree import Dialogue, Frame, Level, Question, part_id
from tasks.dreamframe.story_vocabulary import Place
from tasks.spriteworld.vocabulary import NUMBERS


class ToldFrame(NamedTuple):
    """A frame with the words it was made of: who does what in which mood, and what is said after it."""

    frame: Frame
    name: str
    action: str
    mood: str
    lines: tuple[Dialogue, ...]


class ToldScene(NamedTuple):
    """A tiny story with the words it was made of.

    Attributes:
        identifier: of the tiny story.
        pair: those who act, as in "Mia and Rusty".
        deed: what they do; follows the pair.
        goal: what they want in the whole story.
        place: where.
        frames: in order.
        turn: index of the frame that matters most.
        why: a question, its answer, and the parts that tell it.
    """

    identifier: str
    pair: str
    deed: str
    goal: str
    place: Place
    frames: tuple[ToldFrame, ...]
    turn: int
    why: tuple[str, str, tuple[str, ...]]


class _Asked(NamedTuple):
    question: str
    answer: str
    evidence: tuple[str, ...]


def on_tiny_story(scene: ToldScene) -> tuple[Question, ...]:
    """The questions on one tiny story."""
    asked = []
    for number in range(1, QUESTIONS_OF_TINY_STORY + 1):
        identifier = part_id(scene.identifier, number, "q")
        found = _OF_SCENE[planned_word(identifier)](scene)
        asked.append(_question(identifier, "tiny_story", found))
    return tuple(asked)


def on_substory(substory: str, scenes: Sequence[ToldScene]) -> tuple[Question, ...]:
    """The question on one substory; its tiny stories are the evidence."""
    identifier = part_id(substory, 1, "q")
    return (_question(identifier, "substory", _OF_SCENES[planned_word(identifier)](scenes)),)


def on_story(overview: str, chapters: Sequence[tuple[str, Sequence[ToldScene]]]) -> tuple[Question, ...]:
    """The question that the overview answers, and one for each substory, which is its evidence."""
    first = Question(
        id=part_id("", 1, "q"), level="overview", question="Can you describe the events of this story?", answer=overview
    )
    others = []
    for number, (substory, scenes) in enumerate(chapters, start=2):
        identifier = part_id("", number, "q")
        found = _OF_SCENES[planned_word(identifier)](scenes)
        others.append(_question(identifier, "story", found._replace(evidence=(substory,))))
    return (first, *others)


def _question(identifier: str, level: Level, asked: _Asked) -> Question:
    return Question(id=identifier, level=level, question=asked.question, answer=asked.answer, evidence=asked.evidence)


def _said(scene: ToldScene) -> _Asked:
    told = scene.frames[scene.turn]
    if not told.lines:
        last = scene.frames[-1]
        doing = f"What is {last.name} doing at the end of the scene {scene.place.at}?"
        return _Asked(doing, f"{last.name} is {last.action}.", (last.frame.id,))
    line = told.lines[0]
    while_ = told.action if line.speaker == told.name else f"{told.name} is {told.action}"
    answer = f'{line.speaker} says: "{line.text}"'
    return _Asked(f"What does {line.speaker} say while {while_}?", answer, (told.frame.id, line.id))


def _mood(scene: ToldScene) -> _Asked:
    told = scene.frames[-1]
    return _Asked(f"How does {told.name} look while {told.action}?", f"{told.name} looks {told.mood}.", (told.frame.id,))


def _where_in_scene(scene: ToldScene) -> _Asked:
    return _Asked(f"Where do {scene.pair} {scene.deed}?", _sentence(scene.place.at), (scene.frames[0].frame.id,))


def _why_in_scene(scene: ToldScene) -> _Asked:
    return _Asked(*scene.why)


def _next_deed(scenes: Sequence[ToldScene]) -> _Asked:
    one = scenes[0]
    if len(scenes) == 1:
        return _Asked(f"What do {one.pair} do {one.place.at}?", _sentence(f"they {one.deed}"), (one.identifier,))
    other = scenes[1]
    evidence = (one.identifier, other.identifier)
    after = f"What do {one.pair} do right after they {one.deed}?"
    return _Asked(after, _sentence(f"{other.place.at}, they {other.deed}"), evidence)


def _last_place(scenes: Sequence[ToldScene]) -> _Asked:
    last = scenes[-1]
    return _Asked(f"Where do {last.pair} {last.deed}?", _sentence(last.place.at), (last.identifier,))


def _reason(scenes: Sequence[ToldScene]) -> _Asked:
    first, last = scenes[0], scenes[-1]
    way = f"come to the {first.place.name}"
    if len(scenes) > 1:
        way = f"go from the {first.place.name} to the {last.place.name}"
    evidence = tuple(dict.fromkeys((first.identifier, last.identifier)))
    return _Asked(f"Why do {first.pair} {way}?", _sentence(f"because they want to {first.goal}"), evidence)


def _number_of_places(scenes: Sequence[ToldScene]) -> _Asked:
    names = tuple(dict.fromkeys(scene.place.name for scene in scenes))
    number = dict(enumerate(NUMBERS, start=1)).get(len(names), str(len(names)))
    listed = " and ".join(filter(None, (", ".join(f"the {name}" for name in names[:-1]), f"the {names[-1]}")))
    way = f"from the {names[0]} to the {names[-1]}" if len(names) > 1 else f"at the {names[0]}"
    question = f"How many places do {scenes[0].pair} visit {way}?"
    return _Asked(question, _sentence(f"{number}: {listed}"), tuple(scene.identifier for scene in scenes))


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


_OF_SCENE = {"what": _said, "why": _why_in_scene, "how": _mood, "where": _where_in_scene}
_OF_SCENES = {"what": _next_deed, "why": _reason, "how": _number_of_places, "where": _last_place}
