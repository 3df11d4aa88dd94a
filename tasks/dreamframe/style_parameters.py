"""Parameters of the stage `style`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from tasks.common.parameters import Section

Text = Annotated[str, Field(max_length=500)]
_MOST_RATE = 1.0


class Parameters(Section):
    """Model, style images, optimisation and evaluation of a learned style (specs/dreamframe.md C2)."""

    model: str = Field(min_length=1, description="Stable Diffusion XL: a folder or a hub id")
    revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    scheduler: str = Field(pattern=r"^[A-Za-z0-9]+Scheduler$", description="class of diffusers that denoises pictures")
    image_encoder: str = Field(min_length=1, description="CLIP that compares pictures: a folder or a hub id")
    image_encoder_revision: str | None = Field(description="branch, tag or commit of a hub checkpoint")
    image_folder: str | None = Field(
        description="folder with images of the style, or with such a folder for each story; null generates them"
    )
    template: str = Field(max_length=1000, description="prompt of a generated style image, with {place} and {phrases} in it")
    images_per_place: int = Field(ge=1, le=1000, description="style images generated of each place of the story")
    images: int = Field(ge=1, le=1000, description="style images generated for a story, at most")
    image_steps: int = Field(ge=1, le=1000, description="denoising steps per generated image")
    image_guidance_scale: float = Field(ge=1, le=100, description="classifier-free guidance; 1 is none")
    image_batch: int = Field(ge=1, le=256, description="images generated at once; changes them by rounding only")
    resolution: int = Field(ge=16, le=2048, multiple_of=8, description="side of the square that is learned from, in pixels")
    autocontrast: bool = Field(description="whether style images are stretched to the full range, as published")
    mirror: bool = Field(description="whether mirror images are learned from too, as published")
    token: str | None = Field(description="name of the style; null makes <storybook> of a story's keyword Storybook")
    vectors: int = Field(ge=1, le=64, description="vectors per text encoder; 1 as published")
    start: Literal["random", "phrase"] = Field(description="random as published, or embeddings of the style phrases")
    steps: int = Field(ge=1, le=1_000_000, description="updates of the vectors")
    batch: int = Field(ge=1, le=256, description="images at once")
    accumulate: int = Field(ge=1, le=1024, description="batches per step, to train as with a larger one")
    learning_rates: list[list[float]] = Field(
        min_length=1, max_length=1000, description="pairs of a number of steps and the learning rate in them"
    )
    weight_decay: float = Field(ge=0, lt=1, description="decoupled weight decay of AdamW")
    clip: float = Field(ge=0, description="largest norm of each encoder's gradient; 0 leaves it as it is")
    templates: list[Text] = Field(min_length=1, max_length=1000, description="training prompts with {} in the style's place")
    suffixes: list[Text] = Field(min_length=1, max_length=1000, description="words after the style's name, or nothing")
    time_ids: list[int] | None = Field(
        description="size of the image, corner of the crop, size wanted; null takes the resolution"
    )
    gradient_checkpointing: bool = Field(description="whether to save memory for about a third more time")
    log_every: int = Field(ge=1, description="steps per point of the curves")
    checkpoint_every: int = Field(ge=1, description="steps that a kill costs at most; results do not depend on it")
    evaluate_every: int = Field(ge=1, description="steps between measurements of the style's similarity")
    evaluation_images: int = Field(ge=1, le=100, description="pictures of the story's frames per measurement")
    max_bad_fraction: float = Field(ge=0, le=1, description="share of stories and image files set aside, at most")

    @field_validator("template")
    @classmethod
    def _has_a_place(cls, template: str) -> str:
        if "{place}" not in template:
            raise ValueError("mark where the place goes with {place}, as in '{place}, {phrases}'")
        return template

    @field_validator("learning_rates")
    @classmethod
    def _are_pairs(cls, pairs: list[list[float]]) -> list[list[float]]:
        for pair in pairs:
            if len(pair) != 2 or pair[0] < 1 or not pair[0].is_integer() or not 0 < pair[1] <= _MOST_RATE:
                raise ValueError("write pairs of a whole number of steps and a rate above 0 and up to 1, as in [400, 0.001]")
        return pairs

    @field_validator("templates")
    @classmethod
    def _have_a_gap(cls, templates: list[str]) -> list[str]:
        if any(template.count("{}") != 1 for template in templates):
            raise ValueError("mark the style's place with one {}, as in 'an image in {} style'")
        return templates

    @field_validator("time_ids")
    @classmethod
    def _are_six(cls, numbers: list[int] | None) -> list[int] | None:
        if numbers is not None and (len(numbers) != 6 or not all(0 <= number <= 100_000 for number in numbers)):
            raise ValueError("write six numbers, such as [768, 768, 0, 0, 1024, 1024], or null")
        return numbers

    @field_validator("token")
    @classmethod
    def _is_no_name_alone(cls, token: str | None) -> str | None:
        if token is not None and not token.strip():
            raise ValueError("write a name such as <dramatic>, or null")
        return token

    @property
    def rates(self) -> tuple[tuple[int, float], ...]:
        """The table of learning rates."""
        return tuple((int(steps), rate) for steps, rate in self.learning_rates)

    @property
    def conditioning(self) -> tuple[int, ...]:
        """The micro-conditioning: six numbers."""
        return tuple(self.time_ids) if self.time_ids else (self.resolution, self.resolution, 0, 0) + 2 * (self.resolution,)

    def deciding_images(self) -> dict[str, Any]:
        """What decides the style images, whether they are generated or read."""
        names = {"resolution", "autocontrast"}
        if self.image_folder is None:
            names |= {"scheduler", "image_steps", "image_guidance_scale", "image_batch"}
        return self.model_dump(include=names)

    def deciding_style(self) -> dict[str, Any]:
        """What decides a learned style beside its images, token and prompts."""
        apart = {"image_folder", "template", "images_per_place", "images", "autocontrast", "token"}
        return self.model_dump(exclude=apart | {"checkpoint_every", "max_bad_fraction"})
