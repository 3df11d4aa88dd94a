"""How wide a text is at most in a reader's sans-serif font, so that labels of an SVG can be placed without drawing it."""

from __future__ import annotations

import unicodedata

_NARROW, _WIDE, _MIDDLE = 0.42, 1.0, 0.7
_SHARES = {
    **dict.fromkeys("'IJijl", 0.32),
    **dict.fromkeys(" !(),-./:;[\\]ft|", _NARROW),
    **dict.fromkeys('"*_`r?FLcksvxyz', 0.6),
    **dict.fromkeys("0123456789abdeghnopqu", 0.65),
    **dict.fromkeys("&DGHNOQU#+<=>M^w~", 0.86),
    **dict.fromkeys("%@Wm", _WIDE),
}
"""Widths in shares of the size of the font, those of DejaVu Sans or more; it is among the widest."""
_BOLD = 1.12


def text_width(text: str, size: float, bold: bool = False) -> float:
    """An upper estimate in pixels for a font of this size."""
    return sum(map(_share, text)) * size * (_BOLD if bold else 1)


def _share(sign: str) -> float:
    if sign in _SHARES:
        return _SHARES[sign]
    if unicodedata.combining(sign):
        return 0.0
    return _WIDE if sign > "\u02ff" and unicodedata.east_asian_width(sign) in "WFA" else _MIDDLE


def shortened(text: str, size: float, width: float, bold: bool = False) -> str:
    """The begin of a text that is at most `width` pixels wide, with "…" if anything is missing."""
    if text_width(text, size, bold) <= width:
        return text
    room = width - text_width("…", size, bold)
    kept = 0
    for sign in text:
        room -= text_width(sign, size, bold)
        if room < 0:
            break
        kept += 1
    return text[:kept].rstrip() + "…"


def wrapped(text: str, size: float, width: float, most_lines: int, bold: bool = False) -> list[str]:
    """A text in lines of at most `width` pixels, cut between words, and within those that are wider than a line.

    The last line ends in "…" if anything is missing.
    """
    lines = [""]
    rest = [piece for word in text.split() for piece in _pieces(word, size, width, bold)]
    for position, word in enumerate(rest):
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size, bold) <= width:
            lines[-1] = longer
        elif len(lines) < most_lines:
            lines.append(word)
        else:
            lines[-1] = shortened(" ".join([lines[-1], *rest[position:]]), size, width, bold)
            break
    return [line for line in lines if line]


def _pieces(word: str, size: float, width: float, bold: bool) -> list[str]:
    pieces = [""]
    for sign in word:
        if pieces[-1] and text_width(pieces[-1] + sign, size, bold) > width:
            pieces.append("")
        pieces[-1] += sign
    return pieces
