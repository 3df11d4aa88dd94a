"""What a benchmark prompt wants to see: one typed form per kind of prompt, which the rules check (specs/lvd.md 2 and 3)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Task = Literal["numeracy", "attribution", "visibility", "dynamic_spatial", "sequential"]
Quadrant = Literal["lower left", "lower right", "upper left", "upper right"]
Side = Literal["left", "right"]
Word = Annotated[str, Field(min_length=1, max_length=80, pattern="[A-Za-z]")]

TASKS: tuple[Task, ...] = ("numeracy", "attribution", "visibility", "dynamic_spatial", "sequential")


class _Expectation(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Numeracy(_Expectation):
    """`count` objects of a class."""

    kind: Literal["numeracy"] = "numeracy"
    object: Word
    count: int = Field(ge=1, le=20)


class Attribution(_Expectation):
    """One object for each pair of colour and class."""

    kind: Literal["attribution"] = "attribution"
    pairs: tuple[tuple[Word, Word], ...] = Field(min_length=1, max_length=5)


class Visibility(_Expectation):
    """An object that is seen in one half of the video only: "second" means that it appears, "first" that it goes."""

    kind: Literal["visibility"] = "visibility"
    object: Word
    half: Literal["first", "second"]


class OneDirection(_Expectation):
    """An object that moves to one side of the scene."""

    kind: Literal["one_direction"] = "one_direction"
    object: Word
    to: Side


class TwoDirections(_Expectation):
    """An object that moves past another one, to the side `to` of it."""

    kind: Literal["two_directions"] = "two_directions"
    object: Word
    other: Word
    to: Side

    @model_validator(mode="after")
    def _are_two(self) -> Self:
        if self.object == self.other:
            raise ValueError("object and other must be two classes, or no rule can tell them apart")
        return self


class Sequence(_Expectation):
    """An object that is in three quadrants of the scene, one after the other."""

    kind: Literal["sequence"] = "sequence"
    object: Word
    quadrants: tuple[Quadrant, Quadrant, Quadrant]


Expectation = Annotated[
    Numeracy | Attribution | Visibility | OneDirection | TwoDirections | Sequence, Field(discriminator="kind")
]


def task_of(expectation: Expectation) -> Task:
    """The benchmark's task that a kind of expectation belongs to."""
    match expectation:
        case OneDirection() | TwoDirections():
            return "dynamic_spatial"
        case Sequence():
            return "sequential"
        case _:
            return expectation.kind


def things_of(expectation: Expectation) -> tuple[str, ...]:
    """What a detector is asked for, such as ("red car", "blue dog")."""
    match expectation:
        case Attribution():
            return tuple(f"{colour} {noun}" for colour, noun in expectation.pairs)
        case TwoDirections():
            return (expectation.object, expectation.other)
        case _:
            return (expectation.object,)
