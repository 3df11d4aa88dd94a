"""A story as a board: its pictures in order, captions and dialogues with them, questions beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tasks.common.report_storyboard import Asked, Card, SaidLine, Scene, Storyboard
from tasks.dreamframe.keyframe_archive import read_keyframes
from tasks.dreamframe.question_files import QuestionRecord
from tasks.dreamframe.story_tree import Dialogue, Frame, Story, TinyStory
from tasks.dreamframe.style_prompts import plain_prompt

_OPEN_ONES = ("plot",)
"""Kinds of which a board shows the open question; of the others it shows the choice."""


def caption_of(frame: Frame, keyword: str) -> str:
    """What the frame shows, as a sentence without place and style."""
    words = plain_prompt(frame.prompt, keyword).removeprefix(frame.place).lstrip(" ,:")
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def _shown(story: Story, most_frames: int) -> list[TinyStory]:
    """The first tiny stories whose frames fit; at least one."""
    shown: list[TinyStory] = []
    frames = 0
    for tiny_story in story.tiny_stories():
        frames += sum(isinstance(shot, Frame) for shot in tiny_story.shots)
        if shown and frames > most_frames:
            break
        shown.append(tiny_story)
    return shown


def _cards(tiny_story: TinyStory, keyword: str, cells: dict[str, int]) -> tuple[Card, ...]:
    cards: list[Card] = []
    for shot in tiny_story.shots:
        if isinstance(shot, Frame):
            cell = cells.get(shot.id)
            cards.append(Card(frame=shot.id, cell=cell, caption=caption_of(shot, keyword), lines=()))
        elif cards:
            cards[-1] = cards[-1].model_copy(update={"lines": (*cards[-1].lines, _said(shot))})
    return tuple(cards)


def _said(dialogue: Dialogue) -> SaidLine:
    return SaidLine(speaker=dialogue.speaker, text=dialogue.text)


def _asked(records: Sequence[QuestionRecord], parts: set[str]) -> tuple[Asked, ...]:
    """Of the questions whose evidence begins in `parts`, the first of each kind, as a choice where that is wanted."""
    found: dict[str, QuestionRecord] = {}
    for record in records:
        known = found.get(record.kind)
        wanted = (record.options is None) == (record.kind in _OPEN_ONES)
        if record.evidence[0] in parts and (known is None or (wanted and known.answer == record.answer)):
            found[record.kind] = record
    return tuple(
        Asked(kind=one.kind.replace("_", " "), question=one.question, answer=one.answer, options=one.options or ())
        for one in found.values()
    )


def _pictures(
    folder: Path, story: Story, wanted: set[str], side: int
) -> tuple[list[NDArray[np.uint8]], dict[str, int], int]:
    """(pictures [side, side, 3] in order, cell of each frame, side); the side is the keyframes' if that is smaller."""
    if not (folder / f"{story.id}.jsonl").is_file():
        return [], {}, side
    kept = [(keyframe.id, pixels) for keyframe, pixels in read_keyframes(folder, story.id) if keyframe.id in wanted]
    side = min([side, *(min(pixels.shape[:2]) for _, pixels in kept)])
    squares = [np.asarray(ImageOps.fit(Image.fromarray(pixels), (side, side))) for _, pixels in kept]
    return squares, {frame: cell for cell, (frame, _) in enumerate(kept)}, side


def _note(shown: int, tiny_stories: int, records: int) -> str:
    cut = "" if shown == tiny_stories else f"The first {shown} of {tiny_stories} tiny stories. "
    return f"{cut}Beside each tiny story one question of each kind, of {records} in all."


def draw_storyboard(
    story: Story, keyframes: Path, records: Sequence[QuestionRecord], most_frames: int, side: int
) -> tuple[Storyboard, list[NDArray[np.uint8]]]:
    """A board of the first tiny stories, and its pictures [side, side, 3] in the order of their cells.

    Args:
        story: the tree.
        keyframes: folder of archives; frames without a keyframe get an empty card.
        records: verified questions on the story.
        most_frames: what the board should not exceed.
        side: of a picture in pixels, at most.

    Raises:
        UserError: the archive is damaged.
    """
    shown = _shown(story, most_frames)
    frames = {shot.id for tiny_story in shown for shot in tiny_story.shots if isinstance(shot, Frame)}
    pictures, cells, side = _pictures(keyframes, story, frames, side)
    scenes = []
    for tiny_story in shown:
        parts = {tiny_story.id, *(shot.id for shot in tiny_story.shots)}
        place = f" – {tiny_story.scene}" if tiny_story.scene else ""
        cards = _cards(tiny_story, story.style_keyword, cells)
        title = f"{tiny_story.title or tiny_story.id}{place}"
        scenes.append(Scene(title=title, cards=cards, asked=_asked(records, parts)))
    inside = {tiny_story.id for tiny_story in story.tiny_stories()} | {frame.id for frame in story.frames()}
    inside |= {dialogue.id for dialogue in story.dialogues()}
    above = [record for record in records if record.evidence[0] not in inside]
    whole = _asked(above, {record.evidence[0] for record in above})
    board = Storyboard(
        title=story.title or story.id,
        overview=story.overview,
        style=f"Style: {story.style_keyword} ({', '.join(story.style_phrases)})." if story.style_keyword else "",
        note=_note(len(shown), len(list(story.tiny_stories())), len(records)),
        side=side,
        scenes=tuple(scenes),
        asked=whole,
    )
    return board, pictures
