"""Scores of layouts and of videos on the 500 benchmark prompts as others published them (specs/lvd.md 3.1 and 8).

The READMEs print percentages of 100 prompts per task, so they are counts. The projects also ship the replies behind four of
their rows; the published rules, run on those replies, give the same counts. What this project's strict rules say of shipped
replies was measured here, where the replies were at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

_LVD = "README of LVD"
_DEEPSEEK = "README of the DeepSeek variant of LVD"


@dataclass(frozen=True)
class PublishedScore:
    """One row of a README.

    Attributes:
        planner: the model's name there; a star tells two rows of one model apart.
        passed: prompts of 100 that pass, for each of `tasks.lvd.expectations.TASKS`.
        source: where the row stands.
        recounted: whether the same counts were measured from replies that the project ships.
        strict_total: prompts of 500 that pass by the strict rules, measured from shipped replies; None if not measured.
        distinct: different prompts of which every occurrence passes, by the published and by the strict rules; the same.
    """

    planner: str
    passed: tuple[int, int, int, int, int]
    source: str
    recounted: bool = False
    strict_total: int | None = None
    distinct: tuple[int | None, int | None] = (None, None)

    @property
    def total(self) -> int:
        """Prompts of 500 that pass."""
        return sum(self.passed)


PROMPTS = 500
DISTINCT_PROMPTS = 184
PUBLISHED_SCORES = (
    PublishedScore("GPT-3.5", (100, 100, 100, 71, 16), _LVD),
    PublishedScore("GPT-3.5*", (100, 100, 100, 73, 15), _LVD, recounted=True),
    PublishedScore("GPT-4", (100, 100, 100, 100, 88), _LVD, recounted=True, strict_total=469, distinct=(176, 164)),
    PublishedScore("DeepSeek-V3", (100, 100, 100, 84, 37), _DEEPSEEK, recounted=True),
    PublishedScore(
        "DeepSeek-V3*", (100, 100, 100, 91, 41), _DEEPSEEK, recounted=True, strict_total=431, distinct=(163, 162)
    ),
)
"""GPT-3.5* is another run than GPT-3.5, the one whose replies are shipped; DeepSeek-V3* was asked with a longer prompt."""


@dataclass(frozen=True)
class PublishedVideoScore:
    """One row of a README on generated videos.

    Attributes:
        method: what made the videos, as named there.
        percent: videos that pass, for each of `tasks.lvd.expectations.TASKS`.
        overall: videos that pass, as printed; the mean of the tasks differs from it by up to 0.4.
        source: where the row stands.
    """

    method: str
    percent: tuple[int, int, int, int, int]
    overall: float
    source: str = _LVD


PUBLISHED_VIDEOS = 2 * PROMPTS
PUBLISHED_VIDEO_SCORES = (
    PublishedVideoScore("ModelScope", (32, 54, 8, 21, 0), 23.0),
    PublishedVideoScore("LVD (GPT-3.5)", (52, 79, 64, 37, 2), 46.4),
    PublishedVideoScore("LVD (GPT-4)", (41, 64, 55, 51, 38), 49.4),
)
"""Two runs of all prompts: 16 frames of 256 x 256, judged by OWL-ViT. The first is the base model of the others."""
