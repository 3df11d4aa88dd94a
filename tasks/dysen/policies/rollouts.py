"""Rollouts of demonstration choices: a language model plans a caption with them, and the plan is held against gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.dysen.dsg import graph_of_events
from tasks.dysen.graphs.dynamic_scene_graph import Attribute, DynamicSceneGraph, SceneGraph, Triplet, scene_graph
from tasks.dysen.graphs.graph_edits import merge
from tasks.dysen.imagining.imagination import imagine_tick
from tasks.dysen.imagining.imagination_window import NOTHING, window_at
from tasks.dysen.planning.event_planner import plan_events
from tasks.dysen.policies.demonstration_policy import Choice
from tasks.dysen.policies.rewards import Reward
from tasks.llm.errors import ReplyError
from tasks.llm.model import CachedModel, ask_all


@dataclass
class Rollouts:
    """The rewards of choices; the same question is not asked twice.

    Attributes:
        model: what plans and imagines.
        queries: gold graphs of the captions to plan.
        candidates: gold graphs that are chosen from.
        vocabulary: predicates that the local model may use beside a caption's own verbs.
        last_tick: at which videos end.
        imagined_ticks: how many ticks of a plan are imagined, spread evenly; 0 leaves imagination out.
        reward: scores what came out.
    """

    model: CachedModel
    queries: Sequence[DynamicSceneGraph]
    candidates: Sequence[DynamicSceneGraph]
    vocabulary: Sequence[str]
    last_tick: int
    imagined_ticks: int
    reward: Reward
    known: dict[tuple[int, Choice], float] = field(default_factory=dict)

    async def __call__(self, indices: Sequence[int], choices: Sequence[Choice]) -> list[float]:
        """The reward of each query, by index, with its choice; 0 where the model has no usable reply.

        Raises:
            UserError, StageError: the model cannot be asked.
        """
        asked = list(zip(indices, choices, strict=True))
        new = [pair for pair in dict.fromkeys(asked) if pair not in self.known]
        rewards = await ask_all([self._roll_out(*pair) for pair in new])
        self.known.update(zip(new, rewards, strict=True))
        return [self.known[pair] for pair in asked]

    async def _roll_out(self, index: int, choice: Choice) -> float:
        gold = self.queries[index]
        shown = [self.candidates[number] for number in choice]
        ticks = imagined_ticks(self.imagined_ticks, len(gold.ticks))
        try:
            events = await plan_events(self.model, gold.prompt, shown, self.vocabulary, self.last_tick)
            planned = graph_of_events(DynamicSceneGraph(prompt=gold.prompt, events=events))
            imagined = [await self._imagined(gold.prompt, planned.ticks, tick, shown) for tick in ticks]
        except ReplyError:
            return 0.0
        predicted = DynamicSceneGraph(prompt=gold.prompt, events=events, ticks=tuple(imagined))
        return self.reward(predicted, gold.model_copy(update={"ticks": tuple(gold.ticks[tick] for tick in ticks)}))

    async def _imagined(
        self, caption: str, planned: Sequence[SceneGraph], tick: int, shown: Sequence[DynamicSceneGraph]
    ) -> SceneGraph:
        """A tick with imagined details, seen between its planned neighbours; an empty one if the plan ends before it."""
        if tick >= len(planned):
            return NOTHING
        window = window_at(planned, tick, planned[tick - 1] if tick else NOTHING)
        items = await imagine_tick(self.model, caption, window, shown)
        triplets = [item for item in items if isinstance(item, Triplet)]
        attributes = [item for item in items if isinstance(item, Attribute)]
        return merge(planned[tick], scene_graph(triplets, attributes))


def imagined_ticks(count: int, ticks: int) -> list[int]:
    """At most `count` ticks, each in the middle of an equal part of all."""
    count = min(count, ticks)
    return [(2 * part + 1) * ticks // (2 * count) for part in range(count)]
