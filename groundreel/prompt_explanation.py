"""What `groundreel explain` prints of a prompt."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tasks.common.errors import UserError
from tasks.common.files import write_text

_LONGEST_PATH = 4_096
_LIKE_A_PATH = ("/", "./", "../")


def is_prompt(root: Path, text: str) -> bool:
    """Whether a text is a caption and no file: it has a space, and neither disk nor dvc.lock has a file of that name.

    What begins like a path is one.

    Raises:
        UserError: the text is empty.
    """
    if not text.strip():
        raise UserError("nothing to explain; name a file of the project, or give a caption in quotes")
    if " " not in text.strip() or text.startswith(_LIKE_A_PATH):
        return False
    if len(text) > _LONGEST_PATH:
        return True
    try:
        return not os.path.lexists(text) and not _is_recorded(root, text)
    except (OSError, ValueError):
        return True


def _is_recorded(root: Path, text: str) -> bool:
    """Whether dvc.lock names the path or a folder that it would be in."""
    path = Path(os.path.normpath(Path(text).absolute()))
    if not path.is_relative_to(root) or not (root / "dvc.lock").is_file():
        return False
    lines = (root / "dvc.lock").read_text(encoding="utf-8", errors="replace").splitlines()
    recorded = {line.partition("path: ")[2].strip("\"'") for line in lines if "path: " in line}
    inside = path.relative_to(root)
    return any(parent.as_posix() in recorded for parent in (inside, *inside.parents))


def print_explanation(root: Path, prompt: str, svg: Path | None) -> None:
    """Prints layout, graphs and claims of a prompt, and draws its graphs into a file if one is named."""
    from tasks.dysen.explaining.explanation_text import explanation_lines
    from tasks.dysen.explaining.prompt_explanation import explain_prompt, picture_of

    explanation = explain_prompt(prompt, root, _last_tick(root))
    for line in explanation_lines(explanation):
        click.echo(line)
    if svg is not None:
        write_text(svg, picture_of(explanation))
        click.echo(f"\npicture: {svg}")


def _last_tick(root: Path) -> int:
    """The length of graph sequences that params.yaml asks for."""
    from tasks.common.parameters import read_yaml
    from tasks.dysen.explaining.prompt_explanation import LAST_TICK, LATEST_TICK

    section = read_yaml(root / "params.yaml").get("events")
    asked = section.get("last_tick") if isinstance(section, dict) else None
    return asked if isinstance(asked, int) and 1 <= asked <= LATEST_TICK else LAST_TICK
