"""Stage `layouts`: prompts to dynamic scene layouts, by each planner that is asked for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tasks.common import stage
from tasks.common.contact_sheet import save_contact_sheet
from tasks.common.files import complete, write_json
from tasks.common.parameters import Section
from tasks.common.provenance import made_by
from tasks.common.quarantine import Quarantine, check_bad_share, write_quarantine
from tasks.llm.errors import ReplyError
from tasks.llm.model import CachedModel, open_model
from tasks.llm.parameters import LanguageModel
from tasks.llm.reply_cache import ReplyCache
from tasks.lvd.layout import DynamicSceneLayout, write_layouts
from tasks.lvd.planners import Planner, Plans, PlanSettings, Slots, needs_model, plan_prompts
from tasks.lvd.previews import STRIP_COLUMNS, STRIP_SIZE, film_strip_tiles, save_previews
from tasks.lvd.prompt_sets import SET_NAME, prompts_of


class Parameters(Section):
    """What is planned, by whom, and in what form."""

    prompts: list[Annotated[str, Field(pattern=SET_NAME)]] = Field(
        min_length=1, max_length=100, description="lvd or a part of it, or names of files in data/prompts"
    )
    planners: list[Planner] = Field(min_length=1, max_length=4, description="the first is what video generation takes")
    slots: Slots = Field(description="how slots/llm asks: each slot by itself for small models, all together for large ones")
    frames: int = Field(ge=2, le=64, description="frames of a layout; 6 as published")
    frames_per_second: float = Field(gt=0, le=120, description="as told to a model that writes boxes")
    max_bad_fraction: float = Field(ge=0, le=1, description="prompts of one planner without a layout, at most")
    preview_layouts: int = Field(ge=1, le=100, description="layouts drawn, spread over the first set of prompts")


@dataclass(frozen=True)
class Paths:
    """Prompts in, replies of the language model in and out; layouts, previews, lists, a figure and metrics out."""

    prompts: Path
    replies: Path
    out: Path
    previews: Path
    quarantine: Path
    provenance: Path
    figure: Path
    metrics: Path


def folder_of(planner: str) -> str:
    """What the folder with a planner's layouts is called."""
    return planner.replace("/", "-")


async def _plan_all(parameters: Parameters, llm: LanguageModel, paths: Paths) -> dict[tuple[Planner, str], Plans]:
    settings = PlanSettings(parameters.frames, parameters.frames_per_second, parameters.slots)
    sets = {name: prompts_of(name, paths.prompts) for name in parameters.prompts}
    found = {}
    async with open_model(llm, paths.replies) as model:
        for planner in dict.fromkeys(parameters.planners):
            asked: CachedModel | None = model if needs_model(planner) else None
            for name, prompts in sets.items():
                found[planner, name] = await plan_prompts(planner, prompts, settings, asked, f"layouts: {planner}, {name}")
    return found


def _set_aside(plans: dict[tuple[Planner, str], Plans], paths: Paths, most: float) -> None:
    quarantine = Quarantine()
    for (planner, name), made in plans.items():
        for number, plan in enumerate(made.layouts):
            if isinstance(plan, ReplyError):
                quarantine.add(f"{planner} {name} {number}", plan.reason, plan.detail, plan.raw)
    write_quarantine(quarantine.lines, paths.quarantine)
    for planner in {planner: None for planner, _ in plans}:
        layouts = [plan for (by, _), made in plans.items() if by == planner for plan in made.layouts]
        check_bad_share(sum(isinstance(plan, ReplyError) for plan in layouts), len(layouts), most, paths.quarantine)


def _good(plans: Plans) -> list[DynamicSceneLayout]:
    return [plan for plan in plans.layouts if isinstance(plan, DynamicSceneLayout)]


def _spread(layouts: Iterable[DynamicSceneLayout], count: int) -> list[DynamicSceneLayout]:
    """At most `count` layouts of different prompts, evenly spread."""
    distinct = list({layout.prompt: layout for layout in layouts}.values())
    return [distinct[number * len(distinct) // count] for number in range(count)] if len(distinct) > count else distinct


def _draw(layouts: list[DynamicSceneLayout], paths: Paths) -> None:
    tiles = [tile for layout in layouts for tile in film_strip_tiles(layout)]
    save_contact_sheet(tiles, STRIP_COLUMNS, STRIP_SIZE, paths.figure)
    with complete(paths.previews, folder=True) as folder:
        save_previews(layouts, folder)


def _metrics(plans: dict[tuple[Planner, str], Plans]) -> stage.Metrics:
    metrics: dict[str, Any] = {}
    for (planner, name), made in plans.items():
        good = _good(made)
        metrics.setdefault(folder_of(planner), {})[name] = {
            "prompts": len(made.layouts),
            "distinct_layouts": len({layout.model_dump_json(include={"frames"}) for layout in good}),
            "objects": sum(len({item.id for frame in layout.frames for item in frame}) for layout in good),
            "quarantined": len(made.layouts) - len(good),
            "repairs": dict(sorted(made.repairs.items())),
        }
    return metrics


def make_layouts(project: Any, paths: Paths) -> stage.Metrics:
    """Plans every set by every planner, and writes layouts, previews and what was set aside."""
    parameters: Parameters = project.layouts
    llm: LanguageModel = project.llm
    ReplyCache(paths.replies).ensure()
    plans = asyncio.run(_plan_all(parameters, llm, paths))
    _set_aside(plans, paths, parameters.max_bad_fraction)
    with complete(paths.out, folder=True) as folder:
        for (planner, name), made in plans.items():
            write_layouts(folder / folder_of(planner) / f"{name}.jsonl", _good(made))
    _draw(_spread(_good(next(iter(plans.values()))), parameters.preview_layouts), paths)
    settings = {"layouts": parameters.model_dump(), "model": llm.model, **llm.reply_settings()}
    write_json(paths.provenance, made_by("tasks.lvd.layouts", settings))
    return _metrics(plans)


if __name__ == "__main__":
    sys.exit(stage.main("layouts", Paths, make_layouts))
