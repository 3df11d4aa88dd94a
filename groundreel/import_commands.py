"""`groundreel import ...`: the commands, each of which imports what it needs when it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from groundreel.one_line_errors import one_line_errors


@click.group("import")
def import_commands() -> None:
    """Take over files of the original projects. Nothing in them is executed."""


def _npy_arguments(command: Callable[..., Any]) -> Callable[..., Any]:
    for add in (
        click.option("--force", is_flag=True, help="Replace files that are there."),
        click.option("--key-pattern", default="image_{index}", show_default=True, help="Image keys; SA-1B: sa_{index}."),
        click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write to."),
        click.argument("path", type=click.Path(path_type=Path)),
    ):
        command = add(command)
    return command


@import_commands.command("layouts")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Where to write JSON Lines.")
@one_line_errors
def import_layouts_command(path: Path, out: Path) -> None:
    """Turn PATH, a reply cache of the original LVD or DVD project, into layouts."""
    from groundreel.layouts import import_layouts

    import_layouts(path, out)


@import_commands.command("story")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="data/dreamframe/imported/NAME.json if not given."
)
@click.option(
    "--frames-per-tiny-story", type=int, help="11 in the original; found out from the number of frames if not given."
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@one_line_errors
def import_story_command(path: Path, out: Path | None, frames_per_tiny_story: int | None, force: bool) -> None:
    """Turn PATH, a story of the original DreamFrame such as story_info_0.json, into a tree with ids."""
    from groundreel.story_imports import import_story

    import_story(path, out, frames_per_tiny_story, force)


@import_commands.command("style")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="data/dreamframe/imported/NAME.safetensors if not given."
)
@click.option("--token", help="Name of the style in prompts; <dramatic> for Dramatic.pt if not given.")
@click.option(
    "--export", is_flag=True, help="The other way: PATH is a learned style, and NAME.pt of the original is written."
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@one_line_errors
def import_style_command(path: Path, out: Path | None, token: str | None, export: bool, force: bool) -> None:
    """Turn PATH, a style of the original DreamFrame such as Dramatic.pt, into safetensors for Stable Diffusion XL."""
    from groundreel.style_imports import export_style, import_style

    if export:
        export_style(path, out, token, force)
    else:
        import_style(path, out, token, force)


@import_commands.command("boxes")
@_npy_arguments
@one_line_errors
def import_boxes_command(path: Path, out: Path, key_pattern: str, force: bool) -> None:
    """Turn PATH, a .npy file of the original's boxes or a folder of them, into parquet as the stage boxes writes it."""
    from groundreel.corpus_imports import import_files
    from tasks.corpus.import_boxes import import_boxes

    import_files(import_boxes, ".parquet", path, out, key_pattern, force)


@import_commands.command("latents")
@_npy_arguments
@one_line_errors
def import_latents_command(path: Path, out: Path, key_pattern: str, force: bool) -> None:
    """Turn PATH, a .npy file of the original's latents or a folder of them, into safetensors as the stage latents does."""
    from groundreel.corpus_imports import import_files
    from tasks.corpus.import_latents import import_latents

    import_files(import_latents, ".safetensors", path, out, key_pattern, force)
