"""Stage `qa`: questions on stories and keyframes, each verified against the story and, if it is seen, by a detector."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from tasks.common import stage
from tasks.common.files import complete, write_json
from tasks.common.parameters import Section
from tasks.common.progress import track
from tasks.common.provenance import checkpoint_identity, made_by
from tasks.common.quarantine import Quarantine, check_bad_share, write_quarantine
from tasks.dreamframe.keyframe_archive import read_keyframes
from tasks.dreamframe.picture_questions import looked_for
from tasks.dreamframe.question_drafts import KINDS, Draft
from tasks.dreamframe.question_files import SPLITS, QuestionRecord, Split, split_of, write_questions
from tasks.dreamframe.question_verification import as_choice, ask, problem_in_story
from tasks.dreamframe.story_index import StoryIndex
from tasks.dreamframe.story_tree import Story, read_stories

if TYPE_CHECKING:
    from tasks.corpus.detector import PhraseDetector
    from tasks.dreamframe.keyframe_verification import Looking, Seen

_WORDS = ("what", "where", "why", "how", "who", "which")


class Parameters(Section):
    """How many questions are asked, how they are split, and which detector checks what is seen."""

    most_of_a_kind: int = Field(
        ge=0,
        le=1000,
        description="questions of a kind that each tiny story gets beside its own, at most; 0 for its own alone",
    )
    validation_fraction: float = Field(ge=0, le=1, description="share of stories whose questions are for validation")
    test_fraction: float = Field(ge=0, le=1, description="share of stories whose questions are for tests; the rest trains")
    detector: str = Field(min_length=1, description="GroundingDINO checkpoint: a folder or a hub id")
    revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    resolution: int = Field(
        ge=32, le=2048, multiple_of=8, description="side of the square that the detector reads, in pixels"
    )
    box_threshold: float = Field(gt=0, lt=1, description="least score of a box")
    text_threshold: float = Field(gt=0, lt=1, description="least probability of a token in a box's phrase")
    batch: int = Field(ge=1, le=1024, description="keyframes per model call")
    max_bad_fraction: float = Field(ge=0, le=1, description="share of questions that cannot be verified, at most")

    @model_validator(mode="after")
    def _leaves_a_rest(self) -> Parameters:
        if self.validation_fraction + self.test_fraction > 1:
            raise ValueError("validation_fraction and test_fraction are more than 1 together; lower one")
        return self


@dataclass(frozen=True)
class Paths:
    """Stories and their keyframes in; questions, lists and metrics out."""

    stories: Path
    keyframes: Path
    out: Path
    quarantine: Path
    provenance: Path
    metrics: Path


def _problem(draft: Draft, index: StoryIndex, seen: Mapping[str, Seen]) -> tuple[str, str] | None:
    """Why a question cannot be kept: a fixed word, and what is wrong; None for a good one."""
    from tasks.dreamframe.keyframe_verification import problem_in_picture

    untold, frame = problem_in_story(draft, index), draft.evidence[0]
    if untold:
        return "not-in-story", f"not in the story: {untold}"
    if not draft.claims:
        return None
    if frame not in seen:
        return "no-keyframe", f"no keyframe of {frame}"
    unseen = problem_in_picture(draft.claims, seen[frame])
    return ("not-seen", f"not seen in {frame}: {unseen}") if unseen else None


def _see(story: Story, index: StoryIndex, drafts: Sequence[Draft], paths: Paths, detector: _Detector) -> dict[str, Seen]:
    """What is found in the keyframes that questions are about; none of those made from another prompt than the story's."""
    from tasks.dreamframe.keyframe_verification import look

    asked = {draft.evidence[0] for draft in drafts if draft.claims}
    wanted = {frame: looked_for(index.events[frame], index) for frame in asked}
    if not asked or not (paths.keyframes / f"{story.id}.jsonl").is_file():
        return {}
    pictures = (
        (keyframe.id, pixels)
        for keyframe, pixels in read_keyframes(paths.keyframes, story.id)
        if keyframe.id in wanted and keyframe.text == index.frames[keyframe.id].prompt
    )
    return dict(look(detector.open(), pictures, wanted, detector.looking))


class _Detector:
    """The detector of the parameters, opened once and only if there is something to look for."""

    def __init__(self, project: Any) -> None:
        from tasks.dreamframe.keyframe_verification import Looking

        self._project = project
        self._opened: PhraseDetector | None = None
        self.looking: Looking = Looking(**{name: getattr(project.qa, name) for name in Looking._fields})

    def open(self) -> PhraseDetector:
        """The model with its weights."""
        from tasks.common.devices import select_device
        from tasks.corpus.detector import PhraseDetector

        if self._opened is None:
            parameters: Parameters = self._project.qa
            self._opened = PhraseDetector(parameters.detector, parameters.revision, *select_device(self._project.compute))
        return self._opened


def _records(story: Story, index: StoryIndex, drafts: Sequence[Draft], split: Split, seed: int) -> list[QuestionRecord]:
    records = []
    for draft in drafts:
        choice = as_choice(draft, index, seed)
        records += [_record(one, story.id, split) for one in (draft, choice) if one is not None]
    return records


def _record(draft: Draft, story_id: str, split: Split) -> QuestionRecord:
    return QuestionRecord.model_validate(
        {
            **{name: getattr(draft, name) for name in ("id", "level", "kind", "question", "answer", "letter", "evidence")},
            "story": story_id,
            "split": split,
            "word": draft.question.partition(" ")[0].casefold()[:100],
            "options": draft.options or None,
            "verified_by": ("story", "detector") if draft.claims else ("story",),
        }
    )


def _metrics(tried: Counter[str], verified: Counter[str], records: Sequence[QuestionRecord]) -> stage.Metrics:
    """Counts of questions tried and verified, by kind, an open one and its choice as one; and of records."""
    words = Counter(record.word if record.word in _WORDS else "other" for record in records)
    return {
        "asked": tried.total(),
        "verified_share": verified.total() / tried.total() if tried else 0.0,
        "verified_share_by_kind": {kind: verified[kind] / tried[kind] if tried[kind] else None for kind in KINDS},
        "questions": len(records),
        "by_kind": {kind: sum(record.kind == kind for record in records) for kind in KINDS},
        "by_word": {word: words[word] for word in (*_WORDS, "other")},
        "by_form": {
            "open": sum(record.options is None for record in records),
            "choice": sum(record.options is not None for record in records),
        },
        "by_split": {split: sum(record.split == split for record in records) for split in SPLITS},
    }


def make_questions(project: Any, paths: Paths) -> stage.Metrics:
    """Asks and verifies questions on each story, and writes them, what was set aside, and where all that comes from."""
    parameters: Parameters = project.qa
    stories = read_stories(paths.stories)
    detector, quarantine = _Detector(project), Quarantine()
    tried: Counter[str] = Counter()
    verified: Counter[str] = Counter()
    every: list[QuestionRecord] = []
    with complete(paths.out, folder=True) as folder:
        for story in track(stories, "qa: stories", len(stories)):
            index = StoryIndex(story)
            drafts = ask(index, parameters.most_of_a_kind)
            seen = _see(story, index, drafts, paths, detector)
            problems = [_problem(draft, index, seen) for draft in drafts]
            for draft, problem in zip(drafts, problems, strict=True):
                if problem:
                    quarantine.add(f"{story.id} {draft.id}", *problem, raw=f"{draft.question} {draft.answer}")
            kept = [draft for draft, problem in zip(drafts, problems, strict=True) if not problem]
            tried.update(draft.kind for draft in drafts)
            verified.update(draft.kind for draft in kept)
            split = split_of(story.id, parameters.validation_fraction, parameters.test_fraction)
            records = _records(story, index, kept, split, project.seed)
            write_questions(folder / f"{story.id}.jsonl", records)
            every += records
        write_quarantine(quarantine.lines, paths.quarantine)
        check_bad_share(len(quarantine.lines), tried.total(), parameters.max_bad_fraction, paths.quarantine)
    settings = {"qa": parameters.model_dump(), "seed": project.seed}
    checkpoint = checkpoint_identity(parameters.detector, parameters.revision)
    compute = {"device": project.compute.device, "dtype": project.compute.dtype}
    write_json(paths.provenance, made_by("tasks.dreamframe.qa", settings, checkpoint=checkpoint, **compute))
    reasons = dict(sorted(quarantine.reasons.items()))
    counts = {"stories": len(stories), **_metrics(tried, verified, every)}
    return {**counts, "quarantined": len(quarantine.lines), "quarantined_by_reason": reasons}


if __name__ == "__main__":
    sys.exit(stage.main("qa", Paths, make_questions))
