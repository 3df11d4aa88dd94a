"""Where the items of a merged graph come from, and why others are not in it; kept in JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.common.files import write_text

Outcome = Literal["kept", "contradiction", "other-times", "full"]


class Origin(BaseModel):
    """Where an item or event of a merged graph comes from, or why it is not in it.

    Attributes:
        prompt: of the graph.
        tick: of the item; of an event, its start.
        item: as text, "(red car, left of, blue dog)", or for an event "(red car, move to, right, (0v, 7v))".
        sources: those that have it, most trusted first; of an event, those that have one of its triplet at that time.
        agreement: the share of all sources that have it.
        outcome: "kept", or why not: it is a "contradiction", the event of a more trusted source is at "other-times", or
            the graph is "full".
        against: what it contradicts, or the event whose times count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    tick: int = Field(ge=0)
    item: str
    sources: tuple[str, ...]
    agreement: float = Field(ge=0, le=1)
    outcome: Outcome = "kept"
    against: str = ""


def write_origins(path: Path, origins: Iterable[Origin]) -> None:
    """One JSON object a line, whole or not at all."""
    write_text(path, "".join(origin.model_dump_json() + "\n" for origin in origins))
