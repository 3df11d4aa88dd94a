"""Parameters of the demonstration policy: how it is trained, and what it is rewarded for."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.common.parameters import Section


class PolicyTraining(Section):
    """How a demonstration policy is trained."""

    shots: int = Field(ge=1, le=64, description="demonstrations in a prompt; 8 as published")
    width: int = Field(ge=1, le=8192, description="of the map of the features; 128 as published")
    temperature: float = Field(gt=0, le=100, description="scores are divided by it; lower explores less; 1 as published")
    epochs: int = Field(ge=1, le=100_000, description="draws for every training query; 20 as published")
    batch: int = Field(ge=1, le=100_000, description="queries of an optimiser step; 20 as published")
    learning_rate: float = Field(gt=0, le=1, description="of Adam, constant; 0.001 as published")
    baseline_decay: float = Field(ge=0, lt=1, description="of the moving average that rewards are compared with")
    entropy_weight: float = Field(ge=0, le=10, description="how much an undecided policy is rewarded; 0 as published")
    validation_fraction: float = Field(ge=0, le=0.5, description="queries held out to find the best epoch; 0 takes the last")


class RewardTerms(Section):
    """What a policy is rewarded for: weights of the terms, of which only the ratio counts, and how terms are compared."""

    planning: float = Field(ge=0, le=1, description="weight of action planning reliability")
    imagination: float = Field(ge=0, le=1, description="weight of imagination rationality")
    video: float = Field(ge=0, le=1, description="weight of the video's score; 0 as long as there is no video")
    planning_measure: Literal["f1", "recall"] = Field(description="recall lets superfluous events pass, so long answers win")
    matching: Literal["exact", "lemma"] = Field(description="which terms mean the same")

    @model_validator(mode="after")
    def _has_a_weight(self) -> Self:
        if not self.planning + self.imagination + self.video:
            raise ValueError("at least one weight has to be above 0")
        return self
