"""Stories in the form of the original project: read into a tree, and made flat again (specs/dreamframe.md C1)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tasks.common.errors import UserError
from tasks.common.names import safe_name
from tasks.common.quarantine import Quarantine, printable
from tasks.dreamframe.original_levels import grouped, place_questions, shape_of, with_questions
from tasks.dreamframe.original_parts import MOST_ENTRIES, OriginalShot, PartReader, story_keys
from tasks.dreamframe.story_text import MOST_STYLE, read_bounded
from tasks.dreamframe.story_tree import STORY_ID, Frame, Story
from tasks.dreamframe.tolerant_json import UnreadableError, find_object

MOST_BYTES = 20_000_000
"""The original has half a million."""
_STYLE = re.compile(rf"generate an image (?:in|on) (.{{1,{MOST_STYLE}}}?) style:", re.IGNORECASE)


class OriginalStory(NamedTuple):
    """A story that was taken over.

    Attributes:
        story: the tree.
        quarantine: what could not be used.
        notes: what had to be assumed or changed, one sentence each.
    """

    story: Story
    quarantine: Quarantine
    notes: tuple[str, ...]


def read_original_story(
    path: Path, frames_per_tiny_story: int | None = None, max_bad_fraction: float = 0.1
) -> OriginalStory:
    """The story in a JSON file of the original, or in a language model's text that holds it.

    Args:
        path: the file.
        frames_per_tiny_story: found out from the number of frames unless given.
        max_bad_fraction: how much of the frames and dialogues, of the questions, and of all parts may be set aside.

    Raises:
        UserError: the file cannot be read, is not of this form, or too much of it cannot be used.
    """
    text = read_bounded(path, MOST_BYTES)
    try:
        value = find_object(text, lambda found: "img_diag" in story_keys(found).values())
    except UnreadableError as error:
        line, column = text.count("\n", 0, error.place) + 1, error.place - text.rfind("\n", 0, error.place)
        raise UserError(f"{path}, line {line}, column {column}: {printable(str(error))}; mend that place") from None
    if value is None:
        raise UserError(
            f"{path}: no object with `img_diag` in it; expected a story of the original such as story_info_0.json"
        )
    try:
        return take_over(value, story_id(path.stem), frames_per_tiny_story, max_bad_fraction)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def story_id(name: str) -> str:
    """The id of a story from a file's name, which it is where that serves as an id."""
    return name if re.fullmatch(STORY_ID, name) else safe_name(name)


def take_over(
    value: dict[str, Any], name: str, frames_per_tiny_story: int | None = None, max_bad_fraction: float = 0.1
) -> OriginalStory:
    """The tree of a story that is `{"character", "img_diag", "QA", "overview"}`; `name` becomes its id.

    Raises:
        UserError: it is not of this form, or more than the fraction `max_bad_fraction` of it cannot be used.
    """
    keys = story_keys(value)
    entries = {meaning: value[key] for key, meaning in keys.items()}
    if len(entries) < len(keys):
        raise UserError(f"keys {printable(', '.join(keys))} mean the same in part; leave one of each kind")
    listed = entries.get("img_diag")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_ENTRIES:
        raise UserError(f'`img_diag` is no list of 1 to {MOST_ENTRIES} pairs; expected [["frame", TEXT], ...]')
    reader = PartReader()
    reader.unknown([key for key in value if key not in keys])
    shots, overview = reader.shots(listed), reader.overview(entries.get("overview", ""))
    characters, questions = reader.characters(entries.get("character", {})), reader.questions(entries.get("QA", []))
    shape = shape_of(sum(shot.kind == "frame" for shot in shots), frames_per_tiny_story)
    substories = grouped(shots, shape, reader)
    placed, note = place_questions(questions, substories, overview, reader)
    reader.check_share(max_bad_fraction)
    story = Story(
        id=name,
        overview=overview,
        style_keyword=_style_keyword(shots),
        characters=tuple(characters),
        substories=tuple(with_questions(substory, placed) for substory in substories),
        questions=tuple(placed.get("", ())),
    )
    cleaned = f"characters that cannot be printed were taken out of texts: {reader.cleaned}" if reader.cleaned else ""
    return OriginalStory(story, reader.quarantine, tuple(filter(None, (shape.note, note, cleaned))))


def flatten(story: Story) -> dict[str, Any]:
    """The story in the original's form; what that has no place for, such as titles, is left out."""
    shots = [shot for tiny_story in story.tiny_stories() for shot in tiny_story.shots]
    return {
        "character": {character.name: character.description for character in story.characters},
        "img_diag": [[shot.kind, shot.prompt if isinstance(shot, Frame) else shot.text] for shot in shots],
        "QA": [{"Question": question.question, "Answer": question.answer} for question in story.all_questions()],
        "overview": story.overview,
    }


def _style_keyword(shots: Sequence[OriginalShot]) -> str:
    """The style that more than half of the frames name, as in "generate an image in Dramatic style: ..."."""
    frames = [shot.text for shot in shots if shot.kind == "frame" and shot.text]
    named = Counter(found[1] for text in frames if (found := _STYLE.match(text)))
    word, count = named.most_common(1)[0] if named else ("", 0)
    return word if 2 * count > len(frames) else ""
