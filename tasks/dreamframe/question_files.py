"""Stories in, questions out and in again: one `STORY.jsonl` for each story, a verified question a line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.common.errors import UserError
from tasks.common.quarantine import printable
from tasks.common.seeds import item_seed
from tasks.dreamframe.question_drafts import Kind
from tasks.dreamframe.story_text import read_bounded
from tasks.dreamframe.story_tree import STORY_ID, Level

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_MOST_BYTES = 500_000_000
_MOST_TEXT = 50_000

_Text = Annotated[str, Field(min_length=1, max_length=_MOST_TEXT)]
_Part = Annotated[str, Field(max_length=12)]


class QuestionRecord(BaseModel):
    """One question.

    Attributes:
        id: in the story.
        story: the story's id.
        split: the same for all questions of a story.
        level: of the part that it is about.
        kind: what is asked for.
        word: the first of the question, in lower case.
        question: in English.
        answer: the right option, if there are options.
        options: four, or None for an open question.
        letter: of the right option, A to D.
        evidence: ids of the parts that tell the answer.
        verified_by: what the answer was held against.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern="^[A-Za-z0-9-]{1,40}$")
    story: str = Field(pattern=STORY_ID)
    split: Split
    level: Level
    kind: Kind
    word: str = Field(max_length=100)
    question: _Text
    answer: _Text
    options: tuple[_Text, _Text, _Text, _Text] | None
    letter: Literal["A", "B", "C", "D"] | None
    evidence: tuple[_Part, ...] = Field(min_length=1, max_length=10_000)
    verified_by: tuple[Literal["story", "detector"], ...]


def split_of(story_id: str, validation: float, test: float) -> Split:
    """Where all questions of a story belong: drawn by its id alone, so it stays there whatever stories come.

    Args:
        story_id: the story's.
        validation: share of stories, 0..1.
        test: the same; both together at most 1.
    """
    place = item_seed(0, f"split:{story_id}") / 2**63
    if place < test:
        return "test"
    return "validation" if place < test + validation else "train"


def write_questions(path: Path, records: list[QuestionRecord]) -> None:
    """A line for each, into a folder that is not finished yet."""
    path.write_text("".join(record.model_dump_json() + "\n" for record in records), encoding="utf-8", newline="\n")


def read_questions(path: Path) -> list[QuestionRecord]:
    """What `write_questions` wrote.

    Raises:
        UserError: no such file, too large, or a line is no question.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; run the stage qa for this story")
    records = []
    for number, line in enumerate(read_bounded(path, _MOST_BYTES).split("\n"), start=1):
        if line:
            try:
                records.append(QuestionRecord.model_validate_json(line))
            except ValidationError as error:
                problem = error.errors(include_input=False, include_url=False)[0]
                wrong = printable(".".join(str(part) for part in problem["loc"]) + ": " + problem["msg"])
                raise UserError(f"{path}: line {number}: {wrong}; run the stage qa again") from None
    return records
