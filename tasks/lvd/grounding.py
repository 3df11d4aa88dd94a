"""What a prompt and its layout tell the video model: the text, the tokens of its objects, and grounding slots for adapters.

Legend: O objects, F frames, S grounding slots, D text width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from tasks.igligen.adapters import MOST_VIDEO_SLOTS
from tasks.igligen.phrase_embeddings import PhraseEmbedder
from tasks.lvd.interpolation import condition_tracks
from tasks.lvd.layout import DynamicSceneLayout
from tasks.lvd.phrase_tokens import PhraseError, PlacedPhrases, place_phrases
from tasks.lvd.video_errors import VideoError

Method: TypeAlias = Literal["baseline", "guidance", "adapters", "adapters+guidance"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class Grounding:
    """Which objects a video shows, and where.

    Attributes:
        phrases: what each object is called.
        tracks_OF4: x0, y0, x1, y1 as fractions of the video in each frame, all 0 where the object is absent.
        background: a word or two on the scene, or nothing.
    """

    phrases: tuple[str, ...]
    tracks_OF4: Tensor
    background: str = ""


def grounding_of(layout: DynamicSceneLayout, frames: int) -> Grounding:
    """A layout in a video of `frames` frames. The square canvas is stretched to whatever shape the video has."""
    tracks = condition_tracks(layout, frames)
    boxes_OF4 = np.stack([track.boxes for track in tracks]) if tracks else np.zeros((0, frames, 4))
    return Grounding(tuple(track.name for track in tracks), torch.from_numpy(boxes_OF4), layout.background)


def uses_guidance(method: Method) -> bool:
    """Whether a method moves latents by the gradient of attention."""
    return method.endswith("guidance")


def uses_adapters(method: Method) -> bool:
    """Whether a method feeds grounding tokens to adapters."""
    return method.startswith("adapters")


def place_prompts(
    captions: Sequence[str], groundings: Sequence[Grounding | None], method: Method, tokenizer: Any
) -> list[PlacedPhrases]:
    """What the model is told for each caption: the caption alone for the baseline, else its background too.

    For guidance, objects that the text does not name are appended, and the places of all are found.

    Raises:
        VideoError: a caption has no layout although the method needs it, or a phrase of it has no place in the text.
    """
    placed = []
    for index, (caption, grounding) in enumerate(zip(captions, groundings, strict=True)):
        if method == "baseline":
            placed.append(PlacedPhrases(caption, ()))
            continue
        if grounding is None:
            raise VideoError(index, "no-layout", f"{method} needs a layout for {caption!r}")
        text = f"{caption}, {grounding.background} background" if grounding.background else caption
        try:
            placed.append(
                place_phrases(text, grounding.phrases, tokenizer) if uses_guidance(method) else PlacedPhrases(text, ())
            )
        except PhraseError as error:
            raise VideoError(index, error.reason, str(error)) from None
    return placed


@dataclass(frozen=True)
class Slots:
    """Grounding slots of all frames of a video.

    Attributes:
        boxes_FS4: x0, y0, x1, y1 in 0..1.
        phrases_FSD: embeddings of the phrases.
        mask_FS: 1 where a slot holds an object.
        dropped: objects for which a frame had no slot left, summed over the frames.
    """

    boxes_FS4: Tensor
    phrases_FSD: Tensor
    mask_FS: Tensor
    dropped: int


def grounding_slots(grounding: Grounding, embed: PhraseEmbedder) -> Slots:
    """The objects to be seen in each frame, their boxes cut at its edges; the first 30 of them."""
    embeddings_OD = embed(grounding.phrases)
    frames = grounding.tracks_OF4.shape[1]
    boxes_FS4 = torch.zeros(frames, MOST_VIDEO_SLOTS, 4)
    phrases_FSD = embeddings_OD.new_zeros(frames, MOST_VIDEO_SLOTS, embeddings_OD.shape[1])
    mask_FS = torch.zeros(frames, MOST_VIDEO_SLOTS)
    clipped_OF4 = grounding.tracks_OF4.clamp(0, 1)
    seen_OF = (clipped_OF4[..., 2:] > clipped_OF4[..., :2]).all(-1)
    for frame in range(frames):
        objects = seen_OF[:, frame].nonzero()[:MOST_VIDEO_SLOTS, 0]
        boxes_FS4[frame, : len(objects)] = clipped_OF4[objects, frame].float()
        phrases_FSD[frame, : len(objects)] = embeddings_OD[objects.to(embeddings_OD.device)]
        mask_FS[frame, : len(objects)] = 1
    return Slots(boxes_FS4, phrases_FSD, mask_FS, int(seen_OF.sum() - mask_FS.sum()))
