"""Saving a tiny checkpoint: half-precision safetensors, and a model card that says how it came about."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from pydantic import BaseModel

_CARD = """---
license: apache-2.0
library_name: {library}
tags: [sprite-world, tiny]
---
# {title}

{summary}

A tiny model for the embedded sprite world of groundreel (64x64 pixels, five classes, eleven colours). It knows nothing else.

| | |
|---|---|
{rows}

Trained on renders of `tasks/spriteworld` alone, no other data. Rebuild: `make sprite-models`.
"""


def save_half(model: Any, folder: Path) -> None:
    """Writes a float16 copy of a diffusers or transformers model with its configuration."""
    copy.deepcopy(model).half().save_pretrained(folder, safe_serialization=True)


def write_model_card(
    folder: Path, library: str, title: str, summary: str, parameters: BaseModel, seed: int, facts: dict[str, Any]
) -> None:
    """`README.md` with parameters, seed, and measured facts such as scores and CPU time."""
    table = {**parameters.model_dump(), "seed": seed, **facts}
    rows = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in table.items())
    card = _CARD.format(library=library, title=title, summary=summary, rows=rows)
    (folder / "README.md").write_text(card, encoding="utf-8")
