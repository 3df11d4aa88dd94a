"""Gold graphs from captions: what a parser of text reads in them, told in ticks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tasks.dysen.gold_sources.annotation_rows import AnnotatedVideo, TimedSentence
from tasks.dysen.gold_sources.gold_ticks import ticks_of
from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, Event

SOURCE = "captions"
EventParser = Callable[[Sequence[str], int], Sequence[Sequence[Event]]]
"""From captions and the last tick to the events of each caption, in order."""


def caption_graph(prompt: str, events: Sequence[Event], last_tick: int) -> DynamicSceneGraph:
    """The graph of a caption with these events, with a graph for each tick from 0 to the last one.

    Raises:
        ValidationError: the prompt is too long, or there are more events than a graph has.
    """
    ticks = ticks_of(events, [{}] * (last_tick + 1))
    return DynamicSceneGraph(prompt=prompt, events=tuple(events), ticks=ticks, source=SOURCE)


def events_in_time(
    segments: Sequence[TimedSentence], duration_s: float, told: Sequence[Sequence[Event]], last_tick: int
) -> tuple[Event, ...]:
    """The events of all sentences of a video, each within the ticks of its sentence's part, in order of start.

    An event takes as large a share of its part as it took of all ticks, and one tick or more.

    Args:
        segments: the sentences of a video with their parts of it.
        duration_s: of the video; its end is `last_tick`.
        told: the events of each sentence, from tick 0 to `last_tick`.
        last_tick: 1 or more.
    """
    found: dict[Event, None] = {}
    for (start_s, end_s, _), events in zip(segments, told, strict=True):
        start = min(_tick(start_s, duration_s, last_tick), last_tick - 1)
        end = max(_tick(end_s, duration_s, last_tick), start + 1)
        for event in events:
            begins = min(start + round(event.start * (end - start) / last_tick), end - 1)
            ends = max(start + round(event.end * (end - start) / last_tick), begins + 1)
            found[event.model_copy(update={"start": begins, "end": ends})] = None
    return tuple(sorted(found, key=lambda event: (event.start, event.end)))


def _tick(second: float, duration_s: float, last_tick: int) -> int:
    return round(min(second / duration_s, 1.0) * last_tick)


class Told(NamedTuple):
    """A prompt of a video, and what happens in it."""

    video: AnnotatedVideo
    prompt: str
    events: tuple[Event, ...]


def tell(videos: Sequence[AnnotatedVideo], parser: EventParser, last_tick: int, sentences: int) -> Iterator[Told]:
    """The prompts of videos: all sentences with times as one, or else each of the first `sentences` captions."""
    texts = [_texts(video, sentences) for video in videos]
    parsed = iter(parser([text for of_video in texts for text in of_video], last_tick))
    for video, of_video in zip(videos, texts, strict=True):
        events = [tuple(next(parsed)) for _ in of_video]
        if video.segments and video.duration_s:
            yield Told(video, " ".join(of_video), events_in_time(video.segments, video.duration_s, events, last_tick))
        else:
            yield from (Told(video, text, told) for text, told in zip(of_video, events, strict=True))


def _texts(video: AnnotatedVideo, sentences: int) -> Sequence[str]:
    return [segment.sentence for segment in video.segments] or video.captions[:sentences]
