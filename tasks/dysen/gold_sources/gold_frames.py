"""Gold graphs from frames: things that a caption names are detected in each frame, linked to tracks, and told as events.

Legend: F frames, R side of the square that the detector reads.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.common.prefetch import batches
from tasks.dysen.gold_sources.gold_ticks import ticks_of
from tasks.dysen.gold_sources.object_tracks import Linking, Sighting, Track, link
from tasks.dysen.gold_sources.track_events import events_of_track
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, as_term
from tasks.dysen.graphs.spatial_predicates import Box
from tasks.spriteworld.vocabulary import with_article

if TYPE_CHECKING:
    from tasks.corpus.detector import Detections, PhraseDetector

SOURCE = "frames"
_WORD = re.compile(r"\w+")
_ARTICLES = frozenset({"a", "an"})
Frames = NDArray[np.uint8]


class Looking(NamedTuple):
    """How the detector is asked: side of the pictures that it reads, its thresholds, and frames at once."""

    resolution: int
    box_threshold: float
    text_threshold: float
    batch: int


def phrases_of_all(captions: Sequence[str]) -> list[tuple[str, ...]]:
    """What each caption says is seen, in the singular and without articles: "red car".

    Raises:
        UserError: spaCy's English pipeline is not installed.
    """
    from tasks.captions.clause_parser import ClauseParser

    return [_terms(item.label for item in scene.objects) for scene in ClauseParser().describe_all(captions)]


def _terms(labels: Iterable[str]) -> tuple[str, ...]:
    terms: dict[str, None] = {}
    for label in labels:
        try:
            terms[as_term(label)] = None
        except ValueError:
            continue
    return tuple(terms)


class FrameReader:
    """Sees things in frames, with a detector that is opened when the first one is looked for."""

    def __init__(self, open_detector: Callable[[], PhraseDetector], looking: Looking) -> None:
        self._open, self._looking = functools.cache(open_detector), looking

    def see(self, frames_FHWC: Frames, asked: Sequence[str]) -> list[list[Sighting]]:
        """What is seen in each frame, called by the phrases that were asked for; nothing if there are none.

        Args:
            frames_FHWC: [F, height, width, 3] RGB of a video.
            asked: such as "red car", in the singular.
        """
        if not asked:
            return [[] for _ in frames_FHWC]
        found: list[list[Sighting]] = []
        text = " ".join(f"{with_article(phrase)}." for phrase in asked)
        for part in batches(frames_FHWC, self._looking.batch):
            squares = [_square(frame_HWC, self._looking.resolution) for frame_HWC in part]
            answer = self._open().answer(self._open().prepare(squares, [text] * len(squares)))
            seen = self._open().select(answer, self._looking.box_threshold, self._looking.text_threshold)
            found += [_sightings(boxes, asked) for boxes in seen]
        return found

    def graph(self, prompt: str, frames_FHWC: Frames, asked: Sequence[str]) -> DynamicSceneGraph:
        """The graph of a video, a tick for each frame; see `see` and `frames_graph`."""
        return frames_graph(prompt, self.see(frames_FHWC, asked))


def _square(frame_HWC: Frames, side: int) -> Frames:
    """Stretched, so that boxes are fractions of the whole frame."""
    if frame_HWC.shape[:2] == (side, side):
        return frame_HWC
    return np.asarray(Image.fromarray(frame_HWC).resize((side, side), Image.Resampling.BILINEAR))


def _sightings(found: Detections, asked: Sequence[str]) -> list[Sighting]:
    sightings = []
    for (x0, y0, x1, y1), score, phrase in zip(found.boxes_N4.tolist(), found.scores_N.tolist(), found.phrases, strict=True):
        name = asked_for(phrase, asked)
        if name:
            sightings.append(Sighting((x0, y0, x1, y1), name, score))
    return sightings


def asked_for(found: str, asked: Sequence[str]) -> str:
    """The phrase that was asked for with the same words as the one that was found, or else the only one with all of them.

    "" if there is none, or are several.
    """
    words = _words(found) - _ARTICLES
    fitting = [phrase for phrase in asked if _words(phrase) == words] or [
        phrase for phrase in asked if words and words <= _words(phrase)
    ]
    return fitting[0] if len(fitting) == 1 else ""


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def frames_graph(
    prompt: str,
    frames: Sequence[Sequence[Sighting]],
    linking: Linking = Linking(),  # noqa: B008 - immutable
) -> DynamicSceneGraph:
    """The graph of a video, from what is seen in each of its frames; a tick is a frame.

    Raises:
        ValidationError: the prompt is too long, or there are more frames, events or objects than a graph has.
    """
    tracks = link(frames, linking)
    told = [event for track in tracks for event in events_of_track(track.name, track.boxes, len(frames))]
    events = tuple(sorted(told, key=lambda event: (event.start, event.end, event.agent)))
    return DynamicSceneGraph(
        prompt=prompt, events=events, ticks=ticks_of(events, _boxes(tracks, len(frames))), source=SOURCE
    )


def _boxes(tracks: Sequence[Track], frames: int) -> list[dict[str, Box]]:
    return [{track.name: track.boxes[frame] for track in tracks if frame in track.boxes} for frame in range(frames)]
