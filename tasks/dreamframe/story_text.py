"""Text of stories: bounded, and free of characters that nobody sees."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from tasks.common.errors import UserError

MOST_NAME = 200
MOST_LINE = 2_000
MOST_PARAGRAPH = 20_000
MOST_STYLE = 60

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f]"
)


def clean_text(text: str, *, one_line: bool) -> str:
    """The text without control characters, marks of direction, invisible signs and halves of characters; tabs are spaces.

    Args:
        text: any text.
        one_line: whether ends of lines become spaces.
    """
    text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text).replace("\t", " "))
    return text.replace("\n", " ") if one_line else text


def _paragraph(text: str) -> str:
    if clean_text(text, one_line=False) != text:
        raise ValueError("has characters that cannot be printed")
    return text


def _line(text: str) -> str:
    if clean_text(text, one_line=True) != text:
        raise ValueError("has ends of lines, or characters that cannot be printed")
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


Name = Annotated[str, Field(max_length=MOST_NAME), AfterValidator(_line), AfterValidator(_said)]
Said = Annotated[str, Field(max_length=MOST_LINE), AfterValidator(_line), AfterValidator(_said)]
Line = Annotated[str, Field(max_length=MOST_LINE), AfterValidator(_line)]
Style = Annotated[str, Field(max_length=MOST_STYLE), AfterValidator(_line)]
Paragraph = Annotated[str, Field(max_length=MOST_PARAGRAPH), AfterValidator(_paragraph)]
Answer = Annotated[Paragraph, AfterValidator(_said)]


def read_bounded(path: Path, most: int) -> str:
    """The text of a file of at most `most` bytes.

    Raises:
        UserError: no such file, too large, or not UTF-8.
    """
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: is no file; name the story's JSON file")
        with path.open("rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise UserError(f"{path}: more than {most} bytes; a story is smaller")
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: {reason}; expected a story's JSON file") from None
