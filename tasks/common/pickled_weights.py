"""Files that torch pickled (`.bin`, `.pt`, `.pth`) as hostile input: read as tensors, and nothing in them is ever run."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from tasks.common.errors import UserError

HOW_TO_CONVERT = "`python -m tasks.lvd.convert_text_to_video` makes safetensors of .bin and .pt files"
PICKLED = (".bin", ".ckpt", ".pt", ".pth")


def read_pickled(path: Path) -> Any:
    """What was saved, if it is tensors, numbers and texts in plain containers.

    Raises:
        UserError: it is damaged, or holds anything else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # noqa: BLE001 - whatever a damaged or hostile file makes the reader raise
        kind = type(error).__name__
        raise UserError(f"{path}: damaged, or more than tensors in it ({kind}); nothing was run, get it again") from None


def are_there_instead(checkpoint: str, subfolder: str, said: str) -> bool:
    """Whether weights were not found because they are pickled: in a folder, or as far as the hub's answer tells."""
    folder = Path(checkpoint) / subfolder
    if not folder.is_dir():
        return "does not appear to have a file" in said and "safetensors" in said
    endings = {file.suffix for file in folder.iterdir()}
    return ".safetensors" not in endings and not endings.isdisjoint(PICKLED)
