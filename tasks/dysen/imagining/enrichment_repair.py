"""What is wrong with an enriched sequence, and the one repair that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.dysen.checks.graph_verifiers import Limits, Violation, verify
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.dysen.graphs.event_grammar import Problem, format_item
from tasks.dysen.graphs.graph_edits import apply_edits
from tasks.dysen.imagining.edit_proposals import broken_off, repair_proposals
from tasks.dysen.imagining.edit_requests import ask_for_repair
from tasks.dysen.imagining.polish import Changed
from tasks.llm.model import CachedModel

REPAIRED = "repaired"
MENDABLE = frozenset({"contradiction", "persistence", "plan", "size", "vocabulary"})
"""Kinds of violations that edits of the graphs can mend; the others are of the events, the words or the reply."""


def violations_of(
    planned: DynamicSceneGraph, graph: DynamicSceneGraph, limits: Limits, problems: Iterable[Problem] = ()
) -> list[Violation]:
    """What is wrong with a sequence and was not before its enrichment, in a fixed order.

    A detail may end where one of its objects moves on or something else excludes it; that is no violation of persistence.

    Args:
        planned: the sequence before its enrichment.
        graph: after it.
        limits: what it may have.
        problems: what could not be read of the replies.
    """
    brought = frozenset(verify(planned, limits))
    broken = frozenset((f"tick {tick}", format_item(item)) for tick, item in broken_off(planned, graph))
    return [
        violation
        for violation in verify(graph, limits, problems)
        if violation not in brought and (violation.kind != "persistence" or _place_and_item(violation) in broken)
    ]


def _place_and_item(violation: Violation) -> tuple[str, str]:
    item, bracket, _ = violation.detail.partition(")")
    return violation.where, item + bracket


async def repair(
    model: CachedModel, planned: DynamicSceneGraph, graph: DynamicSceneGraph, violations: Sequence[Violation], limits: Limits
) -> Changed | None:
    """Asks once for edits against what edits can mend, and applies them; None if there is nothing of that kind.

    Raises:
        ReplyError, UserError, StageError: see `CachedModel.reply`.
    """
    mendable = [violation for violation in violations if violation.kind in MENDABLE]
    if not mendable:
        return None
    proposals = repair_proposals(planned, graph, limits.most_new_triplets)
    wanted = await ask_for_repair(model, graph, mendable, proposals, REPAIRED)
    edited, log = apply_edits(graph, wanted.edits)
    return Changed(edited, log, wanted.problems)
