"""A typed description of what happens in a short video: what a caption says, before any box is drawn.

It is filled by the clause parser or, slot by slot, by a language model; `tasks.lvd.kinematics` turns it into boxes.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Region = Literal["left", "right", "top", "bottom", "center", "upper left", "upper right", "lower left", "lower right"]
Side = Literal["left", "right", "above", "below"]
Motion = Literal["still", "travel", "fall", "bounce", "jump", "approach", "recede"]
Size = Literal["small", "medium", "large"]
Moment = Annotated[float, Field(ge=0, le=1)]
MOST_COUNT = 20


class Span(BaseModel):
    """A part of the video: 0 is its begin, 1 its end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: Moment = 0.0
    end: Moment = 1.0

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.start >= self.end:
            raise ValueError("start must be before end")
        return self


WHOLE = Span()


class Place(BaseModel):
    """A region of the canvas, or a side of another object (`of` is its index in the scene's objects)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Region | None = None
    side: Side | None = None
    of: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.region is None) == (self.side is None) or (self.side is None) != (self.of is None):
            raise ValueError("give either a region, or a side and the object that it is a side of")
        return self


class SceneObject(BaseModel):
    """`count` things of one kind that do the same.

    Attributes:
        name: singular head noun, such as "kite" or "fire truck".
        attribute: colour, material or other looks, such as "red"; empty if none is told.
        motion: "still" stays at its first place; "travel" passes through its places at constant speed (with no places it
            drifts a little, with one it ends there); "fall" is gravity from the first place (default: top) down; "bounce"
            is a throw with elastic rebounds; "jump" goes up and comes back; "approach" and "recede" change the size
            about a fixed centre, as seen by the camera.
        places: where it is, in order of time.
        when: the part of the video in which it moves; before it stands at its first place, afterwards at its last.
        visible: the part of the video in which it can be seen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=80)
    attribute: str = Field(default="", max_length=80)
    count: int = Field(default=1, ge=1, le=MOST_COUNT)
    size: Size = "medium"
    motion: Motion = "still"
    places: tuple[Place, ...] = Field(default=(), max_length=12)
    when: Span = WHOLE
    visible: Span = WHOLE

    @property
    def label(self) -> str:
        """What a layout calls it: attribute and name."""
        return f"{self.attribute} {self.name}".strip()


class SceneDescription(BaseModel):
    """All objects of a caption and the background they are seen against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objects: tuple[SceneObject, ...] = Field(default=(), max_length=20)
    background: str = Field(default="", max_length=80)

    @model_validator(mode="after")
    def _refers_to_its_own_objects(self) -> Self:
        for index, item in enumerate(self.objects):
            for place in item.places:
                if place.of is not None and (place.of >= len(self.objects) or place.of == index):
                    raise ValueError(f"objects.{index}: a place refers to object {place.of}, which is no other object here")
        return self
