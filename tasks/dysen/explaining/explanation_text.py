"""A layout, a graph sequence and claims as lines of text, for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from tasks.captions.english import REGIONS
from tasks.common.quarantine import printable
from tasks.dysen.explaining.caption_check import Claim, in_words
from tasks.dysen.explaining.layout_graphs import tracks_of
from tasks.dysen.explaining.prompt_explanation import PromptExplanation
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.dysen.graphs.spatial_predicates import Box
from tasks.dysen.pictures.graph_timeline import Bar, Kind, timeline_of
from tasks.lvd.layout import DynamicSceneLayout

_SIGNS: dict[Kind, str] = {"event": "#", "relation": "=", "added": "+", "removed": "-"}
_MEANINGS: dict[Kind, str] = {
    "event": "event",
    "relation": "other relation",
    "added": "added by enrichment",
    "removed": "removed by enrichment",
}
_THIRD = 1 / 3
_WIDEST = 60


def explanation_lines(explanation: PromptExplanation) -> Iterator[str]:
    """All of an explanation."""
    prompt, layout, layout_source, shown, planned, enriched, graph_source, claims = explanation
    yield f"prompt: {printable(prompt, len(prompt))}"
    yield from _section(f"graphs: {graph_source}", graph_lines(planned, enriched))
    if layout is None or shown is None:
        yield from _section("layout: none, for the prompt names nothing that can be seen", ())
        return
    yield from _section(f"layout: {layout_source}", layout_lines(layout))
    yield from _section("what its boxes show:", graph_lines(shown))
    verdicts = Counter(claim.verdict for claim in claims)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    yield from _section(f"what the prompt says, in the layout: {counts}", claim_lines(claims))


def _section(heading: str, lines: Iterable[str]) -> Iterator[str]:
    yield ""
    yield heading
    yield from (f"  {line}" for line in lines)


def layout_lines(layout: DynamicSceneLayout) -> Iterator[str]:
    """A line for each object: where its middle is in which frames, and its box in the first and the last of them."""
    rows = []
    for name, boxes in tracks_of(layout).items():
        regions = [(_region(box), tick) for tick, box in sorted(boxes.items())]
        stretches = [(region, [tick for _, tick in group]) for region, group in groupby(regions, key=lambda pair: pair[0])]
        told = ", ".join(f"{region} {in_words(ticks).removeprefix('tick ')}" for region, ticks in stretches)
        rows.append((name, told, " to ".join(dict.fromkeys(_percent(boxes[tick]) for tick in (min(boxes), max(boxes))))))
    yield from _columns([("object", "where in frame", "box in percent: x0 y0 x1 y1"), *rows])
    if layout.background:
        yield f"background: {printable(layout.background)}"


def _region(box: Box) -> str:
    middles = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    across, down = ((middle > 1 - _THIRD) - (middle < _THIRD) for middle in middles)
    return REGIONS[across, down]


def _percent(box: Box) -> str:
    return " ".join(f"{round(100 * side)}" for side in box)


def graph_lines(planned: DynamicSceneGraph, enriched: DynamicSceneGraph | None = None) -> Iterator[str]:
    """A line for each relation with a sign for each tick that has it, and what the entities are like."""
    timeline = timeline_of(planned, enriched)
    if not timeline.entities:
        yield "nothing happens in them"
        return
    of_triplet: dict[tuple[str, str], list[Bar]] = {}
    for bar in sorted(timeline.bars, key=lambda bar: (bar.first, -bar.last, bar.triplet.subject, bar.text)):
        of_triplet.setdefault((bar.triplet.subject, bar.text), []).append(bar)
    header = "".join(str(tick % 10) for tick in range(timeline.ticks))
    rows = [(subject, text, _ticks(bars, timeline.ticks)) for (subject, text), bars in of_triplet.items()]
    yield from _columns([("entity", "relation", header), *rows])
    for entity in timeline.entities:
        if entity.tags:
            tags = ", ".join(
                tag.text + {"added": " (added)", "removed": " (removed)"}.get(tag.kind, "") for tag in entity.tags
            )
            yield f"{entity.name}: {tags}"
    kinds = [kind for kind in _SIGNS if any(bar.kind == kind for bar in timeline.bars)]
    yield ", ".join(f"{_SIGNS[kind]} {_MEANINGS[kind]}" for kind in kinds)
    if timeline.more_entities or timeline.more_relations:
        yield f"and {timeline.more_entities} more entities and {timeline.more_relations} more relations"


def _ticks(bars: Sequence[Bar], ticks: int) -> str:
    signs = ["."] * ticks
    for bar in bars:
        signs[bar.first : bar.last + 1] = _SIGNS[bar.kind] * (bar.last + 1 - bar.first)
    return "".join(signs)


def claim_lines(claims: Iterable[Claim]) -> Iterator[str]:
    """A line for each claim."""
    yield from _columns([(claim.verdict, claim.text, claim.where) for claim in claims])


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [min(max(len(row[column]) for row in cells), _WIDEST) for column in range(len(cells[0]))] if cells else []
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
