"""Demonstrations for a prompt: captions with gold graphs, chosen for each query in one of several ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.common.errors import UserError
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, read_graphs
from tasks.dysen.planning.planner_names import Choosing

if TYPE_CHECKING:
    from tasks.common.text_features import TextFeatures
    from tasks.dysen.policies.demonstration_policy import Captions, Scorer

Choose = Callable[[Sequence[str]], list[tuple[DynamicSceneGraph, ...]]]
"""From captions to the demonstrations of each, the best one last."""


def policy_file(folder: Path, seed: int) -> Path:
    """Where the policy that was trained with a seed is kept."""
    return folder / f"seed-{seed}.safetensors"


def read_candidates(path: Path) -> tuple[DynamicSceneGraph, ...]:
    """Demonstrations to choose from.

    Raises:
        UserError: no such file, a line that is no graph, or no graph with events.
    """
    candidates = tuple(graph for graph in read_graphs(path) if graph.events)
    if not candidates:
        raise UserError(f"{path}: no graph with events, so there is nothing to demonstrate; run the stage `gold` again")
    return candidates


@dataclass
class Pool:
    """What demonstrations are taken from.

    Attributes:
        candidates: gold graphs.
        encoder: of the captions' features; not needed for "none", "fixed" and "random".
        shots: demonstrations of a prompt.
        policies: folder of trained policies.
    """

    candidates: tuple[DynamicSceneGraph, ...]
    encoder: TextFeatures | None
    shots: int
    policies: Path | None = None

    def choice(self, choosing: Choosing, seed: int = 0) -> Choose:
        """One of the ways to choose; `seed` is that of random choices, or of the policy's training.

        Raises:
            UserError: the policy is missing or made for something else. The result raises it where there are fewer
                candidates than shots.
        """
        if choosing == "none":
            return lambda captions: [()] * len(captions)
        from tasks.dysen.policies.demonstration_policy import Chooser

        chooser = Chooser(*self._scorers(choosing, seed))
        candidates = self.captions([shown.prompt for shown in self.candidates])

        def choose(captions: Sequence[str]) -> list[tuple[DynamicSceneGraph, ...]]:
            choices = chooser.choose(self.captions(captions), candidates, self.shots)
            return [tuple(self.candidates[index] for index in choice) for choice in choices]

        return choose

    def captions(self, texts: Sequence[str]) -> Captions:
        """Texts with their features, if there is an encoder."""
        from tasks.dysen.policies.demonstration_policy import Captions

        return Captions(tuple(texts), None if self.encoder is None else self.encoder.of(texts))

    def _scorers(self, choosing: Choosing, seed: int) -> list[Scorer]:
        """The way itself, and what is followed where it does not know."""
        from tasks.dysen.policies.demonstration_policy import at_random, fixed, nearest
        from tasks.dysen.policies.policy_files import candidates_sha256, load_policy

        if choosing == "fixed":
            return [fixed]
        if choosing == "random":
            return [at_random(seed)]
        if choosing == "nearest":
            return [nearest, fixed]
        if self.policies is None or self.encoder is None:
            raise ValueError("learned choices need policies and an encoder")
        policy, _ = load_policy(
            policy_file(self.policies, seed),
            encoder=self.encoder.identity,
            candidates=candidates_sha256(self.candidates),
        )
        return [policy.scores, nearest, fixed]


def open_encoder(project: Any) -> TextFeatures:
    """The text encoder of demonstrations, as the section `policy` says."""
    from tasks.common.devices import select_device
    from tasks.common.text_features import TextFeatures

    settings = project.policy
    return TextFeatures(settings.encoder, settings.revision, *select_device(project.compute), settings.pooling)
