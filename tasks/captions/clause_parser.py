"""A deterministic parser of everyday English captions: what is seen, how it looks, where it is, how and when it moves.

Words come from spaCy's tagger, set right by word lists (`caption_tokens`); phrases are cut from left to right
(`caption_reader`); clauses say what they tell of whom (`caption_clauses`); and from an object's clauses follow its places
and motion (`caption_motion`) and the spans in which it is seen and moves (`caption_spans`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.captions.caption_clauses import Clause
from tasks.captions.caption_interpreter import Interpreter
from tasks.captions.caption_motion import find_way
from tasks.captions.caption_reader import read_phrases
from tasks.captions.caption_spans import moving_span, visible_span
from tasks.captions.caption_tokens import read_words
from tasks.captions.caption_way import Station
from tasks.captions.clause_motion import SPECIAL, TRAVELS
from tasks.captions.english import REGIONS
from tasks.captions.english_verbs import KINDS
from tasks.captions.scene import WHOLE, Motion, Place, SceneDescription, SceneObject


class ClauseParser:
    """Captions to scene descriptions, the same for the same text.

    Any text gives a valid description, without objects if it names none. The pipeline is loaded at the first caption.
    """

    def describe(self, caption: str) -> SceneDescription:
        """The scene of one caption.

        Raises:
            UserError: spaCy's English pipeline is not installed.
        """
        return self.describe_all([caption])[0]

    def describe_all(self, captions: Sequence[str]) -> list[SceneDescription]:
        """The scenes of captions, in order; faster than one by one.

        Raises:
            UserError: spaCy's English pipeline is not installed.
        """
        scenes = []
        for words in read_words(captions):
            interpreter = Interpreter()
            interpreter.read(read_phrases(words))
            scenes.append(_scene(interpreter))
        return scenes


def _scene(read: Interpreter) -> SceneDescription:
    kept = [index for index, draft in enumerate(read.cast.drafts) if draft.name.strip() and _exists(read, index)]
    numbers = {index: number for number, index in enumerate(kept)}
    clauses = {index: [clause for clause in read.clauses if index in clause.subjects] for index in kept}
    objects = [_object(read, index, clauses[index], numbers) for index in kept]
    for index in kept:
        leader = read.cast.drafts[index].follows
        if leader in numbers and objects[numbers[index]].motion == "still":
            objects[numbers[index]] = _following(objects[numbers[index]], objects[numbers[leader]], numbers[index])
    return SceneDescription(objects=tuple(objects), background=read.background)


def _exists(read: Interpreter, index: int) -> bool:
    """Whether there is an object after all: "no dog in the first half" tells of one in the second."""
    return not read.cast.drafts[index].denied or any(clause.times for clause in read.clauses if index in clause.subjects)


def _following(item: SceneObject, leader: SceneObject, number: int) -> SceneObject:
    """What is carried, ridden or pulled moves as its leader does."""
    if any(place.of == number for place in leader.places) or leader.motion == "still":
        return item
    return item.model_copy(update={"motion": leader.motion, "places": leader.places, "when": leader.when})


def _object(read: Interpreter, index: int, clauses: Sequence[Clause], numbers: dict[int, int]) -> SceneObject:
    draft = read.cast.drafts[index]
    motion, stations = find_way(clauses, [_modifier_motion(lemma) for lemma in draft.modifiers])
    places = tuple(place for station in stations if (place := _place(station, numbers.get(index, -1), numbers)) is not None)
    if motion == "still" and not places and (draft.lively or read.lively) and not _told_still(clauses):
        motion = "travel"
    return SceneObject(
        name=draft.name,
        attribute=draft.attribute,
        count=draft.count,
        size=draft.size or "medium",
        motion=motion,
        places=places,
        when=moving_span(clauses) if motion != "still" else WHOLE,
        visible=visible_span(clauses),
    )


def _told_still(clauses: Sequence[Clause]) -> bool:
    return any(clause.state == "still" or clause.kind in {"stand", "wait"} for clause in clauses)


def _modifier_motion(lemma: str) -> Motion | None:
    kind = KINDS.get(lemma, "")
    return SPECIAL.get(kind) or ("travel" if kind in TRAVELS or kind == "stir" else None)


def _place(station: Station, number: int, numbers: dict[int, int]) -> Place | None:
    if station.vector is not None:
        return Place(region=REGIONS[station.vector])
    of = numbers.get(station.of) if station.of is not None else None
    if of is None or of == number or station.side is None:
        return None
    return Place(side=station.side, of=of)
