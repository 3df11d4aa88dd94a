"""Elements of an SVG, and the colours of a picture of a graph sequence. Texts are escaped by ElementTree."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.dysen.pictures.graph_timeline import Kind
from tasks.dysen.pictures.picture_places import Rectangle

Element = ElementTree.Element
Frames = NDArray[np.uint8]
"""Pictures of a video, [frames, height, width, 3] RGB."""

_MOST_PIXELS = 256


class Ink(NamedTuple):
    """Colours of a bar or tag: its area, its edge, the words on it, and the dashes of the edge."""

    fill: str
    edge: str
    words: str
    dashes: str = "none"


INKS: dict[Kind, Ink] = {
    "event": Ink("#2f5f9e", "#2f5f9e", "#ffffff"),
    "relation": Ink("#dce7f5", "#7f9fc9", "#1f3250"),
    "added": Ink("#fde3b8", "#dd8a10", "#5a3300"),
    "removed": Ink("#ffffff", "#98a2b3", "#667085", "3 3"),
}


def add(body: Element, tag: str, text: str | None = None, **attributes: float | str) -> Element:
    """A new element at the end of `body`; "_" in names of attributes stands for "-", numbers are rounded to 0.1."""
    element = ElementTree.SubElement(body, tag, _texts(**attributes))
    element.text = text
    return element


def words(body: Element, x: float, y: float, text: str, **attributes: float | str) -> Element:
    """A line of text on the baseline `y`."""
    return add(body, "text", text, x=x, y=y, **attributes)


def line(
    body: Element, start: tuple[float, float], end: tuple[float, float], colour: str, **attributes: float | str
) -> None:
    """A straight line."""
    (x1, y1), (x2, y2) = start, end
    add(body, "line", None, x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, **attributes)


def rectangle(box: Rectangle, **attributes: float | str) -> Element:
    """A rectangle that is not in the picture yet."""
    return ElementTree.Element(
        "rect", _texts(x=box.x0, y=box.y0, width=box.x1 - box.x0, height=box.y1 - box.y0, **attributes)
    )


def inked(box: Rectangle, kind: Kind, **attributes: float | str) -> Element:
    """A rectangle in the colours of a kind that is not in the picture yet."""
    ink = INKS[kind]
    return rectangle(box, fill=ink.fill, stroke=ink.edge, stroke_dasharray=ink.dashes, **attributes)


def address_of(picture_HWC: NDArray[np.uint8]) -> str:
    """A picture as the address of a PNG that is in the address itself, at most `_MOST_PIXELS` wide and high."""
    picture = Image.fromarray(picture_HWC)
    picture.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode()


def _texts(**attributes: float | str) -> dict[str, str]:
    return {
        name.replace("_", "-"): value if isinstance(value, str) else f"{round(value, 1):g}"
        for name, value in attributes.items()
    }
