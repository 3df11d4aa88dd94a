"""What guidance by a layout takes (specs/lvd.md 4.2)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.common.parameters import Section

Iterations = Annotated[int, Field(ge=0, le=1000)]


class EnergyWeights(Section):
    """What the energy is made of. Without arguments, as the published code; its benchmark has `com_loss_scale` 0.03.

    With `normalised`, the strength depends on the number of neither frames nor heads nor objects nor layers:

        energy = mean over layers, objects, tokens of the object, frames and heads of
                 fg_weight * (1 - mean of the k_fg largest inside) + bg_weight * (mean of the k_bg largest outside) + ...

    where the published form has the sum over frames and heads instead. (Centres of mass are averages over heads in both;
    their velocity is in cells per frame in both.)
    """

    fg_top_p: float = Field(0.75, gt=0, le=1, description="part of the box's cells that should attend to the object")
    bg_top_p: float = Field(0.75, gt=0, le=1, description="part of the other cells that should not")
    fg_weight: float = Field(1.0, ge=0, le=1e4, description="weight of attention inside the box")
    bg_weight: float = Field(4.0, ge=0, le=1e4, description="weight of attention outside the box")
    com_loss_scale: float = Field(0.0, ge=0, le=1e4, description="weight of position and velocity of the centre of mass")
    boxdiff_loss_scale: float = Field(0.0, ge=0, le=1e4, description="weight of attention along the edges of the box")
    boxdiff_normed: bool = Field(True, description="mean instead of sum over heads and cells along the edges")
    form: Literal["original", "ratio"] = Field("original", description="largest cells, or attention inside to attention")
    normalised: bool = Field(False, description="mean instead of sum over frames and heads")


class Guidance(Section):
    """How strongly latents are moved, how often, and by which layers. Numbers not given are those of the published code."""

    layers: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        min_length=1, max_length=100, description="attention that is guided, such as down_blocks.1.attentions.0"
    )
    loss_scale: float = Field(5.0, gt=0, le=1e6, description="the gradient is that of the energy times this number")
    loss_threshold: float = Field(200.0, ge=0, le=1e9, description="energy at which guidance has done enough")
    max_iter: Iterations | list[Iterations] = Field(
        5, description="most iterations before a step: every step, or each by itself"
    )
    max_index_step: int = Field(10, ge=0, le=10_000, description="denoising steps that are guided, from the first")
    re_evaluate: bool = Field(False, description="compare the energy at hand instead of the one before the last iteration")
    checkpointing: bool = Field(False, description="about 0.4 of the memory for 1.4 of the time")
    energy: EnergyWeights = Field(EnergyWeights.model_validate({}), description="what the energy is made of")

    @model_validator(mode="after")
    def _has_iterations_for_each_step(self) -> Guidance:
        if isinstance(self.max_iter, list) and len(self.max_iter) < self.max_index_step:
            raise ValueError(f"max_iter lists {len(self.max_iter)} steps of max_index_step {self.max_index_step}")
        return self

    def most_iterations(self, step: int) -> int:
        """How often latents may be moved before a denoising step, counted from 0."""
        if step >= self.max_index_step:
            return 0
        return self.max_iter[step] if isinstance(self.max_iter, list) else self.max_iter
