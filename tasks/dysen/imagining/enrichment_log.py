"""Every edit of an enrichment, in JSON Lines beside the graphs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from tasks.common.files import write_text
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Tick
from tasks.dysen.graphs.graph_edits import Edit, Item, LoggedEdit, Outcome

FILE = "edits.jsonl"
Round = Literal["imagined", "carried", "polished", "repaired"]
ROUNDS: tuple[Round, ...] = ("imagined", "carried", "polished", "repaired")


class EnrichmentEdit(BaseModel):
    """One edit and what became of it.

    Attributes:
        set: of the prompt.
        prompt: of the sequence.
        round: in which it was asked for.
        tick, operation, item, replacement: what was to change.
        source: the model that asked for it, or "code".
        outcome: "applied", or why nothing changed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    set: str
    prompt: str
    round: Round
    tick: Tick
    operation: Literal["add", "remove", "replace"]
    item: Item
    replacement: Item | None = None
    source: str = Field(max_length=200)
    outcome: Outcome

    @classmethod
    def of(cls, name: str, graph: DynamicSceneGraph, logged: LoggedEdit, model: str) -> Self:
        """An entry of a log, of a sequence in the set `name`, by the model of that name."""
        edit = logged.edit
        fields = {
            "set": name,
            "prompt": graph.prompt,
            "round": edit.source,
            "source": "code" if edit.source == "carried" else model,
            "outcome": logged.outcome,
        }
        return cls.model_validate({**edit.model_dump(exclude={"source"}), **fields})

    @property
    def edit(self) -> Edit:
        """As it was asked for; all edits of a prompt in order turn its planned sequence into the enriched one."""
        return Edit(
            operation=self.operation, tick=self.tick, item=self.item, replacement=self.replacement, source=self.round
        )


def write_edits(path: Path, edits: Iterable[EnrichmentEdit]) -> None:
    """One JSON object a line, whole or not at all."""
    write_text(path, "".join(edit.model_dump_json(exclude_none=True) + "\n" for edit in edits))


def read_edits(path: Path) -> list[EnrichmentEdit]:
    """The edits of a file that `write_edits` made, in order."""
    return [EnrichmentEdit.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
