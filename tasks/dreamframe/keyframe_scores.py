"""What the metrics of keyframes are made of: style within and between stories, text alignment, and what the style changes.

Legend: N pictures, P width of an embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.common.shard_engine import Part
from tasks.dreamframe.image_similarity import (
    ImageTextEncoder,
    similarity_to_references,
    style_consistency,
    text_alignment,
)
from tasks.dreamframe.keyframe_images import is_made, pixels_of
from tasks.dreamframe.keyframe_requests import WAYS, StyledStory, picture_name
from tasks.dreamframe.picture_archive import read_pictures
from tasks.dreamframe.story_tree import Frame
from tasks.dreamframe.style_prompts import plain_prompt

_AT_ONCE = 64


class Scored(NamedTuple):
    """One story's embeddings, unit vectors.

    Attributes:
        keyframes: [N, P] of all keyframes.
        texts: [N, P] of their prompts without the style.
        ways: [N, P] of the compared frames, for each of `WAYS`.
        references: [N, P] of the style images.
    """

    keyframes: Tensor
    texts: Tensor
    ways: tuple[Tensor, ...]
    references: Tensor


def compared_frames(item: StyledStory, parts: dict[str, Part]) -> list[Frame]:
    """Those frames of a story of which there is a picture in all ways."""
    return [frame for frame in item.compared if all(is_made(parts[picture_name(item.story, frame, way)]) for way in WAYS)]


def score(styled: Sequence[StyledStory], parts: dict[str, Part], encoder: ImageTextEncoder) -> dict[str, Any]:
    """Metrics of all stories together; None where there is nothing to compare.

    `style_similarity` is the mean cosine similarity of the compared frames and their story's style images.
    """
    scored = [_embed(item, parts, encoder) for item in styled]
    keyframes = torch.cat([story.keyframes for story in scored]) if scored else torch.empty(0, 1)
    texts = torch.cat([story.texts for story in scored]) if scored else torch.empty(0, 1)
    found: list[list[float]] = [[] for _ in WAYS]
    for story in scored:
        for values, vectors_NP in zip(found, story.ways, strict=True):
            similarity = similarity_to_references(vectors_NP, story.references)
            values += [] if similarity is None else [similarity]
    return {
        "style_consistency": style_consistency([story.keyframes for story in scored]),
        "text_alignment": text_alignment(keyframes, texts),
        "style_similarity": {
            way: sum(values) / len(values) if values else None for way, values in zip(WAYS, found, strict=True)
        },
        "compared_prompts": sum(len(story.ways[0]) for story in scored),
    }


def _embed(item: StyledStory, parts: dict[str, Part], encoder: ImageTextEncoder) -> Scored:
    story = item.story
    made = [frame for frame in story.frames() if is_made(parts[picture_name(story, frame, "learned")])]
    both = compared_frames(item, parts)
    keyframes = _images(encoder, (pixels_of(parts[picture_name(story, frame, "learned")]) for frame in made))
    texts = encoder.texts([plain_prompt(frame.prompt, story.style_keyword) for frame in made])
    place = {frame.id: index for index, frame in enumerate(made)}
    ways = [keyframes[[place[frame.id] for frame in both]]]
    for way in WAYS[1:]:
        ways.append(_images(encoder, (pixels_of(parts[picture_name(story, frame, way)]) for frame in both)))
    pictures = read_pictures(item.images) if item.images and both else iter(())
    return Scored(keyframes, texts, tuple(ways), _images(encoder, (pixels for _, pixels in pictures)))


def _images(encoder: ImageTextEncoder, pictures: Iterator[NDArray[np.uint8]]) -> Tensor:
    """Embeddings [N, P] of pictures that need not be in memory together."""
    vectors, some = [], list[NDArray[np.uint8]]()
    for pixels in pictures:
        some.append(pixels)
        if len(some) == _AT_ONCE:
            vectors.append(encoder.images(some))
            some = []
    return torch.cat([*vectors, encoder.images(some)])
