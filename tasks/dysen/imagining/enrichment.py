"""Enrichment of one sequence: imagined details, a global polish, checks in code, and at most one repair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.dysen.checks.graph_verifiers import Limits, Violation, verify
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.dysen.graphs.graph_edits import LoggedEdit
from tasks.dysen.imagining.enrichment_repair import repair, violations_of
from tasks.dysen.imagining.imagination import Bounds, imagine
from tasks.dysen.imagining.polish import polish
from tasks.llm.model import CachedModel


class Rules(NamedTuple):
    """How a sequence is enriched.

    Attributes:
        details: asked for at a tick.
        polish: whether there is a second round.
        limits: what a graph may have.
        grave: kinds of violations for which a sequence is set aside, unless its events brought them along.
    """

    details: int
    polish: bool
    limits: Limits
    grave: frozenset[str]


class Enriched(NamedTuple):
    """A sequence after its enrichment.

    Attributes:
        graph: with details.
        log: every edit in order; applied to the planned sequence, they give this one.
        brought: violations of the planned sequence.
        before: violations that enrichment added, before repair.
        after: those that are left.
        repaired: whether a repair was asked for.
        asked: for how many ticks the model was asked.
        alike: how many ticks have the window of the tick before.
    """

    graph: DynamicSceneGraph
    log: tuple[LoggedEdit, ...]
    brought: tuple[Violation, ...]
    before: tuple[Violation, ...]
    after: tuple[Violation, ...]
    repaired: bool
    asked: int
    alike: int

    def grave(self, rules: Rules) -> list[Violation]:
        """What is still wrong and sets the sequence aside."""
        return [violation for violation in self.after if violation.kind in rules.grave]


async def enrich(
    model: CachedModel, planned: DynamicSceneGraph, demonstrations: Sequence[DynamicSceneGraph], rules: Rules
) -> Enriched:
    """Enriches a sequence.

    Args:
        model: what is asked.
        planned: events and the ticks that they plan.
        demonstrations: gold sequences, the one that matters most last.
        rules: how.

    Raises:
        ReplyError, UserError, StageError: see `CachedModel.reply`.
    """
    bounds = Bounds(rules.details, rules.limits.most_new_triplets)
    imagined = await imagine(model, planned, demonstrations, bounds)
    graph, log, problems = imagined.graph, imagined.log, imagined.problems
    if rules.polish and graph.ticks:
        polished = await polish(model, planned, graph)
        graph, log, problems = polished.graph, log + polished.log, problems + polished.problems
    before = violations_of(planned, graph, rules.limits, problems)
    mended = await repair(model, planned, graph, before, rules.limits)
    after = before
    if mended is not None:
        graph, log, problems = mended.graph, log + mended.log, problems + mended.problems
        after = violations_of(planned, graph, rules.limits, problems)
    brought = tuple(verify(planned, rules.limits))
    return Enriched(graph, log, brought, tuple(before), tuple(after), mended is not None, imagined.asked, imagined.alike)
