"""Pictures of graphs on the page: the SVGs of a folder, each an image of its own, in which nothing can be run or loaded."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup

from tasks.common.errors import UserError

KIND = "image/svg+xml"
_SVG = "{http://www.w3.org/2000/svg}"
_MOST_BYTES = 5_000_000


class Picture(NamedTuple):
    """What a picture says that it shows, and its data address."""

    title: str
    address: Markup


def read_pictures(folder: Path) -> list[Picture]:
    """The SVGs of a folder, sorted by file.

    Raises:
        UserError: one is damaged, too large, or declares entities.
    """
    return [_read(path) for path in sorted(folder.glob("*.svg"))]


def _read(path: Path) -> Picture:
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= _MOST_BYTES else ""
        if not text or "<!" in text:  # entities could grow without bound
            raise UserError(
                f"{path}: no SVG of at most {_MOST_BYTES} bytes without declarations; `dvc repro` makes it again"
            )
        root = ElementTree.fromstring(text)  # noqa: S314 - without declarations there are no entities
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; `dvc repro` makes it") from None
    except (ElementTree.ParseError, ValueError) as error:
        raise UserError(f"{path}: no SVG ({error}); `dvc repro` makes it again") from None
    if root.tag != f"{_SVG}svg":
        raise UserError(f"{path}: no SVG; `dvc repro` makes it again")
    encoded = Markup(base64.b64encode(text.encode()).decode())  # noqa: S704 - the base64 alphabet has no markup
    return Picture(root.findtext(f"{_SVG}title") or path.stem, Markup("data:{};base64,{}").format(KIND, encoded))
