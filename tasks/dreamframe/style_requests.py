"""What a story asks of the stage `style`: the token that names its style, and the prompts of its pictures."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TypeVar

from tasks.dreamframe.story_tree import Story
from tasks.dreamframe.style_prompts import styled_prompt

_GAP = re.compile(r"\{(place|phrases)\}")
Item = TypeVar("Item")


def token_of(keyword: str) -> str:
    """The token of a style's keyword: `<old-film>` of "Old Film"; "" of a keyword without letters and digits of ASCII."""
    plain = unicodedata.normalize("NFKD", keyword).encode("ascii", "ignore").decode("ascii").lower()
    words = re.findall("[a-z0-9]+", plain)
    return f"<{'-'.join(words)}>" if words else ""


def style_phrase(story: Story) -> str:
    """The style in words: its phrases, else its keyword."""
    return ", ".join(story.style_phrases) or (f"{story.style_keyword.strip()} style" if story.style_keyword.strip() else "")


def image_prompts(story: Story, template: str, per_place: int, most: int) -> list[str]:
    """Prompts of style images: each place in turn, and so on until there are `per_place` of each or `most`.

    A story that names no locations, as an imported one, has the places of its frames; without those the list is empty.
    """
    places = list(story.locations) or list(dict.fromkeys(frame.place for frame in story.frames() if frame.place))
    words = {"phrases": style_phrase(story)}
    prompts = [_GAP.sub(lambda gap, place=place: {**words, "place": place}[gap[1]], template) for place in places]  # type: ignore[misc]
    return (prompts * per_place)[:most]


def frame_prompts(story: Story, token: str, most: int) -> list[str]:
    """Up to `most` prompts of frames from all over the story, the token in place of the style's keyword.

    They are no training prompts. A story without frames has one that only names the style.
    """
    prompts = [styled_prompt(frame.prompt, story.style_keyword, token) for frame in story.frames()]
    return spread(prompts, most) or [f"generate an image in {token} style"]


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """Up to `most` of the items, evenly from first to last."""
    few = min(most, len(items))
    return [items[number * len(items) // few] for number in range(few)]
