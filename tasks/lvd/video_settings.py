"""Everything besides prompt, layout, seed and method that decides how a generated video looks."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tasks.common.parameters import Section
from tasks.lvd.guidance_settings import Guidance


class VideoSettings(Section):
    """The model, how it denoises, and how its videos are enlarged."""

    model: str = Field(min_length=1, description="text-to-video checkpoint in diffusers' form: a folder or a hub id")
    revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    frames: int = Field(ge=1, le=256, description="frames of a video")
    frames_per_second: float = Field(gt=0, le=120, description="as players show them")
    width: int = Field(ge=16, le=4096, multiple_of=4, description="in pixels")
    height: int = Field(ge=16, le=4096, multiple_of=4, description="in pixels")
    scheduler: str = Field(max_length=100, description="class of diffusers, configured as the checkpoint says")
    steps: int = Field(ge=1, le=1000, description="denoising steps")
    guidance_scale: float = Field(ge=0, le=100, description="of classifier-free guidance; at most 1 for none")
    negative_prompt: str = Field(max_length=2000, description="what is not wanted")
    beta: float = Field(ge=0, le=1, description="share of the steps, from the first, in which adapters act")
    guidance: Guidance = Field(description="how latents are moved by methods with guidance")
    upsampler: str | None = Field(min_length=1, description="text-to-video checkpoint that enlarges the videos, or null")
    upsampler_revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    upsample_width: int = Field(ge=16, le=4096, multiple_of=4, description="in pixels")
    upsample_height: int = Field(ge=16, le=4096, multiple_of=4, description="in pixels")
    upsample_strength: float = Field(ge=0, le=1, description="how much of the small video is painted over")
    upsample_steps: int = Field(ge=1, le=1000, description="denoising steps, of which the share upsample_strength is done")
    upsample_guidance_scale: float = Field(ge=0, le=100, description="as guidance_scale")
    upsample_negative_prompt: str = Field(max_length=2000, description="as negative_prompt")

    def deciding(self, *, guidance: bool, adapters: bool) -> dict[str, Any]:
        """The settings that matter to a method with or without guidance and adapters, as JSON values."""
        idle = [] if guidance else ["guidance"]
        idle += [] if adapters else ["beta"]
        idle += [name for name in type(self).model_fields if self.upsampler is None and name.startswith("upsampl")]
        return self.model_dump(mode="json", include=VideoSettings.model_fields.keys() - set(idle))
