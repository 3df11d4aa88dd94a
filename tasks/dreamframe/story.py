"""Stage `story`: themes to stories in frames, dialogues and questions, by choices of a small model or by a large one."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, field_validator, model_validator

from tasks.common import stage
from tasks.common.files import complete, write_json
from tasks.common.names import safe_name
from tasks.common.parameters import Section
from tasks.common.progress import track
from tasks.common.provenance import made_by
from tasks.common.quarantine import Quarantine, check_bad_share, write_quarantine
from tasks.dreamframe.story_constraints import KINDS
from tasks.dreamframe.story_direct import tell_directly
from tasks.dreamframe.story_rules import Breadth
from tasks.dreamframe.story_slots import tell_by_slots
from tasks.dreamframe.story_telling import Told, checked, parts_of
from tasks.dreamframe.story_text import clean_text
from tasks.dreamframe.story_tree import MOST_PARTS, Story, write_story
from tasks.dreamframe.story_vocabulary import QUESTION_WORDS
from tasks.llm.errors import ReplyError
from tasks.llm.model import CachedModel, open_model
from tasks.llm.parameters import LanguageModel
from tasks.llm.reply_cache import ReplyCache

MOST_THEME = 500
MOST_FRAMES = 20_000
"""Of one story; the original has 1,331."""
_LEVELS = ("overview", "story", "substory", "tiny_story")
Item = TypeVar("Item")


def _one_line(theme: str) -> str:
    line = " ".join(clean_text(theme, one_line=True).split())
    if not any(character.isalnum() for character in line):
        raise ValueError("a theme needs at least one letter; say in a few words what the story is about")
    return line


Theme = Annotated[str, Field(min_length=1, max_length=MOST_THEME), AfterValidator(_one_line)]


class Parameters(Section):
    """Which stories are told, by whom, and how broad they are."""

    themes: list[Theme] = Field(min_length=1, max_length=1_000, description="a story for each; its file is named after it")
    planner: Literal["slots", "direct"] = Field(
        description="slots: the model chooses and code composes, for small models; direct: the model writes"
    )
    substories: int = Field(ge=1, le=MOST_PARTS, description="of a story; 11 as published")
    tiny_stories: int = Field(ge=1, le=MOST_PARTS, description="of a substory; 11 as published")
    frames: int = Field(ge=1, le=MOST_PARTS, description="of a tiny story; 11 as published")
    dialogues: int = Field(ge=0, le=MOST_PARTS, description="of a tiny story, at most; 6 as published")
    max_bad_fraction: float = Field(ge=0, le=1, description="parts of all stories that are set aside, at most")

    @field_validator("themes")
    @classmethod
    def _are_different(cls, themes: list[str]) -> list[str]:
        twice = next((theme for theme, number in Counter(map(safe_name, themes)).items() if number > 1), None)
        if twice:
            raise ValueError(f"the theme of {twice} is there twice; delete one")
        return themes

    @model_validator(mode="after")
    def _is_not_too_broad(self) -> Parameters:
        frames = self.substories * self.tiny_stories * self.frames
        if frames > MOST_FRAMES:
            raise ValueError(f"substories x tiny_stories x frames is {frames}, at most {MOST_FRAMES}; lower one")
        return self

    @property
    def breadth(self) -> Breadth:
        """How many parts of each kind a story has."""
        return Breadth(self.substories, self.tiny_stories, self.frames, self.dialogues)


@dataclass(frozen=True)
class Paths:
    """Replies of the language model in and out; stories, lists and metrics out."""

    replies: Path
    out: Path
    quarantine: Path
    provenance: Path
    metrics: Path


async def _tell_all(parameters: Parameters, llm: LanguageModel, seed: int, replies: Path) -> dict[str, Told]:
    """The stories by id, one theme after the other: what is asked at the same time are the parts of one story."""
    breadth = parameters.breadth
    stories = {}
    async with open_model(llm, replies) as model:
        for number, theme in enumerate(parameters.themes, start=1):
            name = safe_name(theme)
            what = f"story {number} of {len(parameters.themes)}: tiny stories"

            def watch(ended: Iterable[Awaitable[Item]], what: str = what) -> Iterable[Awaitable[Item]]:
                return track(ended, what, breadth.substories * breadth.tiny_stories, lambda: _counted(model))

            if parameters.planner == "direct":
                stories[name] = await tell_directly(model, name, theme, breadth, watch)
            else:
                stories[name] = await _by_slots(model, name, theme, breadth, seed, watch)
    return stories


async def _by_slots(model: CachedModel, name: str, theme: str, breadth: Breadth, seed: int, watch: Any) -> Told:
    try:
        return checked(await tell_by_slots(model, name, theme, breadth, seed, watch), breadth)
    except ReplyError as error:
        told = Told()
        told.set_aside("", error, parts_of(breadth))
        return told


def _counted(model: CachedModel) -> str:
    counts = model.counts
    return (
        f"(replies: {counts.cached} cached, {counts.asked} asked, {counts.repaired} repaired, {counts.re_asked} asked again)"
    )


def _set_aside(stories: dict[str, Told], parameters: Parameters, where: Path) -> None:
    quarantine = Quarantine()
    for name, told in stories.items():
        for part, error in told.failed.items():
            quarantine.add(f"{name} {part}".strip(), error.reason, error.detail, error.raw)
    write_quarantine(quarantine.lines, where)
    lost = sum(told.lost for told in stories.values())
    check_bad_share(lost, len(stories) * parts_of(parameters.breadth), parameters.max_bad_fraction, where)


def _metrics(stories: dict[str, Told]) -> stage.Metrics:
    told = [one.story for one in stories.values() if one.story]
    asked = [question for story in told for question in story.all_questions()]
    words = Counter(question.question.partition(" ")[0].casefold() for question in asked if question.level != "overview")
    before: Counter[str] = sum((one.before for one in stories.values()), Counter())
    after: Counter[str] = sum((one.after for one in stories.values()), Counter())
    return {
        "stories": len(told),
        **_node_counts(told),
        "questions": {level: sum(question.level == level for question in asked) for level in _LEVELS},
        "question_words": {word: words[word] for word in QUESTION_WORDS},
        "violations": {
            "before_repair": {"all": before.total(), **{kind: before[kind] for kind in KINDS}},
            "after_repair": {"all": after.total(), **{kind: after[kind] for kind in KINDS}},
        },
        "set_aside": sum(len(one.failed) for one in stories.values()),
        "lost_parts": sum(one.lost for one in stories.values()),
    }


def _node_counts(stories: list[Story]) -> dict[str, int]:
    return {
        "substories": sum(len(story.substories) for story in stories),
        "tiny_stories": sum(len(list(story.tiny_stories())) for story in stories),
        "frames": sum(len(list(story.frames())) for story in stories),
        "dialogues": sum(len(list(story.dialogues())) for story in stories),
        "characters": sum(len(story.characters) for story in stories),
        "locations": sum(len(story.locations) for story in stories),
    }


def make_stories(project: Any, paths: Paths) -> stage.Metrics:
    """Tells a story on each theme, and writes the trees and what was set aside."""
    parameters: Parameters = project.story
    llm: LanguageModel = project.llm
    ReplyCache(paths.replies).ensure()
    stories = asyncio.run(_tell_all(parameters, llm, project.seed, paths.replies))
    _set_aside(stories, parameters, paths.quarantine)
    with complete(paths.out, folder=True) as folder:
        for name, told in stories.items():
            if told.story:
                write_story(folder / f"{name}.json", told.story)
    settings = {"story": parameters.model_dump(), "seed": project.seed, "model": llm.model, **llm.reply_settings()}
    write_json(paths.provenance, made_by("tasks.dreamframe.story", settings))
    return _metrics(stories)


if __name__ == "__main__":
    sys.exit(stage.main("story", Paths, make_stories))
