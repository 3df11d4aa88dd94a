"""Stage `instructions`: verified questions, keyframes and dialogues as data for training video-language models."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from tasks.common import stage
from tasks.common.files import complete, write_json
from tasks.common.parameters import Section
from tasks.common.progress import track
from tasks.common.provenance import made_by
from tasks.common.quarantine import Quarantine, check_bad_share, write_quarantine
from tasks.dreamframe.instruction_records import CHOICE, OPEN, Record, records_of, video_file
from tasks.dreamframe.keyframe_archive import Keyframe, read_keyframes, read_manifest
from tasks.dreamframe.question_files import SPLITS, QuestionRecord, Split, read_questions
from tasks.dreamframe.slideshow import Resampling, TooLong, frames_of_each, video_size, write_slideshow
from tasks.dreamframe.story_tree import Story, read_stories
from tasks.dreamframe.subtitles import ShownFrame, interleaved, shown_frames, subtitles


class Parameters(Section):
    """How keyframes become a video."""

    seconds_per_frame: float = Field(ge=0.5, le=60, description="how long each keyframe is shown; 1 as published")
    frames_per_second: float = Field(ge=0.01, le=60, description="of the video file; its frames repeat keyframes")
    least_side: int = Field(ge=16, le=4096, description="pixels of the video's shorter side, at least")
    most_side: int = Field(ge=16, le=4096, description="pixels of the video's longer side, at most")
    resampling: Resampling = Field(description="how keyframes are enlarged: nearest for pixel art, lanczos for pictures")
    max_bad_fraction: float = Field(ge=0, le=1, description="share of stories and questions that cannot be used, at most")

    @model_validator(mode="after")
    def _fits(self) -> Parameters:
        if self.most_side < self.least_side:
            raise ValueError("most_side is below least_side; raise it")
        shown = frames_of_each(self.seconds_per_frame, self.frames_per_second) / self.frames_per_second
        if abs(shown - self.seconds_per_frame) > 1e-6:
            raise ValueError("seconds_per_frame x frames_per_second must be a whole number; set frames_per_second to one")
        return self


@dataclass(frozen=True)
class Paths:
    """Stories, keyframes and questions in; data by split, lists and metrics out."""

    stories: Path
    keyframes: Path
    questions: Path
    out: Path
    quarantine: Path
    provenance: Path
    metrics: Path


class _Usable(NamedTuple):
    """A story with what is shown of it and asked about that."""

    story: Story
    frames: tuple[ShownFrame, ...]
    keyframe: Keyframe
    questions: list[QuestionRecord]
    split: Split


def _usable(story: Story, paths: Paths, quarantine: Quarantine) -> _Usable | None:
    """The story if it has keyframes and questions; questions on what is not shown are set aside."""
    keyframes = read_manifest(paths.keyframes, story.id) if (paths.keyframes / f"{story.id}.jsonl").is_file() else []
    known = {frame.id: frame.prompt for frame in story.frames()}
    keyframes = [keyframe for keyframe in keyframes if known.get(keyframe.id) == keyframe.text]
    if not keyframes:
        quarantine.add(story.id, "no-keyframes", "no keyframe of this story; the stage keyframes makes them")
        return None
    frames = shown_frames(story, {keyframe.id for keyframe in keyframes})
    shown = {shown.frame for shown in frames} | {line.id for shown in frames for line in shown.lines}
    hidden = ({frame.id for frame in story.frames()} | {line.id for line in story.dialogues()}) - shown
    questions = []
    for question in read_questions(paths.questions / f"{story.id}.jsonl"):
        unseen = hidden.intersection(question.evidence)
        if unseen:
            quarantine.add(f"{story.id} {question.id}", "not-shown", f"no keyframe for {', '.join(sorted(unseen))}")
        else:
            questions.append(question)
    if not questions:
        quarantine.add(story.id, "no-questions", "no question on what is shown; the stage qa asks them")
        return None
    return _Usable(story, frames, keyframes[0], questions, questions[0].split)


def _write_story(usable: _Usable, parameters: Parameters, keyframes: Path, folder: Path) -> None:
    """Slideshow, subtitles and input string of a story.

    Raises:
        TooLong: the slideshow would be too large.
    """
    name, first, shown = usable.story.id, usable.keyframe, {shown.frame for shown in usable.frames}
    write_slideshow(
        (pixels for keyframe, pixels in read_keyframes(keyframes, name) if keyframe.id in shown),
        len(shown),
        folder / video_file(name),
        video_size(first.height, first.width, parameters.least_side, parameters.most_side),
        frames_of_each(parameters.seconds_per_frame, parameters.frames_per_second),
        parameters.frames_per_second,
        parameters.resampling,
    )
    _write(folder / "subtitles" / f"{name}.srt", subtitles(usable.frames, parameters.seconds_per_frame))
    _write(folder / "inputs" / f"{name}.txt", interleaved(usable.frames))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_records(made: dict[str, list[Record]], folder: Path) -> None:
    """Each format's file, `.json` as one list, `.jsonl` as a line for each record."""
    for name, records in made.items():
        if name.endswith(".jsonl"):
            text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        else:
            text = json.dumps(records, indent=2, ensure_ascii=False) + "\n"
        _write(folder / name, text)


def _metrics(used: list[_Usable], made: dict[Split, dict[str, list[Record]]], parameters: Parameters) -> stage.Metrics:
    frames = sum(len(usable.frames) for usable in used)
    stories = Counter(usable.split for usable in used)
    return {
        "stories": len(used),
        "stories_by_split": {split: stories[split] for split in SPLITS},
        "frames": frames,
        "seconds": frames * parameters.seconds_per_frame,
        "subtitles": sum(len(shown.lines) for usable in used for shown in usable.frames),
        "records": {
            name.partition(".")[0]: {split: len(made[split][name]) for split in SPLITS} for name in (*OPEN, *CHOICE)
        },
    }


def make_instructions(project: Any, paths: Paths) -> stage.Metrics:
    """Writes the data of each split, and what was set aside."""
    parameters: Parameters = project.instructions
    stories, quarantine = read_stories(paths.stories), Quarantine()
    used: list[_Usable] = []
    with complete(paths.out, folder=True) as folder:
        for split in SPLITS:
            (folder / split).mkdir()
        for story in track(stories, "instructions: stories", len(stories)):
            usable = _usable(story, paths, quarantine)
            if usable is not None:
                try:
                    _write_story(usable, parameters, paths.keyframes, folder / usable.split)
                    used.append(usable)
                except TooLong as error:
                    quarantine.add(story.id, "too-long", f"{error}; lower most_side or frames_per_second")
        asked = {split: [one for usable in used if usable.split == split for one in usable.questions] for split in SPLITS}
        made = {split: records_of(asked[split]) for split in SPLITS}
        for split in SPLITS:
            _write_records(made[split], folder / split)
        write_quarantine(quarantine.lines, paths.quarantine)
        total = len(stories) + sum(map(len, asked.values())) + quarantine.reasons["not-shown"]
        check_bad_share(len(quarantine.lines), total, parameters.max_bad_fraction, paths.quarantine)
    write_json(paths.provenance, made_by("tasks.dreamframe.instructions", {"instructions": parameters.model_dump()}))
    reasons = dict(sorted(quarantine.reasons.items()))
    counts = _metrics(used, made, parameters)
    return {**counts, "quarantined": len(quarantine.lines), "quarantined_by_reason": reasons}


if __name__ == "__main__":
    sys.exit(stage.main("instructions", Paths, make_instructions))
