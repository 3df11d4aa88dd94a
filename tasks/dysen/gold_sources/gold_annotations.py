"""Gold graphs of annotated videos: from their captions, and from their frames where the videos are at hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from tasks.common.errors import UserError
from tasks.common.prefetch import batches
from tasks.common.quarantine import Quarantine
from tasks.dysen.gold_sources.annotation_rows import AnnotatedVideo
from tasks.dysen.gold_sources.gold_captions import EventParser, Told, caption_graph, tell
from tasks.dysen.gold_sources.gold_frames import FrameReader, phrases_of_all
from tasks.dysen.gold_sources.gold_merge import Merged, merge_sources
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph
from tasks.video.mp4 import read_mp4

_AT_ONCE = 64


class Telling(NamedTuple):
    """How annotated videos become graphs: the parser of captions, the last tick, captions of a video, and its frames."""

    parser: EventParser
    last_tick: int
    sentences: int
    frames: FrameReader


class AnnotatedGold(NamedTuple):
    """A video and one of its graphs with the origins of what is in it."""

    video: AnnotatedVideo
    merged: Merged


def annotated_golds(
    videos: Iterable[AnnotatedVideo], folder: Path | None, telling: Telling, quarantine: Quarantine
) -> Iterator[AnnotatedGold]:
    """The graphs of videos, in order; `gold_captions.tell` says how many a video has.

    Args:
        videos: of any number; some dozens of them are held at once.
        folder: where the videos lie; None for gold from captions alone.
        telling: how.
        quarantine: takes graphs that are too large, and videos that are missing, damaged or outside of the folder, which
            have a graph from captions all the same.
    """
    for part in batches(videos, _AT_ONCE):
        told = list(tell(part, telling.parser, telling.last_tick, telling.sentences))
        asked = phrases_of_all([one.prompt for one in told]) if folder else [()] * len(told)
        for one, phrases in zip(told, asked, strict=True):
            try:
                graphs = [caption_graph(one.prompt, one.events, telling.last_tick)]
                if folder:
                    graphs = [*_from_frames(one, folder, phrases, telling, quarantine), *graphs]
                yield AnnotatedGold(one.video, merge_sources(graphs))
            except ValidationError as error:
                problem = error.errors()[0]
                quarantine.add(one.video.id, "too-large", f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}")


def _from_frames(
    told: Told, folder: Path, phrases: Sequence[str], telling: Telling, quarantine: Quarantine
) -> list[DynamicSceneGraph]:
    """The graph of the video's frames; none if there is no such video."""
    path = path_below(folder, told.video.path)
    if path is None:
        quarantine.add(told.video.id, "outside", f"{told.video.path} is no path below {folder}")
        return []
    try:
        frames_FHWC = evenly(read_mp4(path), telling.last_tick + 1)
    except UserError as error:
        quarantine.add(told.video.id, "no-video", str(error))
        return []
    return [telling.frames.graph(told.prompt, frames_FHWC, phrases)]


def path_below(folder: Path, told: str) -> Path | None:
    """A path that somebody wrote, below a folder; None if it would lead out of it or is none."""
    parts = PurePosixPath(told.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0].startswith("/") or not told.isprintable():
        return None
    return folder.joinpath(*parts)


def evenly(frames_FHWC: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """`count` frames from the first to the last one, at even distances."""
    chosen_FHWC: NDArray[np.uint8] = frames_FHWC[np.linspace(0, len(frames_FHWC) - 1, count).round().astype(int)]
    return chosen_FHWC
