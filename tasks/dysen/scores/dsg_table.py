"""Tables of planners against gold for the report: what they plan, and what enrichment adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.common.report_table import Cell, ReportTable, RowGroup
from tasks.dysen.scores.planner_groups import of_each_seed

_LABELS = {
    "parser": "clause parser",
    "llm-none": "language model, no demonstrations",
    "llm-fixed": "language model, fixed demonstrations",
    "llm-random": "language model, random demonstrations",
    "llm-nearest": "language model, nearest demonstrations",
    "llm-learned": "language model, learned demonstrations",
}
RANDOM, LEARNED = "llm-random", "llm-learned"
_MATCHINGS = ("exact", "lemma", "embedding")
_MEASURES = ("precision", "recall", "f1")
_KINDS = ("objects", "attributes", "relations", "triplets")
_DECIMALS = 3
_PLANNED_COLUMNS = (
    "planner",
    "captions",
    "answered",
    "by fallback",
    "planning reliability",
    "planning F1",
    "planning reliability, original",
    "event order",
    "order not defined",
    *(f"triplet {measure}, {matching}" for matching in _MATCHINGS for measure in _MEASURES),
    "triplet recall, original",
    "exactly right",
)
_ENRICHED_COLUMNS = (
    "graphs",
    "captions",
    *(f"{kind} {measure}" for kind in _KINDS for measure in _MEASURES),
    *(f"triplet F1, {matching}" for matching in _MATCHINGS[1:]),
    "triplet recall, original",
)
_PLANNED_NOTE = (
    "Held-out captions of sprite clips whose events are known. Planning reliability: mean closeness in time of the "
    "gold events, 1 for an event with the same terms and times; F1 counts superfluous events as well. Event order: "
    "mean Kendall's tau over the starts of matched events, of the captions that have two or more with an order. "
    "Triplets: what plans can tell, tick by tick after a monotone alignment, over all captions; a place of a thing "
    "that no event tells does not count. Triplet recall, exact, is the corrected TriRec. Original: as Dysen-VDM's "
    "code has it, a sum for each caption that grows with the number of events or ticks and can be above 1, here its "
    "mean. Exactly right: captions with all events and times as in gold. By fallback: captions that the clause parser"
    " read for the model. A caption without an answer has nothing predicted. "
)
_ENRICHED_NOTE = (
    "The captions that were enriched, before and after: everything in the gold graphs, also what no caption tells, "
    "such as where things stand to each other. Terms are equal unless a column says otherwise. Relations are "
    "predicates alone. Means over seeds where a planner has several. "
)


def encoder_note(encoder: str, least_cosine: float) -> str:
    """What matching by embedding means here."""
    text = f"Embedding: terms whose vectors in {encoder} have a cosine of {least_cosine:g} or more. "
    if encoder.startswith("models/sprite/"):
        text += (
            "That encoder is tiny and knows the words of the sprite world alone: at 0.975 it takes no two of its terms for "
            "the same, and forgives articles and some forms; of synonyms it can tell nothing. "
        )
    return text


def planner_table(groups: Mapping[str, Any], model: str, more: str) -> ReportTable:
    """Planners as rows; of those with seeds the mean, and below it each seed."""
    rows: list[tuple[Cell, ...]] = []
    for name in _in_order(groups):
        metrics, label = groups[name], _LABELS.get(name, name)
        if "seeds" in metrics:
            seeds = of_each_seed(metrics)
            rows.append(_planned_row(f"{label}, mean of {len(seeds)} seeds", metrics["mean"]))
            rows += [_planned_row(f"{label}, seed {seed}", values) for seed, values in seeds.items()]
        else:
            rows.append(_planned_row(label, metrics))
    note = f"{_PLANNED_NOTE}The language model is {model}. {more}".strip()
    return ReportTable(title="Events and planned scene graphs", note=note, columns=_PLANNED_COLUMNS, rows=tuple(rows))


def enrichment_table(groups: Mapping[str, Any], more: str) -> ReportTable:
    """Two rows for each planner: its graphs as planned, and enriched."""
    rows, titles = [], []
    for name in _in_order(groups):
        metrics = groups[name].get("mean", groups[name])
        titles.append(_LABELS.get(name, name))
        rows += [_enriched_row(kind, metrics["captions"], metrics[kind]) for kind in ("planned", "enriched")]
    return ReportTable(
        title="Scene graphs before and after enrichment",
        note=f"{_ENRICHED_NOTE}{more}".strip(),
        columns=_ENRICHED_COLUMNS,
        rows=tuple(rows),
        groups=tuple(RowGroup(title=title, rows=2) for title in titles),
    )


def comparison_note(groups: Mapping[str, Any]) -> str:
    """Whether learned demonstrations plan more reliably than random ones, as far as their seeds can tell."""
    if not all("seeds" in groups.get(name, {}) for name in (RANDOM, LEARNED)):
        return ""
    random, learned = (groups[name]["seeds"]["planning_reliability"] for name in (RANDOM, LEARNED))
    if min(learned) > max(random):
        verdict = "every seed of the learned choice is above every seed of the random one."
    elif sum(learned) / len(learned) > sum(random) / len(random):
        verdict = "the learned choice is better on average, but seeds of both overlap."
    else:
        verdict = "the learned choice is not better than the random one."
    spans = (f"{min(values):.3f} to {max(values):.3f}" for values in (learned, random))
    return "Planning reliability of learned demonstrations {}, of random ones {}: {} ".format(*spans, verdict)


def _in_order(groups: Mapping[str, Any]) -> list[str]:
    known = [name for name in _LABELS if name in groups]
    return known + sorted(groups.keys() - _LABELS.keys())


def _planned_row(label: str, metrics: Mapping[str, Any]) -> tuple[Cell, ...]:
    triplets = [metrics[matching][f"triplets_{measure}"] for matching in _MATCHINGS for measure in _MEASURES]
    return (
        label,
        *_rounded(metrics[name] for name in ("captions", "answered", "fallbacks")),
        *_rounded(metrics[f"planning_{name}"] for name in ("reliability", "f1", "reliability_original")),
        *_rounded(metrics[name] for name in ("event_order", "event_order_undefined")),
        *_rounded([*triplets, metrics["triplet_recall_original"], metrics["exactly_right"]]),
    )


def _enriched_row(label: str, captions: Cell, metrics: Mapping[str, Any]) -> tuple[Cell, ...]:
    exact = [metrics["exact"][f"{kind}_{measure}"] for kind in _KINDS for measure in _MEASURES]
    others = [metrics[matching]["triplets_f1"] for matching in _MATCHINGS[1:]]
    return (label, captions, *_rounded([*exact, *others, metrics["triplet_recall_original"]]))


def _rounded(values: Iterable[Any]) -> list[Cell]:
    return [round(value, _DECIMALS) if isinstance(value, float) else value for value in values]
