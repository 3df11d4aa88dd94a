"""Names of the planners of events, which are names of folders too."""

from __future__ import annotations

import re
from typing import Annotated, Literal, cast

from pydantic import Field

Choosing = Literal["none", "fixed", "random", "nearest", "learned"]
PARSER = "parser"
_NAME = r"^(parser|llm-(none|fixed|nearest|random-[0-9]{1,6}|learned-[0-9]{1,6}))$"
PlannerName = Annotated[str, Field(pattern=_NAME)]
"""parser; llm-none, llm-fixed, llm-nearest; llm-random-SEED, llm-learned-SEED."""


def choosing_of(planner: str) -> tuple[Choosing, int]:
    """How a planner with a language model chooses its demonstrations, and the seed of that choice."""
    _, choosing, seed = (*planner.split("-"), "0")[:3]
    return cast(Choosing, choosing), int(seed)


def needs_features(planner: str) -> bool:
    """Whether a planner compares captions by the features of a text encoder."""
    return re.search("nearest|learned", planner) is not None
