"""A frame's prompt with the learned style in place of the story's style word, and without any style."""

from __future__ import annotations

import re

_HEAD = r"\A\s*(?P<head>(?:generate an image )?(?:in|on))\s+"


def _named(style: str) -> re.Pattern[str]:
    """Matches "generate an image in STYLE style" at the beginning, in small letters or capitals."""
    words = r"\s+".join(re.escape(word) for word in style.split())
    return re.compile(rf"{_HEAD}{words}\s+(?P<tail>style\b)", re.IGNORECASE)


def styled_prompt(text: str, keyword: str, token: str) -> str:
    """The prompt that names the learned style.

    Args:
        text: a frame's prompt, such as "generate an image in Dramatic style: mill, a dog is sitting".
        keyword: the story's style word; "" where the story has none.
        token: the learned style's name, such as "<dramatic>".

    Returns:
        The text with the token instead of the keyword in the leading "in KEYWORD style"; where the text does not begin so,
        "in TOKEN style: " and the text. A text that begins with the token's style already stays as it is.
    """
    if _named(token).match(text):
        return text
    found = _named(keyword).match(text) if keyword.strip() else None
    if found is None:
        return f"in {token} style: {text}"
    return f"{found['head']} {token} {text[found.start('tail') :]}"


def plain_prompt(text: str, keyword: str) -> str:
    """The text without the leading "generate an image in KEYWORD style:"; unchanged if nothing else is in it."""
    found = _named(keyword).match(text) if keyword.strip() else None
    return text[found.end() :].lstrip(" :,\n") or text if found else text
