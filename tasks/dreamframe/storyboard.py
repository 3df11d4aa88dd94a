"""Stage `storyboard`: stories as boards that people enjoy reading, and the numbers of all of DreamFrame in one file."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from tasks.common import stage
from tasks.common.errors import UserError
from tasks.common.files import complete
from tasks.common.parameters import Section
from tasks.common.quarantine import printable
from tasks.dreamframe.question_files import read_questions
from tasks.dreamframe.story_tree import read_stories

_SUMMARY = {
    "story": ("stories", "substories", "tiny_stories", "frames", "dialogues", "violations"),
    "style": ("styles", "style_similarity_before", "style_similarity_after"),
    "keyframes": ("keyframes", "style_similarity", "style_consistency", "text_alignment"),
    "qa": ("questions", "by_kind", "by_word", "by_form", "verified_share"),
    "instructions": ("records",),
}
"""What `reports/dreamframe.json` takes from the metrics of each stage."""


class Parameters(Section):
    """What boards show."""

    most_stories: int = Field(ge=1, le=100, description="stories on the page")
    most_frames: int = Field(ge=1, le=500, description="frames of each; whole tiny stories as long as they fit")
    picture_pixels: int = Field(ge=32, le=512, description="side of a picture; keyframes are made smaller, never larger")


@dataclass(frozen=True)
class Paths:
    """Stories, keyframes, questions and the metrics of the stages before in; boards and one file of metrics out."""

    stories: Path
    keyframes: Path
    questions: Path
    story_metrics: Path
    style_metrics: Path
    keyframes_metrics: Path
    qa_metrics: Path
    instructions_metrics: Path
    out: Path
    metrics: Path


def summary(paths: Paths) -> stage.Metrics:
    """What the stages before measured, by stage.

    Raises:
        UserError: a stage has written no metrics, or has not measured one of those.
    """
    found: stage.Metrics = {}
    for name, keys in _SUMMARY.items():
        path = getattr(paths, f"{name}_metrics")
        try:
            measured = json.loads(path.read_bytes())
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; run the stage {name}") from None
        except ValueError:
            raise UserError(f"{path}: no JSON; run the stage {name} again") from None
        missing = [key for key in keys if not isinstance(measured, dict) or key not in measured]
        if missing:
            raise UserError(f"{path}: {printable(missing[0])} is not in it; run the stage {name} again")
        found[name] = {key: measured[key] for key in keys}
    return found


def make_storyboards(project: Any, paths: Paths) -> stage.Metrics:
    """Writes a board of each of the first stories, and returns the summary."""
    from tasks.common.report_storyboard import write_storyboard
    from tasks.dreamframe.storyboard_pages import draw_storyboard

    parameters: Parameters = project.storyboard
    stories = read_stories(paths.stories)[: parameters.most_stories]
    with complete(paths.out, folder=True) as folder:
        for story in stories:
            asked = read_questions(paths.questions / f"{story.id}.jsonl")
            board, pictures = draw_storyboard(
                story, paths.keyframes, asked, parameters.most_frames, parameters.picture_pixels
            )
            write_storyboard(folder, story.id, board, pictures)
    return summary(paths)


if __name__ == "__main__":
    sys.exit(stage.main("storyboard", Paths, make_storyboards))
