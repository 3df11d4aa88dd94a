"""Stage `enrich`: a language model imagines the details of planned scene graphs and makes the whole coherent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator

from tasks.common import stage
from tasks.common.errors import UserError
from tasks.common.files import complete, write_json
from tasks.common.parameters import Section
from tasks.common.progress import track
from tasks.common.provenance import made_by
from tasks.common.quarantine import Quarantine, check_bad_share, write_quarantine
from tasks.dysen.checks.graph_verifiers import Limits
from tasks.dysen.graphs.dynamic_scene_graph import LAST_TICK, MOST_ITEMS, DynamicSceneGraph, read_graphs, write_graphs
from tasks.dysen.imagining.enrichment import Enriched, Rules, enrich
from tasks.dysen.imagining.enrichment_counts import counts_of
from tasks.dysen.imagining.enrichment_log import FILE, EnrichmentEdit, write_edits
from tasks.dysen.planning.demonstrations import Choose, Pool, open_encoder, read_candidates
from tasks.dysen.planning.planner_names import Choosing
from tasks.llm.errors import ReplyError
from tasks.llm.model import CachedModel, ask_all, open_model
from tasks.llm.parameters import LanguageModel
from tasks.llm.reply_cache import ReplyCache
from tasks.lvd.prompt_sets import SET_NAME

_AT_A_TIME = 1_000
_PLANNER = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
Kind = Literal["grammar", "plan", "persistence", "contradiction", "size", "vocabulary"]


class GraphLimits(Section):
    """What an enriched graph may have."""

    longest_gap: int = Field(ge=0, le=LAST_TICK, description="ticks in a row without any event")
    last_tick: int = Field(ge=1, le=LAST_TICK, description="the latest end of an event")
    most_new_triplets: int = Field(ge=1, le=MOST_ITEMS, description="of a tick, beside those of its events")
    most_objects: int = Field(ge=1, le=MOST_ITEMS, description="of a tick")
    most_words: int = Field(ge=1, le=20, description="of a term")


class Parameters(Section):
    """Which graphs are enriched, how much, and what is set aside."""

    planner: str = Field(pattern=_PLANNER, description="whose graphs are enriched: a folder of data/dysen/graphs")
    sets: list[Annotated[str, Field(pattern=SET_NAME)]] = Field(
        min_length=1, max_length=100, description="files of that folder, without their ending"
    )
    most_prompts: int | None = Field(ge=1, description="different prompts of each set, from the first; null for all")
    demonstrations: int = Field(ge=0, le=32, description="gold graphs that a prompt shows")
    choice: Choosing = Field(description="how they are chosen: none, fixed, random, nearest or learned")
    choice_seed: int = Field(ge=0, description="of random choices, or of the training of the policy that chooses")
    imagined_lines: int = Field(ge=1, le=64, description="details that are asked for at a tick")
    polish: bool = Field(description="whether a second round looks at the whole")
    limits: GraphLimits
    set_aside: list[Kind] = Field(max_length=6, description="violations left after repair for which a graph is set aside")
    max_bad_fraction: float = Field(ge=0, le=1, description="graphs that are set aside, at most")

    @field_validator("sets")
    @classmethod
    def _are_different(cls, sets: list[str]) -> list[str]:
        if len(set(sets)) < len(sets) or Path(FILE).stem in sets:
            raise ValueError(f"sets are different, and none is called {Path(FILE).stem}")
        return sets

    @property
    def rules(self) -> Rules:
        """How a graph is enriched."""
        limits = Limits(**self.limits.model_dump())
        return Rules(self.imagined_lines, self.polish, limits, frozenset(self.set_aside))


@dataclass(frozen=True)
class Paths:
    """Planned graphs, demonstrations and policies in, replies of the language model in and out; graphs and lists out."""

    graphs: Path
    candidates: Path
    policies: Path
    replies: Path
    out: Path
    quarantine: Path
    provenance: Path
    metrics: Path


class _Set(NamedTuple):
    """The graphs of a set as planned, and what came of each."""

    planned: list[DynamicSceneGraph]
    found: list[Enriched | ReplyError]


def open_choice(project: Any, paths: Paths) -> Choose:
    """What chooses the demonstrations of prompts."""
    parameters: Parameters = project.enrich
    if parameters.choice == "none" or not parameters.demonstrations:
        return lambda captions: [()] * len(captions)
    encoder = open_encoder(project) if parameters.choice in ("nearest", "learned") else None
    pool = Pool(read_candidates(paths.candidates), encoder, parameters.demonstrations, paths.policies)
    return pool.choice(parameters.choice, parameters.choice_seed)


def _planned(parameters: Parameters, folder: Path) -> dict[str, list[DynamicSceneGraph]]:
    sets = {}
    for name in parameters.sets:
        path = folder / parameters.planner / f"{name}.jsonl"
        if not path.is_file():
            here = ", ".join(sorted(f"{file.parent.name}/{file.stem}" for file in folder.glob("*/*.jsonl")))
            wanted = f"take a planner and sets of {here}" if here else "run the stage dsg first"
            raise UserError(f"enrich.sets {name!r}: no file {path}; {wanted}")
        distinct: dict[str, DynamicSceneGraph] = {}
        for graph in read_graphs(path):
            distinct.setdefault(graph.prompt, graph)
        sets[name] = list(distinct.values())[: parameters.most_prompts]
    return sets


async def _enrich_all(
    model: CachedModel, graphs: Sequence[DynamicSceneGraph], choose: Choose, rules: Rules, what: str
) -> list[Enriched | ReplyError]:
    """Graphs side by side, the ticks of each one after the other; the model bounds the calls in flight."""
    shown = choose([graph.prompt for graph in graphs])

    async def one(graph: DynamicSceneGraph, demonstrations: Sequence[DynamicSceneGraph]) -> Enriched | ReplyError:
        try:
            return await enrich(model, graph, demonstrations, rules)
        except ReplyError as error:
            return error

    def detail() -> str:
        return f"(replies: {model.counts.cached} cached, {model.counts.asked} asked)"

    found: list[Enriched | ReplyError] = []
    for start in range(0, len(graphs), _AT_A_TIME):
        pairs = list(zip(graphs, shown, strict=True))[start : start + _AT_A_TIME]
        calls = [one(*pair) for pair in pairs]
        found += await ask_all(calls, lambda ended: track(ended, what, len(calls), detail))  # noqa: B023 - run at once
    return found


async def _enrich_sets(project: Any, paths: Paths) -> dict[str, _Set]:
    parameters: Parameters = project.enrich
    planned = _planned(parameters, paths.graphs)
    choose = open_choice(project, paths)
    sets = {}
    async with open_model(project.llm, paths.replies) as model:
        for name, graphs in planned.items():
            found = await _enrich_all(model, graphs, choose, parameters.rules, f"enrich: {name}")
            sets[name] = _Set(graphs, found)
    return sets


def _set_aside(sets: Mapping[str, _Set], parameters: Parameters, where: Path) -> dict[str, list[DynamicSceneGraph]]:
    """Writes down what is set aside, and returns the graphs that are kept."""
    quarantine = Quarantine()
    kept: dict[str, list[DynamicSceneGraph]] = {}
    for name, (planned, found) in sets.items():
        kept[name] = []
        for graph, one in zip(planned, found, strict=True):
            item = f"{parameters.planner} {name}: {graph.prompt}"
            grave = [] if isinstance(one, ReplyError) else one.grave(parameters.rules)
            if isinstance(one, ReplyError):
                quarantine.add(item, one.reason, one.detail, one.raw)
            elif grave:
                quarantine.add(item, grave[0].kind, "; ".join(f"{bad.where}: {bad.detail}" for bad in grave))
            else:
                kept[name].append(one.graph)
    write_quarantine(quarantine.lines, where)
    total = sum(len(one.planned) for one in sets.values())
    check_bad_share(len(quarantine.lines), total, parameters.max_bad_fraction, where)
    return kept


def enrich_graphs(project: Any, paths: Paths) -> stage.Metrics:
    """Enriches the sets of one planner, and writes the graphs, every edit and what was set aside."""
    parameters: Parameters = project.enrich
    llm: LanguageModel = project.llm
    ReplyCache(paths.replies).ensure()
    sets = asyncio.run(_enrich_sets(project, paths))
    kept = _set_aside(sets, parameters, paths.quarantine)
    good = {name: [one for one in found if isinstance(one, Enriched)] for name, (_, found) in sets.items()}
    with complete(paths.out, folder=True) as folder:
        for name, graphs in kept.items():
            write_graphs(folder / parameters.planner / f"{name}.jsonl", graphs)
        edits = [
            EnrichmentEdit.of(name, one.graph, entry, llm.model)
            for name, found in good.items()
            for one in found
            for entry in one.log
        ]
        write_edits(folder / parameters.planner / FILE, edits)
    settings = {"enrich": parameters.model_dump(), "model": llm.model, **llm.reply_settings()}
    write_json(paths.provenance, made_by("tasks.dysen.enrich", settings))
    return {name: counts_of(planned, good[name], len(planned) - len(kept[name])) for name, (planned, _) in sets.items()}


if __name__ == "__main__":
    sys.exit(stage.main("enrich", Paths, enrich_graphs))
