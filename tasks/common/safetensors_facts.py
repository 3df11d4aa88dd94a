"""Facts about a model in the metadata of its safetensors file: one JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.common.errors import UserError

_ENTRY = "groundreel"


def facts_metadata(facts: Mapping[str, Any]) -> dict[str, str]:
    """Metadata for a file. One entry only: safetensors writes several in an order that changes from run to run."""
    return {_ENTRY: json.dumps(facts, ensure_ascii=False, sort_keys=True, allow_nan=False)}


def read_facts(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """The facts in a file's metadata, {} if there are none.

    Raises:
        UserError: the entry is there and no JSON object.
    """
    try:
        facts = json.loads((metadata or {}).get(_ENTRY, "{}"))
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise UserError(f"{path}: its metadata entry {_ENTRY} is not a JSON object; get it again")
    return facts
