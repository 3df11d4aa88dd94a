"""Stage `dsg_eval`: events and scene graphs of all planners against gold, and enriched graphs against planned ones."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.common import stage
from tasks.common.errors import StageError, UserError
from tasks.common.files import write_json
from tasks.common.parameters import Section
from tasks.common.provenance import checkpoint_identity, made_by
from tasks.common.quarantine import printable
from tasks.common.report_table import write_table

if TYPE_CHECKING:
    from tasks.dysen.scores.planner_scores import Scoring

_SET = "heldout.jsonl"
_GAINS = ("planning_reliability", "planning_f1", "triplet_recall", "exactly_right")


class Parameters(Section):
    """Which terms mean the same by their embeddings."""

    encoder: str = Field(
        min_length=1, description="of terms: a CLIP model or a pipeline with a text encoder; folder or hub id"
    )
    revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    least_cosine: float = Field(gt=0, le=1, description="of two terms that match by embedding")


@dataclass(frozen=True)
class Paths:
    """Gold graphs, and graphs and enriched ones as PLANNER/heldout.jsonl in; provenance, two tables and metrics out."""

    gold: Path
    graphs: Path
    enriched: Path
    provenance: Path
    table: Path
    enriched_table: Path
    metrics: Path


def _scoring(project: Any, gold: Path) -> Scoring:
    from tasks.common.devices import select_device
    from tasks.common.text_features import TextFeatures
    from tasks.dysen.scores.planner_scores import Scoring

    parameters: Parameters = project.dsg_eval
    features = TextFeatures(parameters.encoder, parameters.revision, *select_device(project.compute))
    return Scoring(gold, lambda texts: features.of(texts).numpy(), parameters.least_cosine)


def _planners(folder: Path, made_by_stage: str) -> list[str]:
    """Names of the folders that have held-out graphs."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; the stage `{made_by_stage}` makes it")
    names = sorted(file.parent.name for file in folder.glob(f"*/{_SET}"))
    strange = next((name for name in names if printable(name, 100) != name), None)
    if strange is not None:
        raise UserError(
            f"{printable(str(folder / strange))}: cannot be a planner's name; rename the folder, such as to parser"
        )
    return names


def _gains(groups: Mapping[str, Any]) -> dict[str, float] | None:
    """How much more learned demonstrations reach than random ones, in the mean over seeds; None unless both are there."""
    from tasks.dysen.scores.dsg_table import LEARNED, RANDOM

    learned, random = (groups.get(name, {}).get("mean") for name in (LEARNED, RANDOM))
    return {name: learned[name] - random[name] for name in _GAINS} if learned and random else None


def make_scores(project: Any, paths: Paths) -> stage.Metrics:
    """Scores all planners, and writes the tables; returns metrics by planner."""
    from tasks.dysen.scores.dsg_table import comparison_note, encoder_note, enrichment_table, planner_table
    from tasks.dysen.scores.planner_groups import by_group

    parameters: Parameters = project.dsg_eval
    planners, enriched = _planners(paths.graphs, "dsg"), _planners(paths.enriched, "enrich")
    if not planners:
        raise StageError(f"{paths.graphs}: no planner has {_SET}; name the set heldout in events.sets and run `dsg`")
    scoring = _scoring(project, paths.gold / _SET)
    gc.freeze()  # else each collection among graphs walks all objects of torch
    groups = by_group({name: scoring.planner(paths.graphs / name / _SET) for name in planners})
    added = {name: scoring.enrichment(paths.graphs / name / _SET, paths.enriched / name / _SET) for name in enriched}
    about_terms = encoder_note(parameters.encoder, parameters.least_cosine)
    write_table(paths.table, planner_table(groups, project.llm.model, about_terms + comparison_note(groups)))
    write_table(paths.enriched_table, enrichment_table(by_group(added), about_terms))
    checkpoint = checkpoint_identity(parameters.encoder, parameters.revision)
    compute = {"device": project.compute.device, "dtype": project.compute.dtype}
    made = made_by("tasks.dysen.dsg_eval", parameters.model_dump(), checkpoint=checkpoint, **compute)
    write_json(paths.provenance, made)
    return {"planners": groups, "learned_over_random": _gains(groups), "enrichment": by_group(added)}


if __name__ == "__main__":
    sys.exit(stage.main("dsg_eval", Paths, make_scores))
