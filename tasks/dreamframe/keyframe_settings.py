"""Everything besides prompt, style and seed that decides how a keyframe looks."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tasks.common.parameters import Section


class KeyframeSettings(Section):
    """The model and how it denoises."""

    model: str = Field(min_length=1, description="checkpoint of Stable Diffusion XL: a folder or a hub id")
    revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    refiner: str | None = Field(min_length=1, description="checkpoint of the refiner that ends the denoising, or null")
    refiner_revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    handover: float = Field(gt=0, lt=1, description="share of the denoising after which the refiner goes on; 0.75 published")
    width: int = Field(ge=16, le=4096, multiple_of=8, description="in pixels")
    height: int = Field(ge=16, le=4096, multiple_of=8, description="in pixels")
    scheduler: str = Field(max_length=100, description="class of diffusers, configured as the checkpoint says")
    steps: int = Field(ge=1, le=1000, description="denoising steps, those of the refiner included; 40 published")
    guidance_scale: float = Field(ge=0, le=100, description="of classifier-free guidance; at most 1 for none; 5 published")
    negative_prompt: str = Field(
        max_length=2000, description="what is not wanted; empty: as the checkpoint was trained without a prompt"
    )

    def deciding(self) -> dict[str, Any]:
        """The settings that matter, as JSON values."""
        idle = {"refiner_revision", "handover"} if self.refiner is None else set()
        return self.model_dump(mode="json", include=KeyframeSettings.model_fields.keys() - idle)
