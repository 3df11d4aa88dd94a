"""Questions that a model answers by likelihood instead of free generation, which small models are better at.

Measured with SmolLM2-135M on 16 captions of our own: asked to which side something moves, it is right as often as chance.
Asked under which of two opposite statements the caption is likelier, and the same for the caption with left and right
exchanged, it was right each time. So the text is scored given each answer, not the answer given the text (a noisy channel,
Min et al., ACL 2022).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Context(BaseModel):
    """What speaks for one answer: how likely is the text with index `text` after `prompt`?"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: str
    prompt: str = Field(min_length=1)
    text: int = Field(default=0, ge=0)


class Comparison(BaseModel):
    """The answer under whose contexts the texts are likeliest, by the mean log-likelihood of its contexts.

    Attributes:
        contexts: one or more for each answer.
        texts: what is scored; the second, if there, is a mirrored form of the first.
        calibration: texts of the same form about other things, balanced between the answers. What the model says of them on
            average is its prejudice, and is subtracted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    contexts: tuple[Context, ...] = Field(min_length=2)
    texts: tuple[str, ...] = Field(min_length=1)
    calibration: tuple[tuple[str, ...], ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers, in the order of their first context."""
        return tuple(dict.fromkeys(context.answer for context in self.contexts))


class Completion(BaseModel):
    """How `prompt` goes on: one of `choices`, token by token the likeliest that a choice allows, each ended by `stop`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(min_length=1)
    choices: tuple[str, ...] = Field(min_length=1)
    stop: str = Field(min_length=1)


class Slot(BaseModel):
    """A part of a line: the fixed text `before` it, and one of `choices`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: str = Field(min_length=1)
    choices: tuple[str, ...] = Field(min_length=1)


class Lines(BaseModel):
    """How `prompt` goes on: in at most `most` lines of slots, each filled as in `Completion`.

    Each line ends with `after`; `stop` in place of a line ends the text. The reply is the lines as text. A line that was
    there before is not allowed again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(min_length=1)
    slots: tuple[Slot, ...] = Field(min_length=1)
    after: str = Field(min_length=1)
    stop: str = Field(min_length=1)
    most: int = Field(ge=1, le=64)
