"""The pull step of the deployments: where a worker finds its clone of the project."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT_VARIABLE = "GROUNDREEL_CHECKOUT"


def enter_checkout(directory: str) -> dict[str, str]:
    """Changes into the worker's own clone, named by GROUNDREEL_CHECKOUT, else into the one that was deployed.

    Args:
        directory: the clone in which `groundreel deploy` ran.

    Raises:
        NotADirectoryError: the folder is not on this machine; says what to set.
    """
    chosen = os.environ.get(CHECKOUT_VARIABLE) or directory
    if not (Path(chosen) / "dvc.yaml").is_file():
        raise NotADirectoryError(
            f"{chosen} is no clone of the project on this machine; start the worker with {CHECKOUT_VARIABLE}=/path/to/clone"
        )
    os.chdir(chosen)
    return {"directory": chosen}
