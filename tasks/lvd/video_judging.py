"""Generated videos to verdicts: frames are read, things detected in them, and the rules applied to what was seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.common.errors import UserError
from tasks.common.prefetch import batches
from tasks.common.progress import track
from tasks.lvd.benchmark_prompts import BenchmarkPrompt, cache_key
from tasks.lvd.layout import DynamicSceneLayout, read_layouts
from tasks.lvd.rules import FRAMES
from tasks.lvd.scoring import Attempt, Scores, SetAside, score
from tasks.lvd.video_detector import FrameDetections, Frames, VideoDetector
from tasks.lvd.video_index import VideoRecord
from tasks.lvd.video_layout import asked_tracks, judged_frames, layout_iou, settle, video_layout
from tasks.video.mp4 import read_mp4


class Judging(NamedTuple):
    """Which detections count."""

    threshold: float
    nms_threshold: float
    class_aware: bool


@dataclass(frozen=True)
class Video:
    """A video that should be there: its line in the index, its file, its prompt, and the layout that it was made from."""

    record: VideoRecord
    path: Path
    prompt: BenchmarkPrompt
    asked: DynamicSceneLayout | None


@dataclass(frozen=True)
class Seen:
    """What is in a video.

    Attributes:
        places: the frames of the video that are judged [6].
        found: the detections that count, in each of them.
        layout_iou: how closely the layout's boxes were followed; None without a layout, or if it asks for nothing there.
    """

    places: NDArray[np.intp]
    found: tuple[FrameDetections, ...]
    layout_iou: float | None

    @property
    def detections(self) -> int:
        """How many boxes were found in the six frames."""
        return sum(len(frame.boxes_N4) for frame in self.found)


Judged = tuple[Video, Seen | SetAside]


def layouts_by_index(file: Path, prompts: Iterable[BenchmarkPrompt]) -> dict[int, DynamicSceneLayout]:
    """Layouts by the index of their prompt: the k-th of a prompt belongs to its k-th occurrence; without a file, none.

    Raises:
        UserError: a line of the file is no layout.
    """
    waiting: dict[str, list[DynamicSceneLayout]] = defaultdict(list)
    for layout in read_layouts(file) if file.is_file() else ():
        waiting[cache_key(layout.prompt)].append(layout)
    return {prompt.index: waiting[prompt.cache_key].pop(0) for prompt in prompts if waiting[prompt.cache_key]}


def judge_videos(videos: Sequence[Video], detector: VideoDetector, judging: Judging) -> list[Judged]:
    """What is seen in each video, in the order given; a video that cannot be used is set aside with the reason.

    Frames of videos that ask for the same things go through the detector together.
    """
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, video in enumerate(videos):
        places[video.prompt.detector_texts].append(place)
    parts = [part for same in places.values() for part in batches(same, max(1, detector.batch // FRAMES))]
    seen = (item for part in parts for item in _judge_part([videos[place] for place in part], detector, judging))
    order = [place for part in parts for place in part]
    found = dict(zip(order, track(seen, "lvd_stage2: videos", len(videos)), strict=True))
    return [(video, found[place]) for place, video in enumerate(videos)]


def _judge_part(part: Sequence[Video], detector: VideoDetector, judging: Judging) -> Iterator[Seen | SetAside]:
    """Videos of the same queries."""
    read = [_read(video) for video in part]
    chosen = [detector.stretch(frames[judged_frames(len(frames))]) for frames in read if not isinstance(frames, SetAside)]
    texts = part[0].prompt.detector_texts
    found = batches(detector.detect(np.concatenate(chosen), texts, judging.threshold) if chosen else (), FRAMES)
    for video, frames in zip(part, read, strict=True):
        yield frames if isinstance(frames, SetAside) else _seen(video, len(frames), next(found), judging)


def _read(video: Video) -> Frames | SetAside:
    record = video.record
    if not video.path.is_file():
        return SetAside("missing", "no such file")
    try:
        frames_FHWC = read_mp4(video.path)
    except UserError as error:
        return SetAside("unreadable", str(error))
    try:
        judged_frames(len(frames_FHWC))
    except UserError as error:
        return SetAside("too_short", str(error))
    if record.prompt != video.prompt.prompt:
        return SetAside("other_prompt", f"the prompt {record.prompt_index} of {record.prompt_set} is another now")
    if len(frames_FHWC) != record.frames:
        return SetAside("frames_differ", f"{len(frames_FHWC)} frames, {record.frames} in the index")
    return frames_FHWC


def _seen(video: Video, frames: int, found: Sequence[FrameDetections], judging: Judging) -> Seen:
    kept = tuple(settle(frame, video.prompt, judging.nms_threshold, class_aware=judging.class_aware) for frame in found)
    places = judged_frames(frames)
    asked = [] if video.asked is None else asked_tracks(video.prompt, video.asked, frames)
    return Seen(places, kept, layout_iou(asked, places, kept))


def score_videos(judged: Sequence[Judged]) -> Scores:
    """The verdicts by both sets of rules, one for each video in the same order; what was set aside fails."""
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for video, seen in judged:
        attempt = seen if isinstance(seen, SetAside) else video_layout(video.prompt, seen.found)
        attempts[video.prompt.cache_key].append(attempt)
    return score([video.prompt for video, _ in judged], attempts)
