"""Round 1 of enrichment: details are imagined tick by tick, each with what was imagined before in sight.

Method: Fei et al., "Dysen-VDM", CVPR 2024. What lasts by itself is carried on in code (`lasting_details`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, SceneGraph, Triplet
from tasks.dysen.graphs.event_grammar import Problem
from tasks.dysen.graphs.graph_edits import Edited, Item, LoggedEdit, additions, apply_edits
from tasks.dysen.imagining.detail_grammar import Details, items_of, read_details
from tasks.dysen.imagining.imagination_prompts import imagination_request
from tasks.dysen.imagining.imagination_window import NOTHING, Example, Window, example_of, window_at
from tasks.dysen.imagining.lasting_details import lasting, without_conflicts
from tasks.llm.model import CachedModel
from tasks.llm.request import Request

IMAGINED, CARRIED = "imagined", "carried"
_NO_DETAILS = Details((), ())


class Bounds(NamedTuple):
    """How much is imagined.

    Attributes:
        details: asked for at a tick.
        new_triplets: of a tick, beside those of its events; where what lasts leaves less room, less is asked for.
    """

    details: int = 4
    new_triplets: int = 8


class Imagined(NamedTuple):
    """A sequence with details.

    Attributes:
        graph: with what was imagined and carried on.
        log: every edit, tick by tick.
        problems: of all replies.
        asked: for how many ticks the model was asked.
        alike: how many ticks have the window of the tick before, and so its details.
    """

    graph: DynamicSceneGraph
    log: tuple[LoggedEdit, ...]
    problems: tuple[Problem, ...]
    asked: int
    alike: int


async def imagine_tick(
    model: CachedModel, caption: str, window: Window, demonstrations: Sequence[DynamicSceneGraph], most: int = 4
) -> list[Item]:
    """The details that a model imagines for the middle of a window; none where nothing is planned.

    Args:
        model: what is asked.
        caption: the sentence that tells the whole video.
        window: the tick before with its details, the tick, and the one after it.
        demonstrations: gold sequences, the one that matters most last.
        most: details that are asked for, 1 or more.

    Raises:
        ReplyError, UserError, StageError: see `CachedModel.reply`.
    """
    examples = _examples(demonstrations, (window.current, window.following))
    request = _request(model, caption, window, examples, most)
    return [] if request is None else list(_first(read_details(await model.reply(request)), most).items)


def _request(model: CachedModel, caption: str, window: Window, examples: Sequence[Example], most: int) -> Request | None:
    """None where there is nothing to ask."""
    if most < 1 or not items_of(window.current):
        return None
    request = imagination_request(caption, window, examples, most)
    return None if model.parameters.backend == "local" and request.likelihood is None else request


def _examples(demonstrations: Sequence[DynamicSceneGraph], planned: Sequence[SceneGraph]) -> list[Example]:
    """Steps of gold sequences, as bare or with as many attributes as what is planned here."""
    attributed = any(graph.attributes for graph in planned)
    return [example_of(gold, attributed) for gold in demonstrations]


def _first(details: Details, most: int) -> Details:
    if len(details.items) <= most:
        return details
    problem = Problem("too-many", 1, f"{len(details.items)} details, more than the {most} that were asked for")
    return Details(details.items[:most], (*details.problems, problem))


class _Steps:
    """Goes through the ticks of a sequence."""

    def __init__(self, model: CachedModel, planned: DynamicSceneGraph, examples: Sequence[Example], bounds: Bounds) -> None:
        self._model, self._planned, self._examples, self._bounds = model, planned, examples, bounds
        self._window: Window | None = None
        self._details = _NO_DETAILS
        self.problems: list[Problem] = []
        self.asked = self.alike = 0

    async def step(self, graph: DynamicSceneGraph, tick: int) -> Edited:
        """Enriches one tick of a graph whose earlier ticks are enriched."""
        previous = graph.ticks[tick - 1] if tick else NOTHING
        window = window_at(self._planned.ticks, tick, previous)
        kept = lasting(self._planned, tick, previous) if tick else []
        if window == self._window:
            self.alike += 1
        else:
            room = self._bounds.new_triplets - sum(isinstance(item, Triplet) for item in kept)
            self._details = await self._ask(window, min(self._bounds.details, room))
        self._window = window
        said = (*items_of(window.current), *self._details.items)
        kept = [item for item in without_conflicts(kept, said) if item not in said]
        return apply_edits(graph, [*additions(tick, self._details.items, IMAGINED), *additions(tick, kept, CARRIED)])

    async def _ask(self, window: Window, most: int) -> Details:
        request = _request(self._model, self._planned.prompt, window, self._examples, most)
        if request is None:
            return _NO_DETAILS
        self.asked += 1
        details = _first(read_details(await self._model.reply(request)), most)
        self.problems += details.problems
        return details


async def imagine(
    model: CachedModel, planned: DynamicSceneGraph, demonstrations: Sequence[DynamicSceneGraph], bounds: Bounds
) -> Imagined:
    """Imagines the details of each tick, one after the other, and carries on what lasts.

    A tick in which nothing is planned is not asked about, nor one whose window is that of the tick before.

    Args:
        model: what is asked.
        planned: the sequence to enrich.
        demonstrations: gold sequences, the one that matters most last.
        bounds: how much is imagined.

    Raises:
        ReplyError, UserError, StageError: see `CachedModel.reply`.
    """
    steps = _Steps(model, planned, _examples(demonstrations, planned.ticks), bounds)
    graph, log = planned, list[LoggedEdit]()
    for tick in range(len(planned.ticks)):
        graph, new = await steps.step(graph, tick)
        log += new
    return Imagined(graph, tuple(log), tuple(steps.problems), steps.asked, steps.alike)
