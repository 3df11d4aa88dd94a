"""What becomes of a prompt: its layout, its graph sequence, and whether the layout shows what the prompt says.

What a run has kept of the prompt is taken; layout and graphs of other prompts are planned at once, by the parsers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from tasks.captions.caption_tokens import MOST_CHARACTERS
from tasks.captions.clause_parser import ClauseParser
from tasks.common.errors import UserError
from tasks.dysen.clauses.clause_events import ClauseEventParser
from tasks.dysen.explaining.caption_check import Claim, check_scene
from tasks.dysen.explaining.layout_graphs import graph_of_layout
from tasks.dysen.gold_sources.gold_ticks import ticks_of
from tasks.dysen.graphs import dynamic_scene_graph
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, read_graphs
from tasks.dysen.pictures.graph_picture import draw_graphs
from tasks.lvd.kinematics import lay_out
from tasks.lvd.layout import DynamicSceneLayout, read_layouts
from tasks.lvd.previews import render_frames

LAYOUTS, PLANNED, ENRICHED = Path("data/lvd/layouts"), Path("data/dysen/graphs"), Path("data/dysen/enriched")
LAST_TICK, LATEST_TICK = 7, dynamic_scene_graph.LAST_TICK
"""Of a graph sequence if nothing else is asked for, and at most."""
_PLANNER = "slots/parser"
_NO_GRAPHS = "edits.jsonl"  # stands beside the graphs
_FRAME_PIXELS = 132

_Item = TypeVar("_Item", DynamicSceneLayout, DynamicSceneGraph)


class PromptExplanation(NamedTuple):
    """What becomes of a prompt.

    Attributes:
        prompt: as it was asked for, with single spaces.
        layout: None if the prompt names nothing that can be seen.
        layout_source: where the layout is from.
        layout_graph: what its boxes show; None without a layout.
        planned: the graph sequence.
        enriched: the same after its enrichment, if a run has kept that.
        graph_source: where the graph sequence is from.
        claims: what the prompt says, and whether the layout shows it.
    """

    prompt: str
    layout: DynamicSceneLayout | None
    layout_source: str
    layout_graph: DynamicSceneGraph | None
    planned: DynamicSceneGraph
    enriched: DynamicSceneGraph | None
    graph_source: str
    claims: tuple[Claim, ...]


def explain_prompt(prompt: str, project: Path, last_tick: int = LAST_TICK) -> PromptExplanation:
    """Looks a prompt up among the results of a project, and plans what is not there.

    Args:
        prompt: a caption; case and a full stop at its end make no difference to where it is found.
        project: the folder of the project.
        last_tick: of a graph sequence that is planned now; a layout that is planned now has one frame more.

    Raises:
        UserError: the prompt is empty or too long, a result is damaged, or spaCy's English pipeline is not installed.
    """
    words = " ".join(prompt.encode("utf-8", "replace").decode("utf-8").split())
    if not words:
        raise UserError("the prompt is empty; give a caption such as 'a red car drives to the right'")
    if len(words) > MOST_CHARACTERS:
        raise UserError(f"the prompt has {len(words)} characters; give a caption of at most {MOST_CHARACTERS}")
    scene = ClauseParser().describe(words)
    layout, layout_source = _kept(words, project, LAYOUTS, read_layouts)
    if layout is None:
        layout = lay_out(scene, words, last_tick + 1, _PLANNER) if scene.objects else None
        layout_source = f"planned now by {_PLANNER}, for the prompt is not in {LAYOUTS}"
    planned, enriched, graph_source = _graphs(words, project, last_tick)
    shown = None if layout is None else graph_of_layout(layout)
    claims = [] if layout is None or shown is None else check_scene(scene, layout, shown)
    return PromptExplanation(words, layout, layout_source, shown, planned, enriched, graph_source, tuple(claims))


def picture_of(explanation: PromptExplanation) -> str:
    """The graph sequence as an SVG, its layout as the film strip."""
    frames = None
    if explanation.layout is not None:
        unnamed = explanation.layout.model_copy(update={"prompt": "", "background": ""})
        frames = render_frames(unnamed, max(len(explanation.planned.ticks), 1), _FRAME_PIXELS)
    return draw_graphs(explanation.planned, explanation.enriched, frames)


def _graphs(prompt: str, project: Path, last_tick: int) -> tuple[DynamicSceneGraph, DynamicSceneGraph | None, str]:
    enriched, source = _kept(prompt, project, ENRICHED, read_graphs)
    if enriched is not None:
        path = project / PLANNED / Path(source).relative_to(ENRICHED)
        planned = _find(prompt, path, read_graphs) if path.is_file() else None
        return planned or enriched.model_copy(update={"ticks": ticks_of(enriched.events, ())}), enriched, source
    (events,) = ClauseEventParser().events_of_all([prompt], last_tick)
    graph = DynamicSceneGraph(prompt=prompt, events=tuple(events), ticks=ticks_of(events, ()), source="parser")
    return graph, None, f"planned now by the clause parser, for the prompt is not in {ENRICHED}"


def _kept(prompt: str, project: Path, folder: Path, read: Callable[[Path], Iterable[_Item]]) -> tuple[_Item | None, str]:
    """What a run has kept of a prompt, that of the parser first, and the file that has it."""
    files = [path for path in (project / folder).glob("*/*.jsonl") if path.name != _NO_GRAPHS]
    for path in sorted(files, key=lambda path: ("parser" not in path.parent.name, path)):
        item = _find(prompt, path, read)
        if item is not None:
            return item, path.relative_to(project).as_posix()
    return None, ""


def _find(prompt: str, path: Path, read: Callable[[Path], Iterable[_Item]]) -> _Item | None:
    wanted = prompt.rstrip(".").casefold()
    text = path.read_text(encoding="utf-8", errors="replace").casefold()
    if json.dumps(wanted, ensure_ascii=False)[1:-1] not in text:
        return None  # saves reading it item by item
    return next((item for item in read(path) if item.prompt.rstrip(".").casefold() == wanted), None)
