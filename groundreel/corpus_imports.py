"""What `groundreel import boxes` and `groundreel import latents` check and print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from tasks.common.errors import UserError
from tasks.common.parameters import read_yaml
from tasks.corpus.import_files import Imported, described


def import_files(
    importer: Callable[[Path, Path, str], Imported], ending: str, path: Path, out: Path, key_pattern: str, force: bool
) -> None:
    """Imports a `.npy` file, or each one in a folder, to a file of the same name and another ending in the folder `out`.

    Raises:
        UserError: nothing to import, a file that is there already, or a folder that belongs to a stage.
    """
    files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: no .npy files in this folder; name the file or the folder that has them")
    check_folder(out.resolve())
    targets = [out / f"{file.stem}{ending}" for file in files]
    there = [target for target in targets if target.exists()]
    if there and not force:
        others = f" and {len(there) - 1} others are" if there[1:] else " is"
        raise UserError(f"{there[0]}{others} there already; name another folder, or replace with --force")
    for file, target in zip(files, targets, strict=True):
        imported = importer(file, target, key_pattern)
        click.echo(f"{target}: {imported.what}")
        if imported.reasons:
            click.echo(f"{imported.aside}: {described(imported.reasons)}")


def check_folder(folder: Path) -> None:
    """Refuses a folder of a stage: `dvc repro` deletes it with all that lies there before it runs the stage again.

    Raises:
        UserError: the folder, which must be resolved, is such a folder or in one.
    """
    root = next((item for item in (folder, *folder.parents) if (item / "dvc.yaml").is_file()), None)
    if root is None:
        return
    for name, stage in read_yaml(root / "dvc.yaml").get("stages", {}).items():
        for out in stage.get("outs", []):
            path = root / (out if isinstance(out, str) else next(iter(out)))
            if path in (folder, *folder.parents):
                raise UserError(f"{folder}: the stage {name} deletes this folder; name another, such as data/raw/{name}")
