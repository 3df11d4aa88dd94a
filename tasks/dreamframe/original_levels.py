"""Where in the tree the frames, dialogues and questions of the original's flat lists belong.

Nothing in those lists says where a tiny story begins or what a question is about. Both follow from counts: a story of
b x b x b frames has b frames to a tiny story and b tiny stories to a substory. Its questions are one on the overview, one on
the whole story for each substory, one on each substory, and one on each tiny story, in this order (specs/dreamframe.md C1).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tasks.common.errors import UserError
from tasks.dreamframe.original_parts import OriginalQuestion, OriginalShot, PartReader
from tasks.dreamframe.story_tree import (
    MOST_PARTS,
    MOST_QUESTIONS,
    Dialogue,
    Frame,
    Level,
    Question,
    Substory,
    TinyStory,
    part_id,
)

ORIGINAL_FRAMES = 11


class Shape(NamedTuple):
    """Frames of a tiny story, tiny stories of a substory, and what had to be assumed in words."""

    frames: int
    tiny_stories: int
    note: str


def shape_of(frames: int, given: int | None) -> Shape:
    """The shape of a story of so many frames; `given` are those of a tiny story, if that is known.

    Raises:
        UserError: no frames, too many of them, or a number of frames to a tiny story that cannot be.
    """
    if given is not None and not 1 <= given <= MOST_PARTS:
        raise UserError(f"{given} frames to a tiny story; expected 1 to {MOST_PARTS}")
    if frames == 0:
        raise UserError("`img_diag` has no frames; nothing to take over")
    root = round(frames ** (1 / 3))
    cubic = root**3 == frames and root <= MOST_PARTS
    each = given or (root if cubic else ORIGINAL_FRAMES)
    tiny_stories = math.ceil(frames / each)
    root_of_tiny_stories = math.isqrt(tiny_stories)
    breadth = root_of_tiny_stories if root_of_tiny_stories**2 == tiny_stories else each
    if max(breadth, math.ceil(tiny_stories / breadth)) > MOST_PARTS:
        raise UserError(f"{frames} frames, {each} to a tiny story, are too many; try more to a tiny story")
    if cubic and each == root:
        return Shape(each, breadth, "")
    note = f"took {each} to a tiny story, {breadth} tiny stories to a substory"
    return Shape(each, breadth, f"{frames} frames are not {each} x {each} x {each}: {note}")


def grouped(shots: Sequence[OriginalShot], shape: Shape, reader: PartReader) -> list[Substory]:
    """The substories with their tiny stories; a dialogue belongs to the frame before it, or else to the first."""
    groups: list[list[OriginalShot]] = [[]]
    frames = 0
    for shot in shots:
        if shot.kind == "frame":
            if frames and frames % shape.frames == 0:
                groups.append([])
            frames += 1
        groups[-1].append(shot)
    substories = []
    for number, start in enumerate(range(0, len(groups), shape.tiny_stories), start=1):
        identifier = part_id("", number)
        tiny_stories = [
            _tiny_story(part_id(identifier, place), group, reader)
            for place, group in enumerate(groups[start : start + shape.tiny_stories], start=1)
        ]
        substories.append(Substory(id=identifier, tiny_stories=tuple(tiny_stories)))
    return substories


def _tiny_story(identifier: str, group: Sequence[OriginalShot], reader: PartReader) -> TinyStory:
    counted: Counter[str] = Counter()
    shots: list[Frame | Dialogue] = []
    for kind, text in group:
        counted[kind] += 1
        if counted[kind] > MOST_PARTS:
            reader.set_aside("img_diag", f"{kind} {counted[kind]} of {identifier}", "too-many")
        elif text is not None and kind == "frame":
            shots.append(Frame(kind="frame", id=part_id(identifier, counted[kind]), prompt=text))
        elif text is not None:
            shots.append(Dialogue(kind="dialogue", id=part_id(identifier, counted[kind], "d"), text=text))
    return TinyStory(id=identifier, shots=tuple(shots))


def place_questions(
    questions: Sequence[OriginalQuestion | None], substories: Sequence[Substory], overview: str, reader: PartReader
) -> tuple[dict[str, list[Question]], str]:
    """The questions by the id of what they are on ("" for the story itself), and a note if their number is unusual."""
    chapters = [substory.id for substory in substories]
    scenes = [tiny_story.id for substory in substories for tiny_story in substory.tiny_stories]
    usual = len(questions) == 1 + 2 * len(chapters) + len(scenes)
    places: list[tuple[str, Level, tuple[str, ...]]] = [("", "story", ())] * len(questions)
    if usual:
        places = [("", "overview", ()), *(("", "story", (chapter,)) for chapter in chapters)]
        places += [(chapter, "substory", ()) for chapter in chapters] + [(scene, "tiny_story", ()) for scene in scenes]
    placed: dict[str, list[Question]] = {}
    counted: Counter[str] = Counter()
    for (part, level, evidence), given in zip(places, questions, strict=True):
        counted[part] += 1
        identifier = part_id(part, counted[part], "q")
        if counted[part] > MOST_QUESTIONS:
            reader.set_aside("QA", counted[part], "too-many")
        elif given:
            if not usual and overview and given.answer == overview:
                level = "overview"
            question = Question(id=identifier, level=level, question=given.question, answer=given.answer, evidence=evidence)
            placed.setdefault(part, []).append(question)
    if usual or not questions:
        return placed, ""
    expected = f"1 + {len(chapters)} + {len(chapters)} + {len(scenes)}"
    return placed, f"{len(questions)} questions are not {expected}: all stay with the whole story"


def with_questions(substory: Substory, placed: dict[str, list[Question]]) -> Substory:
    """The substory with its questions and those of its tiny stories."""
    tiny_stories = tuple(
        tiny_story.model_copy(update={"questions": tuple(placed.get(tiny_story.id, ()))})
        for tiny_story in substory.tiny_stories
    )
    return substory.model_copy(update={"tiny_stories": tiny_stories, "questions": tuple(placed.get(substory.id, ()))})
