"""What `groundreel import style` checks and prints."""

from __future__ import annotations

import re
from pathlib import Path

import click

from groundreel.corpus_imports import check_folder
from groundreel.story_imports import FOLDER
from tasks.common.errors import UserError
from tasks.dreamframe.style_files import StyleEmbedding, load_style, read_original_style, save_style, write_original_style
from tasks.dreamframe.style_requests import token_of
from tasks.dreamframe.style_tokens import check_token

_BEFORE_KEYWORD = re.compile(r"(story_\d+_|all(?=[A-Z]))?")
"""Published names are such as story_0_Dramatic.pt; the original itself writes Dramatic.pt and allDramatic.pt."""


def import_style(path: Path, out: Path | None, token: str | None, force: bool) -> None:
    """Writes a style of the original as safetensors, and prints its token.

    Raises:
        UserError: no usable style or token, a file that is there already, or a folder that belongs to a stage.
    """
    target = _target(path, out, ".safetensors", force)
    style = read_original_style(path)
    keyword = _BEFORE_KEYWORD.sub("", path.stem, count=1)
    token = token or token_of(keyword)
    if not token:
        raise UserError(f"{path}: its name has no letters or digits to name the style after; give a name after --token")
    check_token(token, style.vectors, [])
    save_style(target, style, {"token": token, "keyword": keyword, "vectors": style.vectors})
    click.echo(f"{target}: {token}, {_described(style)}")


def export_style(path: Path, out: Path | None, token: str | None, force: bool) -> None:
    """Writes a learned style as a `.pt` of the original, which holds no name of it.

    Raises:
        UserError: no usable style or one of several vectors, a file that is there already, or a stage's folder.
    """
    if token is not None:
        raise UserError("--token: a .pt file of the original holds no name of the style; leave it out with --export")
    target = _target(path, out, ".pt", force)
    style, _ = load_style(path)
    write_original_style(target, style)
    click.echo(f"{target}: {_described(style)}")


def _target(path: Path, out: Path | None, ending: str, force: bool) -> Path:
    target = out or FOLDER / f"{path.stem}{ending}"
    check_folder(target.parent.resolve())
    if target.resolve() == path.resolve():
        raise UserError(f"{target}: is the file to read; name another one after --out")
    if target.exists() and not force:
        raise UserError(f"{target} is there already; name another file after --out, or replace with --force")
    return target


def _described(style: StyleEmbedding) -> str:
    return f"{style.vectors} vector{'s' if style.vectors > 1 else ''} of {' and '.join(map(str, style.widths))} numbers"
