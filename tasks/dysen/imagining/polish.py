"""Round 2 of enrichment: one look at the whole sequence, answered with edits that code applies."""

from __future__ import annotations

from typing import NamedTuple

from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.dysen.graphs.event_grammar import Problem
from tasks.dysen.graphs.graph_edits import LoggedEdit, apply_edits
from tasks.dysen.imagining.edit_proposals import polish_proposals
from tasks.dysen.imagining.edit_requests import ask_for_polish
from tasks.llm.model import CachedModel

POLISHED = "polished"


class Changed(NamedTuple):
    """A sequence after a model's edits, one log entry for each, and what could not be read of its reply."""

    graph: DynamicSceneGraph
    log: tuple[LoggedEdit, ...]
    problems: tuple[Problem, ...]


async def polish(model: CachedModel, planned: DynamicSceneGraph, graph: DynamicSceneGraph) -> Changed:
    """Asks once what makes the whole coherent, and applies it; what events plan is never removed.

    Args:
        model: what is asked.
        planned: the sequence before its enrichment.
        graph: with the details of the first round.

    Raises:
        ReplyError, UserError, StageError: see `CachedModel.reply`.
    """
    wanted = await ask_for_polish(model, graph, polish_proposals(planned, graph), POLISHED)
    edited, log = apply_edits(graph, wanted.edits)
    return Changed(edited, log, wanted.problems)
