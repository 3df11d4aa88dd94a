"""What enrichment did to the sequences of a set, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tasks.dysen.checks.graph_verifiers import Violation
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Triplet
from tasks.dysen.imagining.detail_grammar import items_of
from tasks.dysen.imagining.enrichment import Enriched
from tasks.dysen.imagining.enrichment_log import ROUNDS

KINDS = ("grammar", "times", "order", "coverage", "plan", "persistence", "contradiction", "size", "vocabulary")


def counts_of(planned: Sequence[DynamicSceneGraph], found: Sequence[Enriched], set_aside: int) -> dict[str, Any]:
    """The metrics of a set.

    Args:
        planned: the sequences before their enrichment.
        found: the same after it, without those whose replies could not be used.
        set_aside: how many sequences are in quarantine.
    """
    ticks = sum(len(one.graph.ticks) for one in found)
    before = Counter(type(item) for one in planned for tick in one.ticks for item in items_of(tick))
    after = Counter(type(item) for one in found for tick in one.graph.ticks for item in items_of(tick))
    return {
        "graphs": len(planned),
        "set_aside": set_aside,
        "ticks": ticks,
        "ticks_asked": sum(one.asked for one in found),
        "ticks_alike": sum(one.alike for one in found),
        "planned_items": before.total(),
        "triplets": after[Triplet],
        "attributes": after.total() - after[Triplet],
        "edits": {name: _edits(found, name) for name in ROUNDS},
        "violations": {
            "of_events": _by_kind(violation for one in found for violation in one.brought),
            "before_repair": _by_kind(violation for one in found for violation in one.before),
            "after_repair": _by_kind(violation for one in found for violation in one.after),
        },
        "repaired": sum(one.repaired for one in found),
    }


def _edits(found: Sequence[Enriched], name: str) -> dict[str, int]:
    outcomes = Counter(entry.outcome for one in found for entry in one.log if entry.edit.source == name)
    return {"applied": outcomes["applied"], "without_effect": outcomes.total() - outcomes["applied"]}


def _by_kind(violations: Iterable[Violation]) -> dict[str, int]:
    counts = Counter(violation.kind for violation in violations)
    return {"all": counts.total(), **{kind: counts[kind] for kind in KINDS}}
