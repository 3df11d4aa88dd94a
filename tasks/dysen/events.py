"""Stage `events`: captions to timed events, by the clause parser and by a language model with chosen demonstrations."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from tasks.common import stage
from tasks.common.files import complete, write_json
from tasks.common.parameters import Section
from tasks.common.provenance import made_by
from tasks.common.quarantine import Quarantine, check_bad_share, write_quarantine
from tasks.dysen.clauses.clause_events import ClauseEventParser
from tasks.dysen.graphs.dynamic_scene_graph import LAST_TICK, DynamicSceneGraph, Event, write_graphs
from tasks.dysen.planning.caption_sets import captions_of
from tasks.dysen.planning.demonstrations import Pool, open_encoder, read_candidates
from tasks.dysen.planning.event_planning import Planning, plan_captions
from tasks.dysen.planning.event_prompts import predicates_of
from tasks.dysen.planning.planner_names import PARSER, PlannerName, choosing_of, needs_features
from tasks.llm.errors import ReplyError
from tasks.llm.model import open_model
from tasks.llm.parameters import LanguageModel
from tasks.llm.reply_cache import ReplyCache
from tasks.lvd.prompt_sets import SET_NAME


class Parameters(Section):
    """Which captions are read, and by whom."""

    sets: list[Annotated[str, Field(pattern=SET_NAME)]] = Field(
        min_length=1, max_length=100, description="sets of gold such as heldout, or names of files in data/prompts"
    )
    planners: list[PlannerName] = Field(
        min_length=1,
        max_length=100,
        description="parser, llm-none, llm-fixed, llm-nearest, llm-random-SEED, llm-learned-SEED",
    )
    demonstrations: int = Field(ge=1, le=64, description="gold graphs shown to the model; 8 as published")
    last_tick: int = Field(ge=1, le=LAST_TICK, description="at which a video ends; as in gold")
    fallback: bool = Field(description="whether the parser reads captions for which the model has no usable reply")
    max_bad_fraction: float = Field(ge=0, le=1, description="captions of one planner without events, at most")


@dataclass(frozen=True)
class Paths:
    """Gold graphs, prompts and policies in, replies of the language model in and out; events, lists and metrics out."""

    gold: Path
    prompts: Path
    policies: Path
    replies: Path
    out: Path
    quarantine: Path
    provenance: Path
    metrics: Path


class _Read(NamedTuple):
    """Events of a set's captions in order, who read each, and the captions that have none, with the reason."""

    graphs: list[DynamicSceneGraph]
    fallbacks: int
    failed: dict[str, ReplyError]


Answers = Mapping[str, tuple[Event, ...] | ReplyError]


def _gathered(captions: Sequence[str], answers: Answers, parsed: Answers | None, planner: str) -> _Read:
    """Graphs without ticks; where a model failed, what the parser found, if it may and did."""
    read = _Read([], 0, {})
    fallbacks = 0
    for caption in captions:
        events, source = answers[caption], planner
        if isinstance(events, ReplyError) and parsed is not None and parsed[caption]:
            events, source = parsed[caption], f"{planner}, {PARSER} as fallback"
            fallbacks += 1
        if isinstance(events, ReplyError):
            read.failed[caption] = events
        else:
            read.graphs.append(DynamicSceneGraph(prompt=caption, events=events, source=source))
    return read._replace(fallbacks=fallbacks)


def _parse(sets: Mapping[str, Sequence[str]], last_tick: int) -> dict[str, tuple[Event, ...] | ReplyError]:
    distinct = list(dict.fromkeys(caption for captions in sets.values() for caption in captions))
    found = ClauseEventParser().events_of_all(distinct, last_tick)
    nothing = ReplyError("nothing", "the parser found no event in the caption")
    return {caption: events or nothing for caption, events in zip(distinct, found, strict=True)}


async def _read_all(project: Any, sets: Mapping[str, Sequence[str]], paths: Paths) -> dict[tuple[str, str], _Read]:
    parameters: Parameters = project.events
    planners = list(dict.fromkeys(parameters.planners))
    parsed = _parse(sets, parameters.last_tick) if parameters.fallback or PARSER in planners else None
    encoder = open_encoder(project) if any(map(needs_features, planners)) else None
    pool = Pool(read_candidates(paths.gold / "candidates.jsonl"), encoder, parameters.demonstrations, paths.policies)
    vocabulary = predicates_of(pool.candidates)
    found = {}
    async with open_model(project.llm, paths.replies) as model:
        for planner in planners:
            for name, captions in sets.items():
                if planner == PARSER:
                    answers: Answers = parsed or {}
                else:
                    planning = Planning(pool.choice(*choosing_of(planner)), vocabulary, parameters.last_tick)
                    answers = await plan_captions(model, captions, planning, f"events: {planner}, {name}")
                found[planner, name] = _gathered(captions, answers, parsed if parameters.fallback else None, planner)
    return found


def _set_aside(found: Mapping[tuple[str, str], _Read], most: float, where: Path) -> None:
    quarantine = Quarantine()
    for (planner, name), read in found.items():
        for caption, error in read.failed.items():
            quarantine.add(f"{planner} {name}: {caption}", error.reason, error.detail, error.raw)
    write_quarantine(quarantine.lines, where)
    for planner in {planner: None for planner, _ in found}:
        mine = [read for (by, _), read in found.items() if by == planner]
        bad = sum(len(read.failed) for read in mine)
        check_bad_share(bad, bad + sum(len(read.graphs) for read in mine), most, where)


def _metrics(found: Mapping[tuple[str, str], _Read]) -> stage.Metrics:
    metrics: dict[str, Any] = {}
    for (planner, name), read in found.items():
        metrics.setdefault(planner, {})[name] = {
            "captions": len(read.graphs) + len(read.failed),
            "events": sum(len(graph.events) for graph in read.graphs),
            "fallbacks": read.fallbacks,
            "quarantined": len(read.failed),
        }
    return metrics


def read_events(project: Any, paths: Paths) -> stage.Metrics:
    """Reads every set by every planner, and writes events and what was set aside."""
    parameters: Parameters = project.events
    llm: LanguageModel = project.llm
    ReplyCache(paths.replies).ensure()
    sets = {name: captions_of(name, paths.gold, paths.prompts, "events.sets") for name in parameters.sets}
    found = asyncio.run(_read_all(project, sets, paths))
    _set_aside(found, parameters.max_bad_fraction, paths.quarantine)
    with complete(paths.out, folder=True) as folder:
        for (planner, name), read in found.items():
            write_graphs(folder / planner / f"{name}.jsonl", read.graphs)
    settings = {"events": parameters.model_dump(), "model": llm.model, **llm.reply_settings()}
    write_json(paths.provenance, made_by("tasks.dysen.events", settings))
    return _metrics(found)


if __name__ == "__main__":
    sys.exit(stage.main("events", Paths, read_events))
