"""Which pictures a story's keyframes need: each frame in the learned style, and some also in other ways, to compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tasks.common.errors import UserError
from tasks.common.parameters import Compute
from tasks.common.provenance import digest
from tasks.common.seeds import item_seed
from tasks.dreamframe.keyframe_denoising import PictureRequest
from tasks.dreamframe.keyframe_images import PicturesJob, StyleSource
from tasks.dreamframe.keyframe_settings import KeyframeSettings
from tasks.dreamframe.story_tree import Frame, Story
from tasks.dreamframe.style_files import StyleEmbedding, load_style
from tasks.dreamframe.style_prompts import plain_prompt, styled_prompt
from tasks.dreamframe.style_requests import spread

Way = Literal["learned", "untrained", "plain"]
WAYS: tuple[Way, ...] = ("learned", "untrained", "plain")
"""The learned style; its token with random vectors, as before the training; the prompt without any style."""


class StyledStory(NamedTuple):
    """A story with its style.

    Attributes:
        story: the story.
        style: its style.
        vectors: hash of the style's vectors.
        images: archive of the pictures that the style was learned from, None where there is none.
        compared: the frames that are made in all ways; none without `images`.
    """

    story: Story
    style: StyleSource
    vectors: str
    images: Path | None
    compared: tuple[Frame, ...]


def styled_story(story: Story, styles: Path, widths: tuple[int, int], compared: int) -> StyledStory | None:
    """A story with what the stage style made for it; None if there is no learned style.

    Args:
        story: the story.
        styles: what the stage style wrote.
        widths: of the model's text encoders.
        compared: frames that are made in all ways, at most.

    Raises:
        UserError: the style is damaged or for another model.
    """
    file = styles / f"{story.id}.safetensors"
    if not file.is_file():
        return None
    embedding, facts = load_style(file, widths)
    token = facts.get("token")
    if not isinstance(token, str):
        raise UserError(f"{file}: does not say what its style is called; run the stage style again")
    images = styles / f"{story.id}-images.tar"
    frames = tuple(spread(list(story.frames()), compared)) if images.is_file() else ()
    style = StyleSource(file, token, embedding.vectors)
    return StyledStory(story, style, _identity(embedding), images if images.is_file() else None, frames)


def _identity(embedding: StyleEmbedding) -> str:
    return digest([rows.tolist() for rows in embedding])


def picture_name(story: Story, frame: Frame, way: Way) -> str:
    """A name that no other picture has."""
    return f"{story.id} {frame.id} {way}"


def prompt_of(styled: StyledStory, frame: Frame, way: Way) -> str:
    """What the model is given for a frame."""
    keyword = styled.story.style_keyword
    if way == "plain":
        return plain_prompt(frame.prompt, keyword)
    return styled_prompt(frame.prompt, keyword, styled.style.token)


def frame_seed(run_seed: int, story: Story, frame: Frame) -> int:
    """The seed of a frame's noise, the same in all ways."""
    return item_seed(run_seed, f"{story.id}:{frame.id}")


def picture_jobs(
    styled: Sequence[StyledStory], made: dict[str, Any], settings: KeyframeSettings, batch: int, compute: Compute, seed: int
) -> list[PicturesJob]:
    """All pictures, those of one story in one way together.

    Args:
        styled: the stories.
        made: all that decides a picture beside its prompt, style and seed.
        settings: how the model denoises.
        batch: pictures at once.
        compute: where the model runs.
        seed: of the run.
    """
    jobs = []
    for item in styled:
        start = item_seed(seed, f"style:{item.story.id}")  # as the stage style begins with random vectors
        for way in WAYS:
            style = item.style if way == "learned" else item.style._replace(start=start)
            decided: Any = None if way == "plain" else [item.style.token, item.style.vectors]
            if decided:
                decided.append(item.vectors if way == "learned" else start)
            requests = []
            for frame in item.story.frames() if way == "learned" else item.compared:
                prompt, noise = prompt_of(item, frame, way), frame_seed(seed, item.story, frame)
                key = digest([made, prompt, noise, decided])
                requests.append(PictureRequest(picture_name(item.story, frame, way), key, prompt, noise))
            jobs.append(PicturesJob(tuple(requests), style, settings, batch, compute, Path()))
    return jobs
