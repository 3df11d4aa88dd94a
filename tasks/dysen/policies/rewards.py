"""What a demonstration policy is rewarded for: how good the graph sequence is that a prompt with its choice has led to.

The reward of a sample is the weighted mean of terms that lie from 0 to 1; a perfect prediction has 1:

* planning: events are paired one to one with gold ones of the same agent, predicate and target; a pair whose starts and ends
  are ds and de ticks apart counts 1 / (1 + sqrt(ds^2 + de^2)). With M the sum over the pairs, P predicted and G gold events,
  f1 is 2 M / (P + G), recall M / G;
* imagination: with M triplets matched one to one in ticks that a monotone alignment has paired, of P predicted and G gold
  ones in all ticks, 2 M / (P + G);
* video: whatever scores the video, from 0 to 1.

Dysen-VDM adds up terms without bounds instead, so that long answers win (`planning_reliability_original`,
`triplet_recall_original`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tasks.common.errors import StageError
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Event, SceneGraph
from tasks.dysen.policies.policy_settings import RewardTerms
from tasks.dysen.scores.graph_metrics import count_matches
from tasks.dysen.scores.planning_reliability import count_events
from tasks.dysen.scores.term_matching import TermMatcher, exact_match, lemma_match

VideoScore = Callable[[DynamicSceneGraph], float]
"""From a predicted graph sequence to how well its video shows the prompt, from 0 to 1."""

_MATCHERS: dict[str, TermMatcher] = {"exact": exact_match, "lemma": lemma_match}


def planning_reward(
    predicted: Sequence[Event], gold: Sequence[Event], matcher: TermMatcher = lemma_match, measure: str = "f1"
) -> float:
    """Action planning reliability from 0 to 1, by the measure `f1` or `recall`; 1 if neither side has events."""
    if not predicted and not gold:
        return 1.0
    counts = count_events(predicted, gold, matcher)
    return counts.f1 if measure == "f1" else counts.recall


def imagination_reward(
    predicted: Sequence[SceneGraph], gold: Sequence[SceneGraph], matcher: TermMatcher = lemma_match
) -> float:
    """Imagination rationality from 0 to 1; 1 if neither side has triplets."""
    counts = count_matches(predicted, gold, matcher).triplets
    return counts.f1 if counts.predicted or counts.gold else 1.0


class Reward:
    """Scores a predicted graph sequence by the gold one; the order of events does not count."""

    def __init__(self, terms: RewardTerms, video: VideoScore | None = None) -> None:
        """Takes the weights, and what scores videos.

        Raises:
            ValueError: the video has a weight and no score, or a score and no weight.
        """
        if (terms.video > 0) != (video is not None):
            raise ValueError("give the video a weight and something that scores it, or neither")
        self._terms, self._video = terms, video
        self._matcher = _MATCHERS[terms.matching]

    def __call__(self, predicted: DynamicSceneGraph, gold: DynamicSceneGraph) -> float:
        """From 0 to 1. Terms of weight 0 are not computed, so ticks may be missing without imagination.

        Raises:
            StageError: the video's score is no number from 0 to 1.
        """
        terms = self._terms
        total = 0.0
        if terms.planning:
            total += terms.planning * planning_reward(predicted.events, gold.events, self._matcher, terms.planning_measure)
        if terms.imagination:
            total += terms.imagination * imagination_reward(predicted.ticks, gold.ticks, self._matcher)
        if self._video is not None:
            score = self._video(predicted)
            if not 0 <= score <= 1:
                raise StageError(f"the video of {predicted.prompt[:60]!r} has the score {score}, not one from 0 to 1")
            total += terms.video * score
        return min(1.0, total / (terms.planning + terms.imagination + terms.video))
