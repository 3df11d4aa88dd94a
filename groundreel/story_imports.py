"""What `groundreel import story` checks and prints."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import get_args

import click

from groundreel.corpus_imports import check_folder
from tasks.common.errors import UserError
from tasks.corpus.import_files import described, save
from tasks.dreamframe.original_story import read_original_story, story_id
from tasks.dreamframe.story_tree import Level, Story, write_story

FOLDER = Path("data/dreamframe/imported")


def import_story(path: Path, out: Path | None, frames_per_tiny_story: int | None, force: bool) -> None:
    """Writes a story of the original as a tree, beside it what could not be used, and prints what is in it.

    Raises:
        UserError: no usable story, a file that is there already, or a folder that belongs to a stage.
    """
    target = out or FOLDER / f"{story_id(path.stem)}.json"
    check_folder(target.parent.resolve())
    if target.resolve() == path.resolve():
        raise UserError(f"{target}: is the file to import; name another one after --out")
    if target.exists() and not force:
        raise UserError(f"{target} is there already; name another file after --out, or replace with --force")
    story, quarantine, notes = read_original_story(path, frames_per_tiny_story)
    aside = save(target, partial(write_story, story=story), quarantine)
    click.echo(f"{target}: {_summary(story)}")
    if quarantine.lines:
        click.echo(f"{aside}: {described(quarantine.reasons)}")
    for note in notes:
        click.echo(f"groundreel: {path}: {note}", err=True)


def _summary(story: Story) -> str:
    levels = Counter(question.level for question in story.all_questions())
    named = ", ".join(f"{levels[level]} {level.replace('_', ' ')}" for level in get_args(Level))
    counts = {
        "characters": len(story.characters),
        "substories": len(story.substories),
        "tiny stories": sum(1 for _ in story.tiny_stories()),
        "frames": sum(1 for _ in story.frames()),
        "dialogues": sum(1 for _ in story.dialogues()),
        "questions": levels.total(),
    }
    return f"{', '.join(f'{count} {name}' for name, count in counts.items())} ({named})"
